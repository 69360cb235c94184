"""What is usual for a series: its daily extremes and the values of each hour of the day, in blocks of four weeks."""

from typing import Final

import numpy as np
import numpy.typing as npt

from load_forecaster.metrics import FloatArray

Mask = npt.NDArray[np.bool_]

DAY: Final = 24
WEEK: Final = 168
BLOCK_DAYS: Final = 28
"""Magnitudes are compared within blocks of so many days: long enough for a fault of five days to stay a minority, short
enough for the seasons not to matter."""

LEAST_FACTOR: Final = 3.0
"""A value is far off beyond this factor of the usual daily extremes, or the sixth power of their spread, if greater."""

LARGEST_FACTOR: Final = 10.0

SPREAD_POWER: Final = 6.0

ABSURD: Final = 50.0
"""No level changes by more than this factor."""

UNLIKE_FACTOR: Final = 2.5
"""A value is far off, too, beyond this factor of the median of its hour of the day, or this many ``UNLIKE_SPREADS``."""

UNLIKE_SPREADS: Final = 4.0
"""In the 90 % quantile of the distances of the series' values from that median: weekends count as usual."""


def courses(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far each value is from the usual one of its hour, and which distance is far: logarithms of factors."""
    course, limit = np.zeros(values.shape), np.full(values.shape, np.inf)
    for start, end in blocks(len(values)):
        course[start:end] = _relative_to_profile(values[start:end])
        if end - start >= WEEK:
            spread = quantile(np.abs(course[start:end]), 0.9)
            limit[start:end] = np.maximum(np.log(UNLIKE_FACTOR), UNLIKE_SPREADS * spread)
    return course, limit


def _relative_to_profile(values: FloatArray) -> FloatArray:
    """Return the logarithms of values relative to the median of the same hour of the day."""
    hours, count = values.shape
    padded = np.full((-hours % DAY + hours, count), np.nan)
    padded[-hours:] = values
    days = padded.reshape(-1, DAY, count)
    profile = np.maximum(quantile(days, 0.5), 0)
    size = 0.05 * np.nan_to_num(np.nanmax(profile, axis=0, initial=0.0)) + 1e-9
    return np.asarray(np.log((np.maximum(days, 0) + size) / (profile + size)).reshape(-1, count)[-hours:])


def limits(values: FloatArray, feed_in: Mask) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return, for each hour and series, the lowest and highest plausible value, and the bounds of what is absurd."""
    hours, count = values.shape
    bounds = tuple(np.zeros((hours, count)) for _ in range(4))
    for start, end in blocks(hours):
        within = values[start:end]
        padded = np.full((-len(within) % DAY + len(within), count), np.nan)
        padded[-len(within) :] = within
        days = padded.reshape(-1, DAY, count)
        largest, least = (_sorted(days, axis=1, last=last) for last in (True, False))
        top, middle, bottom, below = (
            quantile(each, share) for each, share in ((largest, 0.8), (largest, 0.5), (least, 0.2), (least, 0.5))
        )
        up = np.clip(_power(top, middle), LEAST_FACTOR, LARGEST_FACTOR)
        down = np.clip(_power(below, bottom), LEAST_FACTOR, LARGEST_FACTOR)
        # Days of zeros say nothing of what a positive value may be; the days that are not zero do.
        positive = np.where(largest > 0, largest, np.nan)
        sparse = np.where((largest > 0).sum(axis=0) >= 3, LARGEST_FACTOR * quantile(positive, 0.5), np.inf)
        top_limit = np.where(top > 0, up * top, sparse)
        span = np.maximum(top - bottom, 1e-9)
        limits = (
            np.where(feed_in, bottom - LEAST_FACTOR * span, bottom / down),
            np.where(feed_in, top + LEAST_FACTOR * span, top_limit),
            np.where(feed_in, bottom - ABSURD * span, bottom / ABSURD),
            np.where(feed_in, top + ABSURD * span, np.where(top > 0, ABSURD * top, np.inf)),
        )
        for bound, limit in zip(bounds, limits, strict=True):
            bound[start:end] = limit
    return bounds[0], bounds[1], bounds[2], bounds[3]


def _power(larger: FloatArray, smaller: FloatArray) -> FloatArray:
    """Return the ratio of two values to the power that makes a limit of their spread; infinite if undefined."""
    ratio = np.where(smaller > 0, larger / np.where(smaller > 0, smaller, 1.0), np.inf)
    return np.asarray(np.minimum(ratio, LARGEST_FACTOR) ** SPREAD_POWER)


def blocks(hours: int) -> list[tuple[int, int]]:
    """Return the blocks of ``BLOCK_DAYS`` days, counted from the end; the oldest takes up to as many days more."""
    size = DAY * BLOCK_DAYS
    ends = [hours - size * back for back in range(max(1, hours // size))]
    starts = [*(end - size for end in ends[:-1]), 0]
    return list(zip(starts, ends, strict=True))


def quantile(values: FloatArray, share: float) -> FloatArray:
    """Return the lower quantile over the first axis of what is known; NaN where nothing is. Faster than numpy's."""
    known = (~np.isnan(values)).sum(axis=0)
    place = np.floor(share * np.maximum(known - 1, 0)).astype(np.int64)
    return np.asarray(np.take_along_axis(np.sort(values, axis=0), place[None], axis=0)[0])


def _sorted(days: FloatArray, *, axis: int, last: bool) -> FloatArray:
    """Return the largest or least known value along an axis; NaN where nothing is known."""
    empty = -np.inf if last else np.inf
    filled = np.where(np.isnan(days), empty, days)
    found = filled.max(axis=axis) if last else filled.min(axis=axis)
    return np.where(np.isfinite(found), found, np.nan)
