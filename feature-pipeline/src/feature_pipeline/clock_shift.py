"""Warn where values or daily profiles come an hour or two beside those known before: their clock may be another one."""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from feature_pipeline.clock import ADVICE, TIME_ZONE, Answer
from forecast_core.contracts.schema import HOUR, KEY, SERIES

_LAGS: Final = (1, 2, -1, -2)
"""Hours; Danish time is one or two ahead of UTC."""
_SAME: Final = 0.9
"""Share of a day's values that must be those known for another hour; as many must differ from those of their own."""
_LEAST_VALUES: Final = 12
_BLOCK_DAYS: Final = 7
"""Days whose mean profile is compared: every weekday once, because weekends are later than workdays."""
_MOST_DAYS: Final = 28
"""Earlier days that say what is usual."""
_CLEAR: Final = 0.5
"""A shift is told if its squared differences are at most so much of every other one's."""
_VALUE: Final = pl.col("energy_consumption")
_Days = dict[date, np.ndarray]


def warn(observations: pl.DataFrame, known: pl.DataFrame, *, answer: Answer) -> list[str]:
    """Return a warning if days of the window are shifted by an hour or two.

    Args:
        observations: OBSERVATIONS of the window.
        known: OBSERVATIONS known before, of the window and of weeks before it; possibly none.
        answer: The setting ``source_clock``; a person's answer is not questioned.
    """
    if answer == "utc" or observations.is_empty():
        return []
    return _repeated_elsewhere(observations, known) or _shifted_profile(observations, known)


def _repeated_elsewhere(observations: pl.DataFrame, known: pl.DataFrame) -> list[str]:
    """Compare values with those known for other hours."""
    own = known.select(*KEY, own="energy_consumption")
    for lag in _LAGS:
        other = known.select(*SERIES, pl.col("datetime_utc") + lag * HOUR, other="energy_consumption")
        days = (
            observations.join(own, on=KEY)
            .join(other, on=KEY)
            .filter(pl.col("own") != pl.col("other"))
            .group_by(day=pl.col("datetime_utc").dt.date())
            .agg(
                values=pl.len(),
                moved=(pl.col("other") == _VALUE).mean(),
                changed=(pl.col("own") != _VALUE).mean(),
            )
            .filter(pl.col("values") >= _LEAST_VALUES, pl.col("moved") >= _SAME, pl.col("changed") >= _SAME)
        )
        if days.height:
            direction = "earlier" if lag > 0 else "later"
            first, last = days.select(first=pl.col("day").min(), last=pl.col("day").max()).row(0)
            return [
                f"{days['values'].sum():,} values of {days.height} days from {first} to {last} are those known for "
                f"{abs(lag)} h {direction}: their times may be on the Danish clock. {ADVICE}"
            ]
    return []


def _shifted_profile(observations: pl.DataFrame, known: pl.DataFrame) -> list[str]:
    """Compare the mean day of each 7 days with that of the days before, on the Danish clock."""
    days = _days(observations)
    if not days:
        return []
    earlier = {day: shape for day, shape in _days(known).items() if day < min(days)}
    found: dict[int, list[date]] = {}
    for first in sorted(days):
        block = [first + timedelta(days=more) for more in range(_BLOCK_DAYS)]
        # The newest ones only: with the seasons, daylight moves the profile.
        others = [shape for day, shape in sorted({**earlier, **days}.items()) if day < first][-_MOST_DAYS:]
        if len(others) < _BLOCK_DAYS or not all(day in days for day in block):
            continue
        lag = _lag(others, [days[day] for day in block])
        if lag:
            found.setdefault(lag, []).append(first)
    if not found:
        return []
    lag, starts = max(found.items(), key=lambda item: len(item[1]))
    direction = "later" if lag > 0 else "earlier"
    return [
        f"from {min(starts)} to {max(starts) + timedelta(days=_BLOCK_DAYS - 1)} the daily profile is {abs(lag)} h "
        f"{direction} than on the days before: these times may be on another clock than UTC. {ADVICE}"
    ]


def _days(observations: pl.DataFrame) -> _Days:
    """Return the profile of each full local day: 24 values, the median over series each divided by its mean."""
    local = pl.col("datetime_utc").dt.convert_time_zone(TIME_ZONE)
    mean = _VALUE.mean().over(SERIES)
    table = (
        observations.with_columns(day=local.dt.date(), clock=local.dt.hour(), x=_VALUE / mean)
        .filter(mean > 0, pl.col("x").is_finite())
        .group_by("day", "clock")
        .agg(pl.col("x").median())
        .sort("day", "clock")
    )
    profiles = table.group_by("day", maintain_order=True).agg("x")
    return {day: np.array(x) for day, x in profiles.iter_rows() if len(x) == 24}


def _lag(others: list[np.ndarray], block: list[np.ndarray]) -> int:
    """Return by how many hours the block's mean day is later than the others', 0 where that is unclear."""
    usual, shape = np.median(others, axis=0), np.mean(block, axis=0)
    misses = {lag: float(np.sum((np.roll(shape, -lag) - usual) ** 2)) for lag in (0, *_LAGS)}
    best = min(misses, key=lambda lag: misses[lag])
    return best if misses[best] < _CLEAR * min(miss for lag, miss in misses.items() if lag != best) else 0
