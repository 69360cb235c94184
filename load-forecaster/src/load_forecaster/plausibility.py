"""Find the hours of a history that are faults of measurement or transmission, from the history alone.

Four kinds, each judged within one series, so that a fault never changes what is thought of another:

- magnitude: error codes and outages, far outside the days of the same four weeks (``_far_off``);
- isolated: up to two hours that leave the course of the hours around them (``_isolated``);
- repeated: one value over and over, which this series does not do otherwise (``_repeated``);
- negative: values below zero of a series that does not feed in (``feeds_in``).

Large honest changes stay: holidays and lock-downs lie within the range of nights and weekends, a change that lasts is a
new level, and what recurs a week later is a habit.
"""

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

FEED_IN_SHARE: Final = 0.01
"""A series feeds in if more than this share of the hours of its last block is negative, on at least two days."""

LEAST_FACTOR: Final = 3.0
"""A value is far off beyond this factor of the usual daily extremes, or the sixth power of their spread, if greater."""

LARGEST_FACTOR: Final = 10.0
SPREAD_POWER: Final = 6.0

UNLIKE_FACTOR: Final = 2.5
"""A value is far off, too, beyond this factor of the median of its hour of the day, or this many ``UNLIKE_SPREADS``."""

UNLIKE_SPREADS: Final = 4.0
"""In the 90 % quantile of the distances of the series' values from that median: weekends count as usual."""

NEW_LEVEL_HOURS: Final = 72
"""What is far off for longer than this is a new level, not a fault, unless it is absurd or one value repeated."""

ABSURD: Final = 50.0
"""No level changes by more than this factor."""

SAME_AGAIN: Final = 2.0
"""A value recurs if a week away there is one that differs by less than this factor."""

ISOLATED_FACTOR: Final = 1.35
"""Least factor by which an isolated hour leaves the course of the hours around it."""

ISOLATED_AT_END: Final = 1.6
"""The same for the last hours, which no later hour can show to be the start of a change."""

ISOLATED_CHANGES: Final = 2.0
"""Least distance in large changes of the series (the 98 % quantile) from one hour to the next."""

AROUND: Final = 3
"""Hours before and after an hour that say what its course is."""

RECENT_HOURS: Final = 90 * DAY
"""Isolated hours are looked for in the last hours only: older ones train the member of years, which clips errors."""

REPEATED_AT_END: Final = 3
"""Equal values at the end of the history that are filler: hours that are not known yet."""

REPEATED_WITHIN: Final = 6
"""Equal values within the history that are a stuck meter."""


def feeds_in(values: FloatArray) -> Mask:
    """Return which series [series] are ordinarily negative, as net load behind solar panels is.

    One error code below zero, however often it comes, does not make a series one that feeds in: the negative values
    differ from each other, come on two days or more and are not larger than ``LARGEST_FACTOR`` times the others.
    """
    values = values[-DAY * BLOCK_DAYS :]
    known = (~np.isnan(values)).sum(axis=0)
    negative = values < 0
    candidate = negative.sum(axis=0) > FEED_IN_SHARE * np.maximum(known, 1)
    result = np.zeros(values.shape[1], dtype=bool)
    for series in np.flatnonzero(candidate).tolist():
        below = values[negative[:, series], series]
        days = np.unique(np.flatnonzero(negative[:, series]) // DAY)
        codes, counts = np.unique(below, return_counts=True)
        varied = below[~np.isin(below, codes[counts >= REPEATED_WITHIN])]
        above = values[values[:, series] >= 0, series]
        size = np.median(above) if above.size else np.inf
        few = len(varied) <= FEED_IN_SHARE * known[series]
        result[series] = len(days) >= 2 and not few and np.median(-varied) <= LARGEST_FACTOR * size
    return result


def implausible(values: FloatArray, feed_in: Mask) -> Mask:
    """Return which values [hour, series] in kWh are faults; a missing one (NaN) is none.

    Args:
        values: The history, in hours without a gap in time, up to the first hour to be forecast.
        feed_in: Series that may be negative.
    """
    negative = (values < 0) & ~feed_in
    if values.size == 0:
        return negative
    known = np.where(negative, np.nan, values)
    found = negative | _repeated(known)
    found |= _far_off(np.where(found, np.nan, known), feed_in)
    recent = slice(max(0, len(values) - RECENT_HOURS), None)
    found[recent] |= _isolated(np.where(found, np.nan, known)[recent], feed_in)
    return found


def _far_off(values: FloatArray, feed_in: Mask) -> Mask:
    """Return the values that are far from the days of their block, and neither a habit nor a new level.

    Far is what lies outside the usual daily extremes, or far from the usual value of its hour; and what is next to it
    and half as far off.
    """
    low, high, absurd_low, absurd_high = _limits(values, feed_in)
    course, limit = _courses(values)
    off = (values > high) | (values < low) | ((np.abs(course) > limit) & ~feed_in)
    if not off.any():
        return off
    absurd = (values > absurd_high) | (values < absurd_low)
    for series in np.flatnonzero(off.any(axis=0)).tolist():
        own = values[:, series]
        off[:, series] &= ~_recurs(own) | absurd[:, series]
        off[:, series] |= _beside(off[:, series], course[:, series], limit[:, series]) & ~feed_in[series]
        for start, end in _episodes(off[:, series], apart=DAY):
            lasting = end - start > NEW_LEVEL_HOURS and not absurd[start:end, series].any()
            if lasting and len(np.unique(own[start:end])) > (end - start) / 2:
                off[start:end, series] = False
    return off


def _courses(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far each value is from the usual one of its hour, and which distance is far: logarithms of factors."""
    course, limit = np.zeros(values.shape), np.full(values.shape, np.inf)
    for start, end in _blocks(len(values)):
        course[start:end] = _relative_to_profile(values[start:end])
        if end - start >= WEEK:
            spread = _quantile(np.abs(course[start:end]), 0.9)
            limit[start:end] = np.maximum(np.log(UNLIKE_FACTOR), UNLIKE_SPREADS * spread)
    return course, limit


def _beside(off: Mask, course: FloatArray, limit: FloatArray) -> Mask:
    """Return the hours [hour] half as far off as ``limit`` in the same direction as far ones that they adjoin."""
    result = np.zeros(len(off), dtype=bool)
    for sign in (1, -1):
        near = sign * course > limit / 2
        far = off & (sign * course > 0)
        for start, end in _episodes(near | far, apart=AROUND):
            if far[start:end].any():
                result[start:end] |= near[start:end]
    return result


def _limits(values: FloatArray, feed_in: Mask) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return, for each hour and series, the lowest and highest plausible value, and the bounds of what is absurd."""
    hours, count = values.shape
    bounds = tuple(np.zeros((hours, count)) for _ in range(4))
    for start, end in _blocks(hours):
        within = values[start:end]
        padded = np.full((-len(within) % DAY + len(within), count), np.nan)
        padded[-len(within) :] = within
        days = padded.reshape(-1, DAY, count)
        largest, least = (_sorted(days, axis=1, last=last) for last in (True, False))
        top, middle, bottom, below = (
            _quantile(each, share) for each, share in ((largest, 0.8), (largest, 0.5), (least, 0.2), (least, 0.5))
        )
        up = np.clip(_power(top, middle), LEAST_FACTOR, LARGEST_FACTOR)
        down = np.clip(_power(below, bottom), LEAST_FACTOR, LARGEST_FACTOR)
        # Days of zeros say nothing of what a positive value may be; the days that are not zero do.
        positive = np.where(largest > 0, largest, np.nan)
        sparse = np.where((largest > 0).sum(axis=0) >= 3, LARGEST_FACTOR * _quantile(positive, 0.5), np.inf)
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


def _isolated(values: FloatArray, feed_in: Mask) -> Mask:
    """Return the hours that leave the course of the hours around them by far more than the series' changes ever do."""
    hours, count = values.shape
    if hours < 3 * DAY or not count:
        return np.zeros(values.shape, dtype=bool)
    course, _ = _courses(values)
    padded = np.pad(course, ((AROUND, AROUND), (0, 0)), constant_values=np.nan)
    before, after = (
        course - _quantile(np.stack([padded[first + shift : first + shift + hours] for shift in range(AROUND)]), 0.5)
        for first in (0, AROUND + 1)
    )
    # One side alone decides where the other has no value. A step differs from one side only, so it is none.
    before, after = np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)
    apart = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    least = np.full((hours, 1), np.log(ISOLATED_FACTOR))
    least[-AROUND:] = np.log(ISOLATED_AT_END)
    off = apart > np.maximum(least, ISOLATED_CHANGES * _quantile(np.abs(np.diff(course, axis=0)), 0.98))
    off = np.asarray(off & ~feed_in)
    for series in np.flatnonzero(off.any(axis=0)).tolist():
        for hour in np.flatnonzero(off[:, series]).tolist():
            beside = [other for other in (hour - WEEK, hour - DAY, hour + DAY, hour + WEEK) if 0 <= other < hours]
            off[hour, series] = not (apart[beside, series] > apart[hour, series] / 2).any()
    return off


def _relative_to_profile(values: FloatArray) -> FloatArray:
    """Return the logarithms of values relative to the median of the same hour of the day."""
    hours, count = values.shape
    padded = np.full((-hours % DAY + hours, count), np.nan)
    padded[-hours:] = values
    days = padded.reshape(-1, DAY, count)
    profile = np.maximum(_quantile(days, 0.5), 0)
    size = 0.05 * np.nan_to_num(np.nanmax(profile, axis=0, initial=0.0)) + 1e-9
    return np.asarray(np.log((np.maximum(days, 0) + size) / (profile + size)).reshape(-1, count)[-hours:])


def _repeated(values: FloatArray) -> Mask:
    """Return the values that repeat the one before them in a run that the series does not have otherwise.

    A run of a week or more is the series' true state. Of a run at the end, its first value may be a true one.
    """
    hours, count = values.shape
    found = np.zeros((hours, count), dtype=bool)
    if hours < 2:
        return found
    same = values[1:] == values[:-1]
    for series in np.flatnonzero(same.any(axis=0)).tolist():
        runs = [(start, end + 1) for start, end in _runs(same[:, series])]
        lengths = np.array([end - start for start, end in runs])
        newest = int(np.flatnonzero(~np.isnan(values[:, series]))[-1]) + 1
        for (start, end), length in zip(runs, lengths.tolist(), strict=True):
            least = REPEATED_AT_END if end == newest else REPEATED_WITHIN
            others = int((lengths >= max(2.0, length / 2)).sum()) - 1
            if least <= length < WEEK and others <= 1 + hours // 1000:
                found[start + 1 : end, series] = True
    return found


def _recurs(values: FloatArray) -> Mask:
    """Return which values [hour] have one like them a week away; an equal one must be there two weeks away, too."""
    result = np.zeros(len(values), dtype=bool)
    alike = np.zeros((4, len(values)), dtype=bool)
    equal = np.zeros((4, len(values)), dtype=bool)
    for index, shift in enumerate((-2 * WEEK, -WEEK, WEEK, 2 * WEEK)):
        other = np.full(len(values), np.nan)
        if abs(shift) < len(values):
            if shift > 0:
                other[shift:] = values[:-shift]
            else:
                other[:shift] = values[-shift:]
        high, low = np.maximum(values, other), np.minimum(values, other)
        alike[index] = (high <= SAME_AGAIN * low) & (values != other)
        equal[index] = values == other
    result |= alike.any(axis=0)
    return np.asarray(result | (equal.sum(axis=0) >= 2))


def _blocks(hours: int) -> list[tuple[int, int]]:
    """Return the blocks of ``BLOCK_DAYS`` days, counted from the end; the oldest takes up to as many days more."""
    size = DAY * BLOCK_DAYS
    ends = [hours - size * back for back in range(max(1, hours // size))]
    starts = [*(end - size for end in ends[:-1]), 0]
    return list(zip(starts, ends, strict=True))


def _runs(flags: Mask) -> list[tuple[int, int]]:
    """Return the runs [start, end) of true flags.

    >>> _runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _episodes(flags: Mask, *, apart: int) -> list[tuple[int, int]]:
    """Return the runs [start, end) of true flags, those less than ``apart`` hours apart as one.

    >>> _episodes(np.array([True, False, True]), apart=2)
    [(0, 3)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in _runs(flags):
        first = merged.pop()[0] if merged and start - merged[-1][1] < apart else start
        merged.append((first, end))
    return merged


def _quantile(values: FloatArray, share: float) -> FloatArray:
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


def _power(larger: FloatArray, smaller: FloatArray) -> FloatArray:
    """Return the ratio of two values to the power that makes a limit of their spread; infinite if undefined."""
    ratio = np.where(smaller > 0, larger / np.where(smaller > 0, smaller, 1.0), np.inf)
    return np.asarray(np.minimum(ratio, LARGEST_FACTOR) ** SPREAD_POWER)
