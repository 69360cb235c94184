"""Fitting the forecaster."""

from dataclasses import replace
from datetime import datetime

import polars as pl

from load_forecaster.blend import Members, fit_members
from load_forecaster.config import DEFAULT, ForecasterConfig
from load_forecaster.evaluation import Evaluation, backtest, evaluate
from load_forecaster.gaussian import shared_factors
from load_forecaster.intervals import Calibration
from load_forecaster.model import Forecaster
from load_forecaster.panel import Panel, check_gap, check_horizon, from_observations
from load_forecaster.parallel import each

OWN_ORIGINS = 5
"""Origins that ``fit`` calibrates on when it is given no calibration."""


def fit(
    history: pl.DataFrame,
    *,
    end: datetime,
    fh: int = 24,
    gap: int = 0,
    config: ForecasterConfig = DEFAULT,
    threads: int = 1,
    calibration: Calibration | None = None,
) -> Forecaster:
    """Fit a forecaster on all of ``history`` before ``end``.

    The same observations give the same forecaster, in whatever order their rows come and whatever ``threads`` is.
    A history too short for the model gives a forecaster of fallbacks.

    Args:
        history: Rows of ``schema.OBSERVATIONS``, hours may be missing; those at ``end`` or later are not looked at.
        end: The first hour that is not observed, a full hour in UTC.
        fh: Hours that it shall be able to forecast, 1 to 168.
        gap: Hours between the last observation and the first forecast hour: 0 where forecasts follow observations.
        config: Tunables.
        threads: Threads for fitting.
        calibration: Of the intervals, as ``evaluate`` gives it. Without one, the errors of the ridge member alone on
            the last origins are taken: cheap, and a little too wide.

    Raises:
        InvalidArgument: If an argument is out of range.
        ValidationError: If ``history`` is not as its schema says.
    """
    check_horizon(fh)
    check_gap(gap)
    panel = from_observations(history, end=end, fh=gap + fh, days=config.history_days, timezone=config.timezone)
    members = fit_members(panel, fh=fh, gap=gap, config=config, threads=threads)
    if calibration is None:
        linear = replace(config, trees_weight=0.0)
        replayed = evaluate(history, end=end, fh=fh, gap=gap, config=linear, threads=threads, origins=OWN_ORIGINS)
        calibration = replayed.calibration
    return Forecaster(fh, config, members, calibration, gap)


def evaluate_and_fit(
    history: pl.DataFrame,
    *,
    end: datetime,
    fh: int,
    gap: int = 0,
    config: ForecasterConfig,
    threads: int,
    origins: int,
) -> tuple[Evaluation, Forecaster]:
    """Return what ``evaluate`` says of a configuration, and the forecaster fitted with that calibration.

    This is how a model is trained, and how it is made again from what was recorded of it. The two models, the one that
    is evaluated and the one that is returned, are fitted at once if ``threads`` allows.
    """
    replay = backtest(history, end=end, fh=fh, gap=gap, config=config, origins=origins)
    panel = from_observations(history, end=end, fh=gap + fh, days=config.history_days, timezone=config.timezone)
    factors = shared_factors(panel, fh=gap + fh, threads=threads)
    panels = [replay.training, panel] if replay.origins else [panel]

    def fitted(known: Panel) -> Members:
        of_each = max(1, threads // len(panels))
        return fit_members(known, fh=fh, gap=gap, config=config, threads=of_each, factors=factors)

    *before, members = each(fitted, panels, threads=threads)
    evaluation = replay.measure(before[0] if before else Members(), threads=threads, factors=factors)
    return evaluation, Forecaster(fh, config, members, evaluation.calibration, gap)
