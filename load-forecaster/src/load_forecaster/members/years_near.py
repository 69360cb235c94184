"""What the member of years learns from up to a week ahead: yesterday's errors of the Gaussian processes' forecast.

Tomorrow's weather is in no history of consumption, but today's is in that of every series, and it stays or travels. So
yesterday's errors, own and along the principal directions of all series, predict the next day's.
"""

from typing import Final

import numpy as np

from load_forecaster.features import mean_known
from load_forecaster.gaussian import WINDOW_DAYS, GaussianForecasts, gaussian_forecasts
from load_forecaster.members.days import DAY, LARGEST_ERROR, Days
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.parallel import each

STRIDE_DAYS: Final = 20
"""Days between the ends of the windows of ``WINDOW_DAYS`` that the Gaussian processes look at the history through. Each
window gives as many origins, for one factorisation; the oldest of them still has ten days before it."""

LATEST_HOURS: Final = 3
"""Errors of so many latest hours are features one by one, beside the means of ``DAY_PARTS`` parts of the day."""

DAY_PARTS: Final = 8
"""Parts of three hours. Daily means of a week beside them gain nothing: on EIA-930 of 2022 .590 with them, the level of
the day and a wave of the year, .585 without."""


def own_features(missed: FloatArray) -> FloatArray:
    """Return the own features [series, feature] of the errors of the last day.

    Args:
        missed: Observed minus baseline [hour, series] over the last 24 hours, relative to the level; 0 where unknown.
    """
    within = np.clip(missed, -LARGEST_ERROR, LARGEST_ERROR)
    parts = within.reshape(DAY_PARTS, DAY // DAY_PARTS, -1).mean(axis=1)
    return np.concatenate([parts, within[-LATEST_HOURS:]]).T


def days(panel: Panel, filled: FloatArray, *, ahead: int, threads: int) -> Days:
    """Return the days of a history, the baseline being the Gaussian processes' forecast as of each origin.

    Args:
        panel: The history.
        filled: Its values [hour, series] with gaps bridged.
        ahead: Leads from the origin on.
        threads: Windows that are looked at at once.
    """

    def forecasts(end: int) -> GaussianForecasts:
        values = filled[end - DAY * WINDOW_DAYS : end]
        return gaussian_forecasts(panel.until(end, WINDOW_DAYS), values, fh=ahead, origins=STRIDE_DAYS + 2)

    ends = range(panel.hours, DAY * WINDOW_DAYS - 1, -DAY * STRIDE_DAYS)
    origins: list[int] = []
    baselines, own = [], []
    for end, found in zip(ends, each(forecasts, ends, threads=threads), strict=True):
        for index, within in enumerate(found.origins[:-1]):
            origin = end - DAY * WINDOW_DAYS + within
            # Windows overlap by a few origins, and the newest origins have no day after them to learn from.
            if origin + ahead > panel.hours or (origins and origin >= origins[-1]):
                continue
            level = mean_known(filled[origin - 7 * DAY : origin])
            missed = filled[origin - DAY : origin] - found.values[index + 1][:DAY]
            origins.append(origin)
            baselines.append(found.values[index][:ahead].astype(np.float32))
            own.append(own_features(np.nan_to_num(missed / np.where(level > 0, level, 1.0))))
    return Days(np.array(origins), np.stack(baselines), np.stack(own), first=0, errors=True)
