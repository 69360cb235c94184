"""Compare champion and challenger: backtest both configurations on the same origins, and test the difference."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

import load_forecaster
from forecast_core.contracts.schema import KEY, SERIES
from load_forecaster import Calibration, ForecasterConfig
from load_forecaster.metrics import FloatArray

RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
_SEED: Final = 1
_CELLS: Final = 2_000_000
"""Largest number of elements (draws x series) that are resampled at once: 16 MB an array."""


@dataclass(frozen=True)
class Comparison:
    """The objectives of champion and challenger, and a test of their difference.

    Attributes:
        origins: Number of origins compared.
        series: Number of series compared.
        champion: Objective of the champion; smaller is better.
        challenger: Objective of the challenger.
        difference: challenger / champion - 1; negative if the challenger is better.
        upper: One-sided upper 95 % confidence bound of ``difference``.
        worse_share: Share of the resamples in which the challenger is worse.
    """

    origins: int
    series: int
    champion: float
    challenger: float
    difference: float
    upper: float
    worse_share: float

    def is_not_worse(self, margin: float) -> bool:
        """Whether ``upper`` is at most ``margin``: the challenger is at most that much worse, with 95 % confidence."""
        return self.upper <= margin

    def to_dict(self) -> dict[str, float]:
        """Return the fields by name, as JSON can hold them."""
        return asdict(self)


def backtest(
    history: pl.DataFrame, *, end: datetime, fh: int, config: ForecasterConfig, threads: int, origins: int, gap: int = 0
) -> pl.DataFrame:
    """Forecast the last daily origins before ``end``; return forecasts, observations and seasonal naive forecasts.

    As in training, one model is fitted on the history before the first origin. It forecasts each origin from the
    history before that origin.

    Args:
        history: Rows of ``schema.OBSERVATIONS``.
        end: The first hour that is not observed, a full hour in UTC.
        fh: Hours to forecast.
        config: Tunables.
        threads: Threads for fitting.
        origins: Number of daily origins.
        gap: Hours between an origin and the first forecast hour.

    Returns:
        One row per origin, series and hour, where all three are known: ``origin``, KEY, ``forecast``, ``truth`` and
        ``naive``, in kWh.
    """
    starts = [end - timedelta(days=day, hours=gap) for day in range(origins, 0, -1)]
    # The objective does not use intervals, so they are not calibrated.
    options: dict[str, Any] = {"fh": fh, "gap": gap, "config": config, "threads": threads}
    fitted = load_forecaster.fit(history, end=starts[0], calibration=Calibration(), **options)
    hour, parts = pl.col("datetime_utc").dt.hour().alias("hour"), []
    for origin in starts:
        known = history.filter(pl.col("datetime_utc") < origin)
        point = fitted.predict(known, end=origin).select(*KEY, hour, forecast="energy_consumption")
        # The naive forecast repeats one day, so its first day gives the value of any later hour.
        day = load_forecaster.seasonal_naive(known, end=origin, fh=24)
        naive = day.select(*SERIES, hour, naive="energy_consumption")
        parts.append(point.join(naive, on=(*SERIES, "hour")).drop("hour").with_columns(origin=pl.lit(origin)))
    truth = history.filter(pl.col("datetime_utc") < end).select(*KEY, truth="energy_consumption")
    return pl.concat(parts).join(truth, on=KEY).drop_nulls()


def compare(champion: pl.DataFrame, challenger: pl.DataFrame) -> Comparison:
    """Compare two ``backtest`` frames on the rows that both have, by a paired bootstrap of origins and series.

    The objective is that of the search: the mean of WAPE over the naive forecast's WAPE, and of rMAE24. Origins and
    series are drawn with replacement, independently of each other, and the same draws are used for both configurations
    (pigeonhole bootstrap: Owen, The Annals of Applied Statistics 1 (2007) 386-411). Errors of one origin are correlated
    by its weather and errors of one series by its consumers, so neither alone is the unit that is drawn.

    Args:
        champion: Rows of ``backtest``.
        challenger: Rows of ``backtest`` of the same history and origins.
    """
    rows = champion.join(challenger.select("origin", *KEY, other="forecast"), on=("origin", *KEY))
    sums = rows.group_by("origin", *SERIES).agg(
        mine=(pl.col("forecast") - pl.col("truth")).abs().sum(),
        theirs=(pl.col("other") - pl.col("truth")).abs().sum(),
        naive=(pl.col("naive") - pl.col("truth")).abs().sum(),
    )
    mine, theirs, naive = (_matrix(sums, name) for name in ("mine", "theirs", "naive"))
    origins, series = naive.shape
    ones = np.ones((1, origins)), np.ones((1, series))
    before, after = (float(_objective(each, naive, *ones)[0]) for each in (mine, theirs))
    drawn = _resampled(mine, theirs, naive)
    return Comparison(
        origins=origins,
        series=series,
        champion=before,
        challenger=after,
        difference=after / before - 1,
        upper=float(np.quantile(drawn, CONFIDENCE)),
        worse_share=float((drawn > 0).mean()),
    )


def _matrix(sums: pl.DataFrame, name: str) -> FloatArray:
    """Return a column as a matrix [origin, series]; 0 where an origin lacks a series."""
    wide = sums.select("origin", pl.concat_str(SERIES, separator="/").alias("series"), name).pivot(
        "series", index="origin", values=name, sort_columns=True
    )
    return np.asarray(wide.sort("origin").drop("origin").fill_null(0.0).to_numpy(), dtype=np.float64)


def _resampled(mine: FloatArray, theirs: FloatArray, naive: FloatArray) -> FloatArray:
    """Return challenger / champion - 1 of the objective in each of RESAMPLES draws."""
    origins, series = naive.shape
    chance = np.random.default_rng(_SEED)
    at_once = max(1, _CELLS // series)
    parts = []
    for first in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - first)
        by_origin = chance.multinomial(origins, np.full(origins, 1 / origins), size=count).astype(np.float64)
        by_series = chance.multinomial(series, np.full(series, 1 / series), size=count).astype(np.float64)
        before, after = (_objective(each, naive, by_origin, by_series) for each in (mine, theirs))
        parts.append(after / before - 1)
    return np.concatenate(parts)


def _objective(errors: FloatArray, naive: FloatArray, by_origin: FloatArray, by_series: FloatArray) -> FloatArray:
    """Return the objective of each draw.

    Args:
        errors: Sums of absolute errors [origin, series], kWh.
        naive: The same of the naive forecast.
        by_origin: How often each origin was drawn [draw, origin].
        by_series: How often each series was drawn [draw, series].
    """
    own, simple = by_origin @ errors, by_origin @ naive
    total = (by_series * own).sum(axis=1) / (by_series * simple).sum(axis=1)
    ratio = np.divide(own, simple, out=np.zeros_like(own), where=simple > 0)
    weight = by_series * (simple > 0)
    relative = (weight * ratio).sum(axis=1) / weight.sum(axis=1)
    mean: FloatArray = (total + relative) / 2
    return mean
