"""Rolling-origin evaluation against the seasonal naive forecast, which also calibrates the intervals.

One model is fitted on what was known before the first origin, and forecasts every origin from the history up to it:
an honest measure for the price of one fit.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TypedDict, cast

import numpy as np
import polars as pl

from load_forecaster import metrics
from load_forecaster.blend import Members, fit_members
from load_forecaster.cleaning import Cleaned, cleaned
from load_forecaster.config import ForecasterConfig
from load_forecaster.errors import InvalidArgument
from load_forecaster.factors import Factors
from load_forecaster.gaussian import shared_factors
from load_forecaster.intervals import Calibration, calibrate
from load_forecaster.metrics import FloatArray
from load_forecaster.model import point_forecast
from load_forecaster.naive import naive_values
from load_forecaster.panel import Panel, check_gap, check_horizon, from_observations
from load_forecaster.parallel import each
from load_forecaster.training import LEAST_DAYS
from load_forecaster.usual import BLOCK_DAYS


class Measures(TypedDict):
    """What an evaluation measured, as plain JSON; None where there is nothing to measure or nothing to divide by.

    ``origins`` is the number of origins that were replayed, ``values`` that of the hourly values that were scored. The
    measures are those of ``load_forecaster.metrics``, as fractions and kWh: of the model, and ``naive_...`` of the
    seasonal naive forecast. ``wape_ratio`` is WAPE over the naive forecast's, ``rmae24`` the mean over series of MAE
    over the naive forecast's, ``fallback_share`` the share of forecasts that are fallbacks. ``coverage_80`` and
    ``coverage_90`` are the shares of values inside intervals that were calibrated on the other origins.
    """

    origins: int
    values: int
    wape: float | None
    mape: float | None
    mae: float | None
    naive_wape: float | None
    naive_mape: float | None
    naive_mae: float | None
    wape_ratio: float | None
    rmae24: float | None
    fallback_share: float | None
    coverage_80: float | None
    coverage_90: float | None


@dataclass(frozen=True)
class Evaluation:
    """How well a configuration forecast, and the calibration to give to ``fit``."""

    metrics: Measures
    calibration: Calibration


@dataclass(frozen=True)
class _Replay:
    """What came of the replayed origins.

    Attributes:
        truth: Plausible values [origin, lead, series] in kWh, NaN where there is none; so ``forecast`` and ``naive``.
        forecast: Point forecasts.
        naive: Seasonal naive forecasts.
        variation: Mean absolute day-to-day variation [origin, series], in kWh.
        fallback: Which forecasts [origin, series] are fallbacks.
        disturbed: Which forecasts [origin, series] had implausible hours in the day before them. Intervals are not
            calibrated on their errors: those of one faulty series would widen the intervals of all.
        lowest: The least possible value [origin, series] in kWh.
    """

    truth: FloatArray
    forecast: FloatArray
    naive: FloatArray
    variation: FloatArray
    fallback: np.ndarray
    disturbed: np.ndarray
    lowest: FloatArray

    @property
    def errors(self) -> FloatArray:
        """Truth minus forecast [origin, lead, series] in kWh, NaN where unknown or disturbed."""
        return np.where(self.disturbed[:, None], np.nan, self.truth - self.forecast)


@dataclass(frozen=True)
class Backtest:
    """What an evaluation replays: the history, and the ``origins`` (indices into it) that are forecast as of."""

    panel: Panel
    origins: tuple[int, ...]
    fh: int
    gap: int
    config: ForecasterConfig

    @cached_property
    def clean(self) -> Cleaned:
        """What forecasts are scored against, of all hours: no error of a meter is held against them.

        Hours before the day before the first origin are not scored, and not judged except as neighbours.
        """
        judged = (self.panel.hours - self.origins[0]) // 24 + BLOCK_DAYS
        recent = self.panel.until(self.panel.hours, judged)
        clean, older = cleaned(recent), self.panel.hours - recent.hours
        known = np.concatenate([self.panel.values[:older], clean.known])
        implausible = np.concatenate([np.zeros((older, known.shape[1]), dtype=bool), clean.implausible])
        return replace(clean, known=known, implausible=implausible)

    @property
    def training(self) -> Panel:
        """The history before the first origin, which the model is fitted on."""
        return self.panel.until(self.origins[0], self.config.history_days)

    def measure(self, members: Members, *, threads: int, factors: Factors | None = None) -> Evaluation:
        """Return how well ``members``, fitted on ``training``, forecast as of the origins.

        Args:
            members: The fitted members.
            threads: Origins that are forecast at once.
            factors: Factorised covariances that may serve.
        """
        if not self.origins or not self.panel.series:
            return Evaluation(_measures(None, (None, None)), Calibration())
        rows = each(lambda origin: self._forecast(members, origin, factors), self.origins, threads=threads)
        replay = _Replay(*(np.stack(part) for part in zip(*rows, strict=True)))
        calibration = calibrate(replay.errors, replay.variation, series=self.panel.series)
        return Evaluation(_measures(replay, _coverage(replay, self.panel.series)), calibration)

    def _forecast(self, members: Members, origin: int, factors: Factors | None) -> tuple[np.ndarray, ...]:
        """Return the fields of ``_Replay`` for one origin."""
        gap, fh = self.gap, self.fh
        then = self.panel.until(origin, self.config.history_days)
        point = point_forecast(then, members, fh=fh, gap=gap, config=self.config, factors=factors)
        truth = np.full(point.values.shape, np.nan)
        came = self.clean.known[origin + gap : origin + gap + fh]
        truth[: len(came)] = came
        # A series that had not appeared yet was not forecast.
        appeared = ~np.isnan(then.values).all(axis=0)
        naive = naive_values(point.known, fh=gap + fh, season=24)[gap:]
        failed = np.array([reason is not None for reason in point.reasons])
        day = slice(max(0, origin - 24), origin)
        disturbed = self.clean.implausible[day].any(axis=0) | point.disturbed
        forecast = np.where(appeared, point.values, np.nan)
        return truth, forecast, naive, point.variation, failed, disturbed, point.lowest


def backtest(
    history: pl.DataFrame, *, end: datetime, fh: int, gap: int, config: ForecasterConfig, origins: int
) -> Backtest:
    """Return the backtest of the latest daily origins: ``origins`` of them, fewer if the history is short.

    Raises:
        InvalidArgument: If an argument is out of range.
        ValidationError: If ``history`` is not as its schema says.
    """
    check_horizon(fh)
    if origins < 1:
        raise InvalidArgument(f"origins must be at least 1, not {origins}", argument="origins", value=origins)
    check_gap(gap)
    days = config.history_days + origins
    panel = from_observations(history, end=end, fh=gap + fh, days=days, timezone=config.timezone)
    possible = max(0, panel.hours - gap) // 24
    count = min(origins, possible - LEAST_DAYS) if possible > LEAST_DAYS else max(0, min(origins, possible - 2))
    last = panel.hours - gap
    replayed = tuple(range(last - 24 * count, last, 24)) if panel.series else ()
    return Backtest(panel, replayed, fh, gap, config)


def evaluate(
    history: pl.DataFrame,
    *,
    end: datetime,
    fh: int = 24,
    gap: int = 0,
    config: ForecasterConfig,
    threads: int,
    origins: int = 5,
) -> Evaluation:
    """Forecast as of ``end`` - ``gap`` - 24 h, - 48 h, ... (``origins`` of them) and compare with what came.

    A short history has fewer origins: as many as leave the model enough to be fitted on; if not one does, the fallback
    is measured, on as many origins as have two days before them. Without any origin every measure is None.

    Args:
        history: Rows of ``schema.OBSERVATIONS``, hours may be missing; those at ``end`` or later are not looked at.
        end: The first hour that is not observed, a full hour in UTC.
        fh: Hours to forecast; what would be observed at ``end`` or later is not scored.
        gap: Hours between the last observation and the first forecast hour.
        config: Tunables.
        threads: Threads for fitting and for the origins; the result is the same for any number.
        origins: How many daily origins to replay, if the history has them.

    Raises:
        InvalidArgument: If an argument is out of range.
        ValidationError: If ``history`` is not as its schema says.
    """
    replay = backtest(history, end=end, fh=fh, gap=gap, config=config, origins=origins)
    if not replay.origins:
        return replay.measure(Members(), threads=threads)
    factors = shared_factors(replay.panel, fh=gap + fh, threads=threads)
    members = fit_members(replay.training, fh=fh, gap=gap, config=config, threads=threads, factors=factors)
    return replay.measure(members, threads=threads, factors=factors)


def _measures(replay: _Replay | None, coverage: tuple[float | None, float | None]) -> Measures:
    """Return the measures of model and naive forecast on the values that both forecast, and the given coverage."""
    if replay is None:
        empty = np.full((0, 1, 1), np.nan)
        none = np.full((0, 1), False)
        replay = _Replay(empty, empty, empty, empty[:, 0], none, none, empty[:, 0])
    truth = np.where(np.isnan(replay.naive) | np.isnan(replay.forecast), np.nan, replay.truth)
    series = np.broadcast_to(np.arange(truth.shape[2]), truth.shape)
    result: dict[str, float | None] = {}
    for name, forecast in (("", replay.forecast), ("naive_", replay.naive)):
        result[f"{name}wape"] = metrics.wape(truth, forecast)
        result[f"{name}mape"] = metrics.mape(truth, forecast)
        result[f"{name}mae"] = metrics.mae(truth, forecast)
    wape, naive_wape = (metrics.wape(truth, forecast) for forecast in (replay.forecast, replay.naive))
    result["wape_ratio"] = wape / naive_wape if naive_wape > 0 else float("nan")
    result["rmae24"] = metrics.relative_mae(truth, replay.forecast, replay.naive, series)
    result["fallback_share"] = float(replay.fallback.mean()) if replay.fallback.size else float("nan")
    result["coverage_80"], result["coverage_90"] = coverage
    counts = {"origins": len(truth), "values": int((~np.isnan(truth)).sum())}
    return cast("Measures", counts | metrics.plain(result))


def _coverage(replay: _Replay, series: tuple[tuple[str, str], ...]) -> tuple[float | None, float | None]:
    """Return the coverage of 80 and 90 % intervals, each origin's calibrated on the others; None for one origin."""
    if len(replay.truth) < 2:
        return None, None
    bounds: dict[str, list[FloatArray]] = {"q05": [], "q10": [], "q90": [], "q95": []}
    errors = replay.errors
    for origin in range(len(errors)):
        others = calibrate(np.delete(errors, origin, 0), np.delete(replay.variation, origin, 0), series=series)
        quantiles = others.quantiles(
            replay.forecast[origin],
            variation=replay.variation[origin],
            series=series,
            fallback=replay.fallback[origin],
            lowest=replay.lowest[origin],
        )
        for name, values in bounds.items():
            values.append(quantiles[name])
    inside_80 = metrics.coverage(replay.truth, np.stack(bounds["q10"]), np.stack(bounds["q90"]))
    inside_90 = metrics.coverage(replay.truth, np.stack(bounds["q05"]), np.stack(bounds["q95"]))
    return inside_80, inside_90
