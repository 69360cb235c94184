"""The forecast of hours so far after the last observation that the last days say little: level times weekly pattern."""

from typing import Final

import numpy as np

from load_forecaster.features import WEEK, mean_known
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.seasonal import latest_known_day, weighted_mean

FROM: Final = WEEK
"""Hours after the last observation from which on forecasts are distant."""

WEEKS: Final = 4
DAY_DECAY: Final = 0.97
OTHER_DAY_WEIGHT: Final = 0.03


def pattern(panel: Panel, filled: FloatArray, *, gap: int, fh: int, origin: int | None = None) -> FloatArray:
    """Return the forecast [lead, series] in kWh of the hours from ``gap`` after ``origin``, from those before it.

    The mean of the last seven days, times what the same local hours of the last four weeks were of the means of their
    weeks, days of the same type (workday, Saturday, Sunday) first. Without any week, the mean of what is known; else 0.
    """
    origin = panel.hours if origin is None else origin
    target = origin + gap + np.arange(fh)
    days = np.arange(1, 7 * WEEKS + 1)[:, None]
    source = target - 24 * (latest_known_day(target - origin) + days - 1)
    source = source + panel.local.offset[target] - panel.local.offset[np.maximum(source, 0)]
    known = (source >= 0) & (source < origin)
    source = np.where(known, source, 0)
    level = _weekly_means(filled[:origin])
    week = np.minimum((origin - 1 - source) // WEEK, WEEKS - 1)
    found = np.where(known[..., None], filled[source] / level[week], np.nan)
    same_type = panel.local.day_type[source] == panel.local.day_type[target]
    weight: FloatArray = np.power(DAY_DECAY, days) * np.where(same_type, 1.0, OTHER_DAY_WEIGHT)
    shape = weighted_mean(found, weight[..., None])
    latest = np.where(np.isnan(level[0]), mean_known(filled[:origin]), level[0])
    return np.asarray(np.nan_to_num(np.where(np.isnan(shape), 1.0, shape) * latest))


def _weekly_means(filled: FloatArray) -> FloatArray:
    """Return the mean of each of the last weeks, newest first: [week, series]; NaN where unknown or not positive."""
    ends = [len(filled) - WEEK * week for week in range(WEEKS)]
    means = np.stack([mean_known(filled[max(0, end - WEEK) : max(0, end)]) for end in ends])
    return np.asarray(np.where(means > 0, means, np.nan))
