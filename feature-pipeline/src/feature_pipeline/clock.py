"""Find hours on the Danish clock that a source gives as UTC: they are an hour or two late, and shift what is learnt.

Two kinds of evidence stop a run: a second column that gives the same hours on the Danish clock and contradicts the
first, and the hours that only a clock with summer time leaves out or has twice. A daily profile that is shifted
against the one known before is likely, no proof, and gives a warning.
"""

from datetime import date, datetime, timedelta
from typing import Final, Literal

import polars as pl

from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import HOUR, SERIES
from forecast_core.contracts.window import DATETIME_FORMAT, Window

TIME_ZONE: Final = "Europe/Copenhagen"
Answer = Literal["utc"] | None
"""The setting ``source_clock``: ``utc`` says that a person has checked the source's time column."""

_SHARE: Final = 0.5
"""Share of the series that must have two values in an hour."""
_LEAP: Final = 2
"""Local hour that the clock leaves out in March and shows twice in October."""
_SIDE_DAYS: Final = 7
"""Days before and after a change of the clock whose profiles are compared: every weekday once."""
_LEAST_SIDE_DAYS: Final = 3
_CLEAR: Final = 0.5
"""A lag is clear if its squared differences are at most so much of every other lag's."""
_VALUE, _TIME_UTC = pl.col("energy_consumption"), pl.col("datetime_utc")
ADVICE: Final = "Correct the source, or, if its times are UTC, set ML_PIPELINE_SOURCE_CLOCK=utc; docs/sources.md"


def check_clock_changes(observations: pl.DataFrame, window: Window, *, source: str, answer: Answer) -> list[str]:
    """Look for the hours that only a clock with summer time leaves out or has twice; return warnings.

    Args:
        observations: OBSERVATIONS of the window, in which a key may come twice.
        window: The hours that were asked for.
        source: Its name in messages.
        answer: The setting ``source_clock``; a person's answer is not questioned.

    Raises:
        SourceError: If most series have two values at 02:00 of the autumn day and in no other hour, or if 02:00 of the
            spring day is missing and the daily profile stays where it was, which in UTC moves by an hour.
    """
    if answer == "utc" or observations.is_empty():
        return []
    counts = (
        observations.drop_nulls("datetime_utc")
        .group_by("datetime_utc")
        .agg(rows=pl.len(), series=pl.struct(SERIES).n_unique())
    )
    years = range(window.start.year, window.end.year + 1)
    for autumn in (_leap_hour(year, 10) for year in years):
        doubled = counts.filter(pl.col("rows") - pl.col("series") > _SHARE * pl.col("series"))
        if doubled["datetime_utc"].to_list() == [autumn]:
            rows, series = doubled.row(0)[1:]
            raise SourceError(
                f"the times of {source} are on the Danish clock, not UTC: {rows - series} of {series} series have two "
                f"values at {autumn:{DATETIME_FORMAT}}, the hour that this clock shows twice, and in no other hour. "
                f"{ADVICE}.",
                source=source,
            )
    for spring in (_leap_hour(year, 3) for year in years):
        if _is_left_out(counts, spring):
            return _judge_spring(observations, spring, source=source)
    return []


def _judge_spring(observations: pl.DataFrame, spring: datetime, *, source: str) -> list[str]:
    found = f"no series has a value at {spring:{DATETIME_FORMAT}}, the hour that the Danish clock leaves out"
    day = timedelta(days=1)
    midnight = spring.replace(hour=0)
    before = profile(observations, midnight - _SIDE_DAYS * day, midnight)
    after = profile(observations, midnight + day, midnight + (1 + _SIDE_DAYS) * day)
    lag = clear_lag(before, after)
    if lag == 0:
        raise SourceError(
            f"the times of {source} are on the Danish clock, not UTC: {found}, and the daily profile of the days after "
            f"it is not an hour earlier than before, as it is in UTC. {ADVICE}.",
            source=source,
        )
    # In UTC the same life is an hour earlier after the change: then a single hour is missing by chance.
    return [] if lag == -1 else [f"{found}: the times may be on the Danish clock and not UTC. {ADVICE}"]


def profile(observations: pl.DataFrame, start: datetime, end: datetime) -> list[float] | None:
    """Return the mean day of at least 3 days: 24 values, the median over series each divided by its mean; else None."""
    rows = observations.filter(_TIME_UTC.is_between(start, end, closed="left"))
    if rows["datetime_utc"].dt.date().n_unique() < _LEAST_SIDE_DAYS:
        return None
    mean = _VALUE.mean().over(SERIES)
    relative = rows.with_columns(x=_VALUE / mean).filter(pl.col("x").is_finite(), mean > 0)
    hours = relative.group_by(clock=_TIME_UTC.dt.hour()).agg(pl.col("x").median()).sort("clock")
    return hours["x"].to_list() if hours.height == 24 else None


def clear_lag(before: list[float] | None, after: list[float] | None, *, most: int = 2) -> int | None:
    """Return by how many hours ``after`` is later than ``before``, two profiles of a day; None where that is unclear.

    >>> day = [1.0] * 7 + [3.0, 4.0, 3.0] + [2.0] * 14
    >>> clear_lag(day, day), clear_lag(day, day[1:] + day[:1]), clear_lag(day, [1.0] * 24)
    (0, -1, None)
    """
    if before is None or after is None:
        return None
    misses = {
        lag: sum((after[(hour + lag) % 24] - before[hour]) ** 2 for hour in range(24)) for lag in range(-most, most + 1)
    }
    best = min(misses, key=lambda lag: misses[lag])
    others = min(miss for lag, miss in misses.items() if lag != best)
    return best if misses[best] < _CLEAR * others else None


def _is_left_out(counts: pl.DataFrame, hour: datetime) -> bool:
    """Return whether ``hour`` has no rows and the hours on both sides of it have."""
    present = set(counts["datetime_utc"].to_list())
    return hour not in present and {hour - HOUR, hour + HOUR} <= present


def _leap_hour(year: int, month: Literal[3, 10]) -> datetime:
    """Return 02:00 of the last Sunday of March or October, as a UTC hour."""
    last = date(year, month, 31)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return datetime.fromisoformat(f"{sunday}T{_LEAP:02}:00+00:00")
