"""Whether series look as they do otherwise: flat lines, zeros, spikes and level shifts, each a pure function.

A value is judged by its own series in the window alone: its local hour on other days, its neighbours, and how much the
series usually varies. The rules are those of Ruggles et al., Sci Data 7, 155 (2020), brought into a window of a month
with nothing after it, and made deaf to what a series does all the time. Thresholds: docs/validation.md.
"""

from typing import Final

import polars as pl

from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.window import Window

TIME_ZONE: Final = "Europe/Copenhagen"

FLAGS: Final = pl.Schema({**OBSERVATIONS, "reason": pl.String()})
"""Values that a rule finds unlike the rest of their series, and why."""

FLAT_HOURS: Final = 3
"""Equal hours in a row from which on a line is flat, if the series seldom repeats a value by chance."""
STUCK_HOURS: Final = 48
"""Equal hours in a row from which on any line is flat."""

SPIKE_IQRS: Final = 2.0
"""Least jump to both neighbours, in interquartile ranges of the series' hourly changes."""
STEP_IQRS: Final = 5.0
"""The same where there is no next hour yet."""
ABOVE_IQRS, BELOW_IQRS = 3.5, 2.5
"""Least deviation from the expected value, in interquartile ranges of the series around its 48-hour median."""
UNUSUAL: Final = 2.0
"""How many times what is rare for the series, and for the series at that local hour, a deviation must be."""

LEAST_DAYS: Final = 7
"""Values of a series at a local hour from which on what is usual there can be told."""

SHIFT_HOURS: Final = 24
SHIFT_MARGIN: Final = 0.5
SHIFT_FACTOR: Final = 1.25
"""A level has shifted when so many hours in a row lie this share of the earlier range outside that range, and their
median is this many times the median of as many hours before, or less than its inverse."""

_ROLLING_HOURS: Final = 48
_LEAST_HOURS: Final = 12
_VALUE, _HOUR = pl.col("energy_consumption"), pl.col("datetime_utc")
_NUMBER: Final = "{:,.0f}"


def grid(observations: pl.DataFrame, window: Window, *, time_zone: str = TIME_ZONE) -> pl.DataFrame:
    """Return every hour of the window for every series, sorted: OBSERVATIONS (null where missing), series, hour.

    ``series`` numbers the series, ``hour`` is the local hour. Rows that have no place in it (no key, off the hour,
    outside the window, the second of a key) are left out: they break promises of their own.
    """
    inside = _HOUR.is_between(window.start, window.end, closed="left") & (_HOUR.dt.truncate("1h") == _HOUR)
    placed = observations.drop_nulls(KEY).filter(inside).unique(KEY, keep="first", maintain_order=True)
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    local = hours.dt.convert_time_zone(time_zone).dt.hour()
    table = pl.DataFrame({"datetime_utc": hours, "hour": local}, schema={"datetime_utc": UTC_HOUR, "hour": pl.Int8})
    series = placed.select(SERIES).unique().sort(SERIES).with_row_index("series")
    return series.join(table, how="cross").join(placed, on=KEY, how="left", maintain_order="left")


def flat_lines(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of the third and later of equal hours in a row; zeros are not this rule's.

    A series of few distinct values repeats by chance: with the share p of its hours that equal the one before, a run
    must be so long that fewer than one of that length is expected in the window, hours * p ** (length - 1) < 1; of
    ``STUCK_HOURS`` any run is flat.
    """
    # Most series have no such run at all, and are left out at once.
    thrice = (_VALUE.shift(1) == _VALUE) & (_VALUE.shift(2) == _VALUE)
    some = table.filter(thrice)["series"].unique().implode()
    runs = table.filter(pl.col("series").is_in(some)).select(*_PLACE, _runs().alias("run"))
    runs = runs.with_columns(
        length=pl.len().over("series", "run"), position=pl.int_range(pl.len()).over("series", "run")
    )
    same = ((pl.col("position") > 0) & _VALUE.is_not_null()).mean()
    chance = runs.group_by("series").agg(least=1 + pl.len().log() / -same.log())
    found = runs.join(chance, on="series").filter(
        pl.col("position") >= FLAT_HOURS - 1,
        pl.col("length") >= pl.col("least").clip(FLAT_HOURS, STUCK_HOURS),
        _VALUE != 0,
    )
    return _flags(found, pl.format("the same for {} hours", "length"))


def zeros(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of zeros at local hours at which the series is above zero on most days."""
    usual = _VALUE.median().over("series", "hour")
    days = _VALUE.count().over("series", "hour")
    found = table.with_columns(usual=usual, days=days).filter(
        _VALUE == 0, pl.col("usual") > 0, pl.col("days") >= LEAST_DAYS
    )
    return _flags(found, pl.format("zero where {} kWh are usual", _text("usual")))


def spikes(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of hours that jump away from both neighbours, or lie far from what their hour is otherwise.

    The expected value is the 48-hour median around the hour times the median profile of the local hour. A jump is
    measured in interquartile ranges of hourly changes, a distance in those around the 48-hour median; either must also
    be ``UNUSUAL`` times the 95 % quantile of the series, and the 90 % quantile of its local hour.
    """
    found = _deviations(table).filter(pl.col("days") >= LEAST_DAYS, _is_jump() | _is_far())
    jump = pl.format("{} kWh between {} and {}", *(_text(name) for name in ("energy_consumption", "before", "after")))
    far = pl.format("{} kWh where {} are expected", _text("energy_consumption"), _text("expected"))
    return _flags(found, pl.when(_is_jump() & pl.col("after").is_not_null()).then(jump).otherwise(far))


def level_shifts(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of the first hour of a day in which every hour is far outside what its local hour was before.

    Before is: up to two days earlier, in the window, ``LEAST_DAYS`` days at least.
    """
    day = ("series", "hour")
    past = _positive().shift(3).over(day)
    bounds = table.with_columns(
        x=_positive(),
        low=past.cum_min().over(day).forward_fill().over(day),
        high=past.cum_max().over(day).forward_fill().over(day),
        days=past.is_not_null().cum_sum().over(day),
    )
    margin = SHIFT_MARGIN * (pl.col("high") - pl.col("low"))
    enough = pl.col("days") >= LEAST_DAYS
    sides = bounds.with_columns(
        side=pl.when(enough & (pl.col("x") > pl.col("high") + margin))
        .then(1)
        .when(enough & (pl.col("x") < pl.col("low") - margin))
        .then(-1)
        .otherwise(0)
    )
    ahead = pl.col("side").reverse().rolling_sum(SHIFT_HOURS).reverse().over("series").abs() == SHIFT_HOURS
    last = pl.col("x").rolling_median(SHIFT_HOURS, min_samples=_LEAST_HOURS)
    sides = sides.with_columns(
        ahead=ahead.fill_null(value=False), factor=(last.shift(1 - SHIFT_HOURS) / last.shift(1)).over("series")
    )
    sudden = (pl.col("factor") >= SHIFT_FACTOR) | (pl.col("factor") <= 1 / SHIFT_FACTOR)
    begins = sides.filter(pl.col("ahead") & ~pl.col("ahead").shift(1, fill_value=False).over("series") & sudden)
    reason = pl.format(
        "{} hours from here on lie outside {} to {} kWh, the range of the same hours before",
        pl.lit(SHIFT_HOURS),
        _text("low"),
        _text("high"),
    )
    return _flags(begins, reason)


_PLACE: Final = ("series", *OBSERVATIONS, "hour")


def _positive() -> pl.Expr:
    return pl.when(_VALUE > 0).then(_VALUE)


def _runs() -> pl.Expr:
    """Number the runs of equal values of each series."""
    return _VALUE.ne_missing(_VALUE.shift(1)).cum_sum().over("series")


def _deviations(table: pl.DataFrame) -> pl.DataFrame:
    """Per hour: jump from neighbours, distance from the expected value, and what is usual for both."""
    position = pl.int_range(pl.len()).over("series", "run")
    x = pl.col("x")
    frame = table.with_columns(run=_runs()).with_columns(x=pl.when(_VALUE > 0, position < FLAT_HOURS - 1).then(_VALUE))
    frame = frame.with_columns(
        before=x.shift(1).over("series"),
        after=x.shift(-1).over("series"),
        last=_HOUR.max() == _HOUR,
        days=x.count().over("series", "hour"),
        rolling=x.rolling_median(_ROLLING_HOURS, center=True, min_samples=_LEAST_HOURS).over("series"),
    )
    around = x - pl.col("rolling")
    profile = 1 + around.median().over("series", "hour") / x.median().over("series")
    frame = frame.with_columns(
        change_range=_range(x - pl.col("before")).over("series"),
        around_range=_range(around).over("series"),
        expected=pl.col("rolling") * profile,
    ).with_columns(distance=x - pl.col("expected"))
    distance = pl.col("distance")
    step = distance - distance.shift(1).over("series")
    frame = frame.with_columns(
        jump=_both(x - pl.col("before"), x - pl.col("after")),
        step=step.abs(),
        odd=_both(step, distance - distance.shift(-1).over("series")),
    )
    return frame.with_columns(
        _rare("jump", 0.9, "series", "hour"),
        _rare("odd", 0.95, "series"),
        _rare("distance", 0.9, "series", "hour"),
        _rare("distance", 0.95, "series"),
        _rare("step", 0.95, "series"),
    )


def _is_jump() -> pl.Expr:
    away, odd = pl.col("jump").abs(), pl.col("odd").abs()
    both = (
        (away >= SPIKE_IQRS * pl.col("change_range"))
        & (odd >= UNUSUAL * pl.col("odd_series"))
        & (away >= UNUSUAL * pl.col("jump_series_hour"))
        & (odd > 0)
    )
    newest = (
        pl.col("last")
        & ((pl.col("x") - pl.col("before")).abs() >= STEP_IQRS * pl.col("change_range"))
        & (pl.col("step") >= UNUSUAL * pl.col("step_series"))
        & (pl.col("step") > 0)
    )
    return both | newest


def _is_far() -> pl.Expr:
    distance = pl.col("distance")
    away = pl.max_horizontal(distance / ABOVE_IQRS, -distance / BELOW_IQRS) >= pl.col("around_range")
    return (
        away
        & (distance.abs() >= UNUSUAL * pl.col("distance_series"))
        & (distance.abs() >= UNUSUAL * pl.col("distance_series_hour"))
        & (distance != 0)
    )


def _both(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Return the smaller of two jumps of the same direction; zero if they differ, null if one is unknown."""
    smaller = pl.min_horizontal(left.abs(), right.abs())
    return pl.when(left * right > 0).then(smaller).when(left * right <= 0).then(0.0)


def _range(values: pl.Expr) -> pl.Expr:
    return values.quantile(0.75) - values.quantile(0.25)


def _rare(name: str, share: float, *groups: str) -> pl.Expr:
    return pl.col(name).abs().quantile(share).over(groups).alias("_".join((name, *groups)))


def _text(name: str) -> pl.Expr:
    return pl.col(name).round(0).cast(pl.Int64).cast(pl.String)


def _flags(found: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return found.with_columns(reason=reason).select(FLAGS.names()).sort(KEY)
