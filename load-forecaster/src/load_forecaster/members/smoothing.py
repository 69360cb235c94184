"""A member that needs no fit: exponential smoothing with a daily and a weekly pattern and autocorrelated errors.

After Taylor (2010), doi:10.1016/j.ejor.2009.10.003. Each series is smoothed by every setting of a grid; the settings
are averaged by how well they forecast the last days.
"""

from itertools import product
from typing import Final

import numpy as np

from load_forecaster.gaussian import relative
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel

GRID: Final = np.array(list(product((0.0, 0.005, 0.03), (0.05, 0.2, 0.4), (0.1, 0.3, 0.6), (0.6, 0.85, 0.95)))).T
"""Rates of level, daily and weekly pattern, and autocorrelation: [4, setting]."""

REPLAYED: Final = 7
REPLAY_DECAY: Final = 0.85
SHARPNESS: Final = 8.0
LARGEST_ERROR: Final = 0.5
WEEK_SHARE: Final = 0.7
SERIES_AT_ONCE: Final = 256


def forecast(panel: Panel, filled: FloatArray, *, fh: int) -> FloatArray:
    """Return the forecast [lead, series] in kWh from values with gaps bridged."""
    level, values = relative(filled, filled)
    parts = np.array_split(np.arange(values.shape[1]), -(-values.shape[1] // SERIES_AT_ONCE) or 1)
    hour_of_week = _hour_of_week(panel)
    return np.concatenate([_smoothed(values[:, part], hour_of_week, fh) for part in parts], axis=1) * level


def _hour_of_week(panel: Panel) -> IntArray:
    return np.asarray(24 * panel.local.weekday + panel.local.hour)


def _start(values: FloatArray, hour_of_week: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return level, daily and weekly pattern of the first weeks: [series], [24, series], [168, series]."""
    level = values.mean(axis=0)
    day, week = np.zeros((24, values.shape[1])), np.zeros((168, values.shape[1]))
    hour_of_week = hour_of_week[: len(values)]
    for hour in np.unique(hour_of_week % 24).tolist():
        day[hour] = np.mean(values[hour_of_week % 24 == hour] - level, axis=0)
    for hour in np.unique(hour_of_week).tolist():
        week[hour] = WEEK_SHARE * np.mean(values[hour_of_week == hour] - level - day[hour % 24], axis=0)
    return level, day, week


def _smoothed(values: FloatArray, hour_of_week: IntArray, fh: int) -> FloatArray:
    level_rate, day_rate, week_rate, memory = GRID[..., None]
    hours, series = values.shape
    start = max(24, min(336, (hours - 200) // 168 * 168)) if hours > 24 else hours
    shape = (GRID.shape[1], series)
    level, day, week = (
        np.repeat(part[..., None, :], shape[0], axis=-2) for part in _start(values[:start], hour_of_week)
    )
    last = np.zeros(shape)
    error, total = np.zeros(shape), 0.0

    def path(origin: int, count: int) -> FloatArray:
        index = hour_of_week[origin : origin + count]
        fading = memory ** np.arange(1, count + 1)[:, None, None]
        return np.asarray(level + day[index % 24] + week[index] + last * fading)

    for hour in range(start, hours):
        ahead = hours - hour
        if ahead % 24 == 0 and ahead <= 24 * REPLAYED:
            weight = REPLAY_DECAY ** (ahead // 24)
            error += weight * np.abs(path(hour, 24) - values[hour : hour + 24, None]).mean(axis=0)
            total += weight
        index = int(hour_of_week[hour])
        surprise = values[hour] - (level + day[index % 24] + week[index])
        step = np.clip(surprise - memory * last, -LARGEST_ERROR, LARGEST_ERROR)
        level = level + level_rate * step
        day[index % 24] += day_rate * step
        week[index] += week_rate * step
        last = np.clip(surprise, -2 * LARGEST_ERROR, 2 * LARGEST_ERROR)
    error = error / max(total, 1e-9) + 1e-9
    weight = np.exp(-SHARPNESS * (error / error.min(axis=0) - 1))
    return np.asarray((path(hours, fh) * (weight / weight.sum(axis=0))).sum(axis=1))
