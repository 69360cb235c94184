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

from load_forecaster.metrics import FloatArray
from load_forecaster.spans import episodes, runs
from load_forecaster.usual import BLOCK_DAYS, DAY, LARGEST_FACTOR, WEEK, Mask, courses, limits, quantile

FEED_IN_SHARE: Final = 0.01
"""A series feeds in if more than this share of the hours of its last block is negative, on at least two days."""

NEW_LEVEL_HOURS: Final = 72
"""What is far off for longer than this is a new level, not a fault, unless it is absurd or one value repeated."""

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

REPEATED_WITHIN: Final = 4
"""Equal values within the history that are a stuck meter."""

_CODES = np.array([9999, 99999, 999999, 9999999, 99999999, 32767, 65535, 2147483647, 4294967295])
CODES: Final = np.concatenate([_CODES, _CODES / 10, _CODES / 1000])
"""Values by which meters and their protocols say that there is none, as they come and in other units."""

CODE_FACTOR: Final = 1.1
"""Least factor by which an isolated hour with one of ``CODES`` leaves the course of the hours around it."""


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
    low, high, absurd_low, absurd_high = limits(values, feed_in)
    course, limit = courses(values)
    off = (values > high) | (values < low) | ((np.abs(course) > limit) & ~feed_in)
    if not off.any():
        return off
    absurd = (values > absurd_high) | (values < absurd_low)
    for series in np.flatnonzero(off.any(axis=0)).tolist():
        own = values[:, series]
        off[:, series] &= ~_recurs(own) | absurd[:, series]
        off[:, series] |= _beside(off[:, series], course[:, series], limit[:, series]) & ~feed_in[series]
        for start, end in episodes(off[:, series], apart=DAY):
            lasting = end - start > NEW_LEVEL_HOURS and not absurd[start:end, series].any()
            if lasting and len(np.unique(own[start:end])) > (end - start) / 2:
                off[start:end, series] = False
    return off


def _beside(off: Mask, course: FloatArray, limit: FloatArray) -> Mask:
    """Return the hours [hour] half as far off as ``limit`` in the same direction as far ones that they adjoin."""
    result = np.zeros(len(off), dtype=bool)
    for sign in (1, -1):
        near = sign * course > limit / 2
        far = off & (sign * course > 0)
        for start, end in episodes(near | far, apart=AROUND):
            if far[start:end].any():
                result[start:end] |= near[start:end]
    return result


def _isolated(values: FloatArray, feed_in: Mask) -> Mask:
    """Return the hours that leave the course of the hours around them by far more than the series' changes ever do."""
    hours, count = values.shape
    if hours < 3 * DAY or not count:
        return np.zeros(values.shape, dtype=bool)
    course, _ = courses(values)
    padded = np.pad(course, ((AROUND, AROUND), (0, 0)), constant_values=np.nan)
    before, after = (
        course - quantile(np.stack([padded[first + shift : first + shift + hours] for shift in range(AROUND)]), 0.5)
        for first in (0, AROUND + 1)
    )
    # One side alone decides where the other has no value. A step differs from one side only, so it is none.
    before, after = np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)
    apart = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    least = np.full((hours, 1), np.log(ISOLATED_FACTOR))
    least[-AROUND:] = np.log(ISOLATED_AT_END)
    change = quantile(np.abs(np.diff(course, axis=0)), 0.98)
    code = np.isin(values, CODES) & (apart > np.maximum(np.log(CODE_FACTOR), change))
    off = (apart > np.maximum(least, ISOLATED_CHANGES * change)) | code
    off = np.asarray(off & ~feed_in)
    for series in np.flatnonzero(off.any(axis=0)).tolist():
        for hour in np.flatnonzero(off[:, series]).tolist():
            beside = [other for other in (hour - WEEK, hour - DAY, hour + DAY, hour + WEEK) if 0 <= other < hours]
            off[hour, series] = not (apart[beside, series] > apart[hour, series] / 2).any()
    return off


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
        spans = [(start, end + 1) for start, end in runs(same[:, series])]
        lengths = np.array([end - start for start, end in spans])
        newest = int(np.flatnonzero(~np.isnan(values[:, series]))[-1]) + 1
        for (start, end), length in zip(spans, lengths.tolist(), strict=True):
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
