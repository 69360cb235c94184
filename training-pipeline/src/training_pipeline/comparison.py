"""Champion against challenger: two configurations on the same origins, and a paired test of which is worse."""

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
"""Numbers that one part of the resampling may take."""


@dataclass(frozen=True)
class Comparison:
    """How a challenger's objective stands against the champion's, as a share of the latter; negative is better.

    ``upper`` is the bound below which the difference lies with a confidence of 95 %, one-sided.
    """

    origins: int
    series: int
    champion: float
    challenger: float
    difference: float
    upper: float
    worse_share: float

    def is_not_worse(self, margin: float) -> bool:
        """Whether the challenger is, with that confidence, less than ``margin`` worse than the champion."""
        return self.upper <= margin

    def to_dict(self) -> dict[str, float]:
        """Return the fields by name, as JSON can hold them."""
        return asdict(self)


def backtest(
    history: pl.DataFrame, *, end: datetime, fh: int, config: ForecasterConfig, threads: int, origins: int, gap: int = 0
) -> pl.DataFrame:
    """Return forecasts of daily origins before ``end``, beside what came and the seasonal naive forecast.

    One model is fitted on what was known before the first origin, and forecasts each of them from the history up to
    it, as it is done when a model is trained.

    Args:
        history: Rows of ``schema.OBSERVATIONS``.
        end: The first hour that is not observed, a full hour in UTC.
        fh: Hours to forecast.
        config: Tunables.
        threads: Threads for fitting.
        origins: How many daily origins.
        gap: Hours between an origin and the first forecast hour.

    Returns:
        ``origin``, KEY, ``forecast``, ``truth``, ``naive``: rows that have all three.
    """
    starts = [end - timedelta(days=day, hours=gap) for day in range(origins, 0, -1)]
    # Intervals play no part, so nothing is spent on calibrating them.
    options: dict[str, Any] = {"fh": fh, "gap": gap, "config": config, "threads": threads}
    fitted = load_forecaster.fit(history, end=starts[0], calibration=Calibration(), **options)
    hour, parts = pl.col("datetime_utc").dt.hour().alias("hour"), []
    for origin in starts:
        known = history.filter(pl.col("datetime_utc") < origin)
        point = fitted.predict(known, end=origin).select(*KEY, hour, forecast="energy_consumption")
        # Its season is a day, so a day of it says what it is at any later hour.
        day = load_forecaster.seasonal_naive(known, end=origin, fh=24)
        naive = day.select(*SERIES, hour, naive="energy_consumption")
        parts.append(point.join(naive, on=(*SERIES, "hour")).drop("hour").with_columns(origin=pl.lit(origin)))
    truth = history.filter(pl.col("datetime_utc") < end).select(*KEY, truth="energy_consumption")
    return pl.concat(parts).join(truth, on=KEY).drop_nulls()


def compare(champion: pl.DataFrame, challenger: pl.DataFrame) -> Comparison:
    """Compare two ``backtest`` frames on the rows that both have, by a paired bootstrap of origins and series.

    What is compared is what the search minimises: the mean of WAPE over that of the naive forecast, and of rMAE24.
    Origins and series are both drawn with replacement, independently of each other, and the same for both
    configurations (the pigeonhole bootstrap: Owen, The Annals of Applied Statistics 1 (2007) 386-411): series of one
    origin share its weather, and origins of one series its nature.

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
    """Return [origin, series], 0 where an origin does not have a series."""
    wide = sums.select("origin", pl.concat_str(SERIES, separator="/").alias("series"), name).pivot(
        "series", index="origin", values=name, sort_columns=True
    )
    return np.asarray(wide.sort("origin").drop("origin").fill_null(0.0).to_numpy(), dtype=np.float64)


def _resampled(mine: FloatArray, theirs: FloatArray, naive: FloatArray) -> FloatArray:
    """Return the relative difference of the objectives in each resample."""
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
    """Return the objective of each draw, whose weights are [draw, origin] and [draw, series]."""
    own, simple = by_origin @ errors, by_origin @ naive
    total = (by_series * own).sum(axis=1) / (by_series * simple).sum(axis=1)
    ratio = np.divide(own, simple, out=np.zeros_like(own), where=simple > 0)
    weight = by_series * (simple > 0)
    relative = (weight * ratio).sum(axis=1) / weight.sum(axis=1)
    mean: FloatArray = (total + relative) / 2
    return mean
