"""Features of every (lead, series) at one origin: the one path for training, evaluation and serving.

Everything is relative to the series' level (its mean over the last seven days), so that one model serves series of any
size. Values of earlier hours are differences to their seasonal base (``seasonal``). Members learn the residual to the
Gaussian processes' forecast (``gaussian``), which is a feature too.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster.alike import mean_of
from load_forecaster.config import ForecasterConfig
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel
from load_forecaster.seasonal import EarlierDays, earlier_days
from load_forecaster.usual import Mask

WEEK: Final = 168
SHOWN_LAGS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 13)
RECENT: Final = (1, 3, 6, 24)
PROFILE: Final = 8
"""Parts of the last day whose mean differences to the seasonal base are features."""

NUMERIC: Final = (
    *(f"day_{lag}" for lag in SHOWN_LAGS),
    "week_mean",
    *(f"recent_{hours}" for hours in RECENT),
    "same_hour",
    "same_hour_smooth",
    "all_same_hour",
    "all_recent_1",
    "all_recent_6",
    "all_recent_24",
    "level_day",
    "level_week_before",
    "base",
    "spread",
    "expected",
    *(f"part_{part}" for part in range(PROFILE)),
    "missed",
    "missed_day",
    "all_missed",
    "alike_missed",
    "alike_missed_day",
    "alike_recent_1",
    "alike_recent_6",
    "alike_same_hour",
)
CALENDAR: Final = ("hour", "weekday", "day_type", "day_type_before", "lead")
NAMES: Final = (*NUMERIC, *CALENDAR)
"""Names of the features, in the order of the last axis of ``Block.x``.

``base`` is the seasonal base, ``expected`` the Gaussian forecast minus it. Stored models have these names.
"""

USUAL: Final = "usual course"
"""The group of inputs that what all rows share is counted to."""


def _group(name: str) -> str:
    starts = {
        "day_": "earlier days",
        "week_mean": "earlier days",
        "recent": "latest hours",
        "part": "latest hours",
        "same_hour": "same hour yesterday",
        "all_": "all series",
        "alike": "series most alike",
        "missed": "errors of the day before",
        "level": "level",
    }
    if name in CALENDAR:
        return "calendar"
    return next((group for start, group in starts.items() if name.startswith(start)), USUAL)


GROUPS: Final = {name: _group(name) for name in NAMES}
"""The group of inputs that each feature is explained as."""


@dataclass(frozen=True)
class Block:
    """Features ``x[lead, series, feature]`` at one origin, and how to turn a residual to ``gaussian`` back into kWh.

    ``gaussian[lead, series]`` is the Gaussian processes' forecast, relative to the level.

    ``usable[series]`` is false where the level is not positive: nothing can be relative to it.
    ``variation[series]`` is the mean absolute change from day to day, relative to the level, and
    ``missed[hour, series]`` the error of the Gaussian forecast over the last day, relative to the level.
    """

    x: FloatArray
    gaussian: FloatArray
    level: FloatArray
    variation: FloatArray
    usable: np.ndarray[tuple[int], np.dtype[np.bool_]]
    missed: FloatArray


def block(
    panel: Panel,
    values: FloatArray,
    *,
    origin: int,
    gaussian: FloatArray,
    gaussian_before: FloatArray,
    alike: IntArray,
    config: ForecasterConfig,
    unknown: Mask,
) -> Block:
    """Return the features for the hours from ``origin`` on, from the values of hours before ``origin``.

    Args:
        panel: The history.
        values: Its values with gaps bridged.
        origin: The first hour to forecast.
        gaussian: The Gaussian processes' forecast [lead, series] as of ``origin``, in kWh.
        gaussian_before: The same as of the day before, at least 24 hours.
        alike: The series most alike, as ``alike.most_alike`` says.
        config: Tunables.
        unknown: Which values [hour, series] were bridged: they say nothing of other series.
    """
    fh = len(gaussian)
    leads = np.arange(-24, fh)
    last_week = values[max(0, origin - WEEK) : origin]
    level = mean_known(last_week)
    usable = level > 0
    level = np.where(usable, level, 1.0)
    days = earlier_days(panel, values, origin=origin, leads=leads, config=config)
    days = EarlierDays(days.values / level, days.seasonal_base / level)
    seasonal_base = np.nan_to_num(days.seasonal_base[24:], nan=1.0)
    differed = _last_day(values, origin, level, days.seasonal_base)
    bridged = np.ones(differed.shape, dtype=bool)
    bridged[24 - min(24, origin) :] = unknown[max(0, origin - 24) : origin]
    recent = _recent(differed, usable, bridged, fh)
    numeric = np.stack([*_days(days, seasonal_base), *recent, *_levels(values, origin, level, fh)])
    ahead = gaussian / level
    of_parts = differed.reshape(PROFILE, 24 // PROFILE, -1).mean(axis=1)
    parts = np.broadcast_to(of_parts[:, None], (PROFILE, *seasonal_base.shape))
    missed = np.zeros_like(differed)
    if origin >= 24:
        missed = np.nan_to_num((values[origin - 24 : origin] - gaussian_before[:24]) / level)
    errors = _errors(missed, differed, usable, bridged, alike, fh)
    numeric = np.concatenate([numeric, np.stack([seasonal_base, _spread(days), ahead - seasonal_base]), parts, errors])
    calendar = np.broadcast_to(_calendar(panel, origin, fh)[:, :, None], (len(CALENDAR), fh, len(level)))
    x = np.moveaxis(np.concatenate([numeric, calendar]), 0, -1)
    return Block(x, ahead, level, variation(values, origin) / level, usable, missed)


def mean_known(values: FloatArray) -> FloatArray:
    """Return the mean over hours of the values that are not NaN; NaN where there is none."""
    known = (~np.isnan(values)).sum(axis=0)
    return np.where(known > 0, np.nan_to_num(values).sum(axis=0) / np.maximum(known, 1), np.nan)


def _days(days: EarlierDays, seasonal_base: FloatArray) -> list[FloatArray]:
    """Earlier days relative to the seasonal base; an unknown value counts as the seasonal base."""
    lags = days.values[:, 24:] - seasonal_base
    week = mean_known(lags[:7])
    return [*(np.nan_to_num(lags[lag]) for lag in SHOWN_LAGS), np.nan_to_num(week)]


def _last_day(values: FloatArray, origin: int, level: FloatArray, seasonal_base: FloatArray) -> FloatArray:
    """Return how the last 24 hours differed from their seasonal base; 0 where unknown."""
    count = min(24, origin)
    differed = np.full((24, len(level)), np.nan)
    differed[24 - count :] = values[origin - count : origin] / level - seasonal_base[24 - count : 24]
    return np.asarray(np.nan_to_num(differed))


def _sound(values: FloatArray, usable: np.ndarray, bridged: Mask) -> tuple[FloatArray, FloatArray]:
    """Return the mean over usable series [hour], and values [hour, series] with it in place of bridged ones."""
    if not usable.any():
        return np.zeros(len(values)), values
    if not bridged.any():
        return values[:, usable].mean(axis=1), values
    common = np.nan_to_num(mean_known(np.where(bridged, np.nan, values)[:, usable].T))
    return common, np.where(bridged, common[:, None], values)


def _recent(differed: FloatArray, usable: np.ndarray, bridged: Mask, fh: int) -> list[FloatArray]:
    """How the last hours differed from their seasonal base: per series, at the same hour, and over all series."""
    recent = [differed[-hours:].mean(axis=0) for hours in RECENT]
    same_hour = np.arange(fh) % 24
    smooth = (np.roll(differed, 1, axis=0) + differed + np.roll(differed, -1, axis=0)) / 3
    common, _ = _sound(differed, usable, bridged)
    shape = (fh, differed.shape[1])
    return [
        *(np.broadcast_to(value, shape) for value in recent),
        differed[same_hour],
        smooth[same_hour],
        np.broadcast_to(common[same_hour, None], shape),
        *(np.full(shape, common[-hours:].mean()) for hours in (1, 6, 24)),
    ]


def _errors(
    missed: FloatArray, differed: FloatArray, usable: np.ndarray, bridged: Mask, alike: IntArray, fh: int
) -> FloatArray:
    """Return the errors of the Gaussian forecast over the last day, and how the series most alike fared."""
    same_hour, shape = np.arange(fh) % 24, (fh, missed.shape[1])
    common, sound = _sound(missed, usable, bridged)
    of_others, differed = mean_of(sound, alike), mean_of(_sound(differed, usable, bridged)[1], alike)
    rows = [
        missed[same_hour],
        np.broadcast_to(missed.mean(axis=0), shape),
        np.broadcast_to(common[same_hour, None], shape),
        of_others[same_hour],
        np.broadcast_to(of_others.mean(axis=0), shape),
        *(np.broadcast_to(differed[-hours:].mean(axis=0), shape) for hours in (1, 6)),
        differed[same_hour],
    ]
    return np.stack(rows)


def _levels(values: FloatArray, origin: int, level: FloatArray, fh: int) -> list[FloatArray]:
    """Level of the last day, and of the week before the last, against that of the last week."""
    last_day = mean_known(values[max(0, origin - 24) : origin])
    week_before = mean_known(values[max(0, origin - 2 * WEEK) : max(0, origin - WEEK)])
    return [np.broadcast_to(np.nan_to_num(part / level - 1), (fh, len(level))) for part in (last_day, week_before)]


def _spread(days: EarlierDays) -> FloatArray:
    """Standard deviation over the latest seven days."""
    week = days.values[:7, 24:]
    return np.sqrt(np.nan_to_num(mean_known((week - mean_known(week)) ** 2)))


def _calendar(panel: Panel, origin: int, fh: int) -> FloatArray:
    hours = np.arange(origin, origin + fh)
    local = panel.local
    # The same local hour of the day before: another UTC hour when the clocks changed in between.
    same_utc_hour = np.maximum(hours - 24, 0)
    before = np.maximum(same_utc_hour + local.offset[hours] - local.offset[same_utc_hour], 0)
    rows = (local.hour[hours], local.weekday[hours], local.day_type[hours], local.day_type[before], hours - origin)
    return np.stack(rows).astype(np.float64)


def variation(values: FloatArray, origin: int) -> FloatArray:
    """Mean absolute change from day to day over the last four weeks, in kWh; 0 where unknown."""
    recent = values[max(0, origin - 4 * WEEK) : origin]
    return np.nan_to_num(mean_known(np.abs(recent[24:] - recent[:-24])))
