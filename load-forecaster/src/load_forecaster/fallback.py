"""Fallback forecasts, and why a series needs one."""

import numpy as np

from load_forecaster import distant
from load_forecaster.cleaning import Cleaned
from load_forecaster.config import ForecasterConfig
from load_forecaster.features import WEEK, mean_known
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.seasonal import earlier_days
from load_forecaster.usual import Mask

LEAST_HOURS = 72
"""Observed hours that a series needs for the model."""

SILENT_HOURS = 48
"""A series without a value for so many hours is not forecast by the model."""


def why_not(history: Cleaned) -> list[str | None]:
    """Return, for each series, why it needs a fallback; None if the model can forecast it.

    Args:
        history: Values up to the first hour to be forecast.
    """
    values, removed = history.known, history.implausible
    return [_reason(values[:, series], removed[:, series]) for series in range(values.shape[1])]


def _reason(series: FloatArray, removed: Mask) -> str | None:
    hours = np.flatnonzero(~np.isnan(series))
    if len(hours) == 0:
        return "no plausible observation" if removed.any() else "no observation"
    silent = len(series) - 1 - int(hours[-1])
    if silent >= SILENT_HOURS:
        return f"no plausible value for {silent} hours" if removed[-silent:].any() else f"silent for {silent} hours"
    if len(hours) < LEAST_HOURS:
        return f"only {len(hours)} hours of history"
    last_week = series[-WEEK:][~np.isnan(series[-WEEK:])]
    if last_week.max() == last_week.min():
        return "all zeros for a week" if last_week[0] == 0 else "constant for a week"
    return None


def fallback(panel: Panel, filled: FloatArray, *, gap: int = 0, fh: int, config: ForecasterConfig) -> FloatArray:
    """Return the forecast [lead, series] in kWh that needs no model: the seasonal base, or ``distant.pattern``.

    Where a series has nothing at the same hour of any earlier day, the mean of what it has; without any value, 0.
    """
    if gap + fh > distant.FROM:
        return distant.pattern(panel, filled, gap=gap, fh=fh)
    days = earlier_days(panel, filled, origin=panel.hours, leads=gap + np.arange(fh), config=config)
    base = days.seasonal_base
    return np.nan_to_num(np.where(np.isnan(base), mean_known(filled), base))
