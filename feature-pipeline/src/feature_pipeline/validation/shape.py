"""Rules about the shape of series: flat lines, zeros, spikes and level shifts, each a pure function.

Each value is judged by its own series in the window only: by its local hour on other days, by its neighbours, and by
how much the series usually varies. The rules are those of Ruggles et al., Sci Data 7, 155 (2020), changed in two ways:
they judge from a window of a month without later hours, and they ignore what a series does regularly.

The values of the constants were chosen with benchmarks/validation.py on EIA-930 demand of 2020 to 2022. The figures
beside them are of benchmarks/shape_constants.py: the number of false findings in 83,520 honest hours of 116 series (53
as shipped), and of missed ones among 1,392 injected faults (401), at half and at double the value. docs/validation.md
has the tables of both. A fifth of this module's lines are these reasons, hence its length.
"""

from typing import Final

import polars as pl

from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.window import Window

TIME_ZONE: Final = "Europe/Copenhagen"

FLAGS: Final = pl.Schema({**OBSERVATIONS, "reason": pl.String()})
"""Values that fail a rule, and why."""

FLAT_HOURS: Final = 3
"""Equal hours in a row from which on a line is flat, if the series seldom repeats a value by chance.

At 6, all 116 flat lines of three hours are missed instead of 3; at 2, false findings are 55.
"""
STUCK_HOURS: Final = 48
"""Equal hours in a row from which on any line is flat: no series may repeat a value for two days.

Half and double change nothing in the sweep: it decides only for series that repeat nearly every value.
"""

SPIKE_IQRS: Final = 2.0
"""Least jump to both neighbours, in interquartile ranges of the series' hourly changes.

At 1: 84 false, 360 missed. At 4: 32 false, 500 missed.
"""
STEP_IQRS: Final = 5.0
"""Least jump of the newest hour, which has one neighbour only, in the same ranges.

At 10: 52 false, 511 missed. At 2.5: 53 false, 353 missed, but the sweep has only 116 honest newest hours; in 29,721
(benchmarks/validation.py), half of the findings are false already at 5.
"""
ABOVE_IQRS: Final = 3.5
"""Least distance above the expected value, in interquartile ranges of the series around its 48-hour median.

At 1.75: 80 false, 356 missed. At 7: 47 false, 431 missed.
"""
BELOW_IQRS: Final = 2.5
"""Least distance below the expected value, in the same ranges.

At 1.25: 57 false, 361 missed. At 5: 51 false, 448 missed.
"""
UNUSUAL: Final = 2.0
"""Least ratio of a jump or distance to its high quantile in the series, and in the series at that local hour.

At 1: 343 false, 354 missed. At 4: 13 false, 496 missed.
"""
USUAL_IN_SERIES: Final = 0.95
"""That quantile over all hours of the series.

At .975: 30 false, 423 missed. At .9: 101 false, 373 missed.
"""
USUAL_AT_HOUR: Final = 0.9
"""That quantile over the values at one local hour, of which a month has thirty.

At .95: 35 false, 409 missed. At .8: 58 false, 397 missed.
"""

LEAST_DAYS: Final = 7
"""Local days with a value that a series needs at a local hour before a rule says what is usual at that hour.

A week has every weekday. At 4: 54 false, none fewer missed. At 14: 51 false, 409 missed.
"""

SHIFT_HOURS: Final = 24
"""Consecutive hours that must all lie outside the earlier range, and on the same side of it.

At 12: 67 false, 391 missed. At 48: 54 false, 413 missed, and the finding comes a day later.
"""
SHIFT_MARGIN: Final = 0.5
"""By more than this fraction of (high - low) of the earlier range.

At .25: 58 false, 377 missed. At 1: 52 false, 446 missed.
"""
SHIFT_FACTOR: Final = 1.25
"""Least ratio, up or down, of their median to that of the SHIFT_HOURS before.

At 1.125: 57 false, 399 missed. At 1.5: 53 false, 447 missed.
"""
SHIFT_LAG_DAYS: Final = 3
"""The earlier range at a local hour is that of the local days at least so many days before.

A shift of two days must not widen the range that it is compared with. At 2: 53 false, 402 missed. At 6: 54 false, 394
missed, but a window of 13 days has no earlier range yet.
"""

ROLLING_HOURS: Final = 48
"""Width of the median around an hour: two days, so that it has every local hour twice.

At 24: 52 false, 385 missed; at 96: 54 false, 404 missed.
"""
LEAST_HOURS: Final = 12
"""Values that a median of 24 or 48 hours needs.

6 and 24 change nothing in the sweep, whose windows are complete: it decides only where hours are missing.
"""
_VALUE, _TIME_UTC = pl.col("energy_consumption"), pl.col("datetime_utc")


def grid(observations: pl.DataFrame, window: Window, *, time_zone: str = TIME_ZONE) -> pl.DataFrame:
    """Return every hour of the window for every series, sorted by series and hour.

    Rows without a place in it are left out, because other rules report them: rows without a key, between two hours,
    outside the window, and the second of one key.

    Returns:
        The columns of OBSERVATIONS (energy_consumption in kWh, null where missing), ``series`` (numbers the series),
        ``local_hour`` (0 to 23) and ``local_date``. An autumn day has one local hour twice, a spring day lacks one.
    """
    inside = _TIME_UTC.is_between(window.start, window.end, closed="left") & (_TIME_UTC.dt.truncate("1h") == _TIME_UTC)
    placed = observations.drop_nulls(KEY).filter(inside).unique(KEY, keep="first", maintain_order=True)
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    local = hours.dt.convert_time_zone(time_zone)
    times = pl.DataFrame(
        {"datetime_utc": hours, "local_hour": local.dt.hour(), "local_date": local.dt.date()},
        schema={"datetime_utc": UTC_HOUR, "local_hour": pl.Int8, "local_date": pl.Date},
    )
    series = placed.select(SERIES).unique().sort(SERIES).with_row_index("series")
    return series.join(times, how="cross").join(placed, on=KEY, how="left", maintain_order="left")


def flat_lines(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of the third and later of equal hours in a row; ``zeros`` judges zeros.

    A series of few distinct values repeats by chance. With the share p of its hours that equal the hour before, a run
    is flat if fewer than one run of its length is expected in the window: hours * p ** (length - 1) < 1. A run of
    ``STUCK_HOURS`` is always flat.

    Args:
        table: Output of ``grid``.
    """
    # Most series have no such run: leaving them out here makes the rule several times faster.
    thrice = (_VALUE.shift(1) == _VALUE) & (_VALUE.shift(2) == _VALUE)
    some = table.filter(thrice)["series"].unique().implode()
    runs = table.filter(pl.col("series").is_in(some)).select("series", *OBSERVATIONS, _runs().alias("run"))
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
    """Return FLAGS of zeros at local hours at which the series is above zero on most days.

    Args:
        table: Output of ``grid``.
    """
    usual = _VALUE.median().over("series", "local_hour")
    found = table.with_columns(usual=usual, days=_days(_VALUE)).filter(
        _VALUE == 0, pl.col("usual") > 0, pl.col("days") >= LEAST_DAYS
    )
    return _flags(found, pl.format("zero where {} kWh are usual", _text("usual")))


def spikes(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of hours that jump away from both neighbours, or are far from the expected value.

    The expected value is the 48-hour median around the hour times the median profile of the local hour. A jump is
    measured in interquartile ranges of hourly changes, a distance in those around the 48-hour median. Both must also
    be ``UNUSUAL`` times their quantile ``USUAL_IN_SERIES`` of the series and ``USUAL_AT_HOUR`` of its local hour.

    Args:
        table: Output of ``grid``.
    """
    found = _deviations(table).filter(pl.col("days") >= LEAST_DAYS, _is_jump() | _is_far())
    jump = pl.format("{} kWh between {} and {}", *(_text(name) for name in ("energy_consumption", "before", "after")))
    far = pl.format("{} kWh where {} are expected", _text("energy_consumption"), _text("expected"))
    return _flags(found, pl.when(_is_jump() & pl.col("after").is_not_null()).then(jump).otherwise(far))


def level_shifts(table: pl.DataFrame) -> pl.DataFrame:
    """Return FLAGS of the first of ``SHIFT_HOURS`` hours far outside the earlier range of their local hours.

    The earlier range is that of the values at the same local hour on local days in the window, ``LEAST_DAYS`` of them
    at least and the newest ``SHIFT_LAG_DAYS`` earlier.

    Args:
        table: Output of ``grid``.
    """
    bounds = _with_earlier_range(table.with_columns(x=_positive()))
    margin = SHIFT_MARGIN * (pl.col("high") - pl.col("low"))
    enough = pl.col("days") >= LEAST_DAYS
    sides = bounds.with_columns(
        side=pl.when(enough & (pl.col("x") > pl.col("high") + margin))
        .then(1)
        .when(enough & (pl.col("x") < pl.col("low") - margin))
        .then(-1)
        .otherwise(0)
    )
    outside = pl.col("side").reverse().rolling_sum(SHIFT_HOURS).reverse().over("series").abs() == SHIFT_HOURS
    median = pl.col("x").rolling_median(SHIFT_HOURS, min_samples=LEAST_HOURS)
    sides = sides.with_columns(
        outside=outside.fill_null(value=False),
        factor=(median.shift(1 - SHIFT_HOURS) / median.shift(1)).over("series"),
    )
    sudden = (pl.col("factor") >= SHIFT_FACTOR) | (pl.col("factor") <= 1 / SHIFT_FACTOR)
    begins = sides.filter(pl.col("outside") & ~pl.col("outside").shift(1, fill_value=False).over("series") & sudden)
    reason = pl.format(
        "{} hours from here on lie outside {} to {} kWh, the range of the same hours before",
        pl.lit(SHIFT_HOURS),
        _text("low"),
        _text("high"),
    )
    return _flags(begins, reason)


def _with_earlier_range(table: pl.DataFrame) -> pl.DataFrame:
    """Add the range of ``x`` at the same local hour on earlier local days (low, high), and the number of these days."""
    place = ("series", "local_hour")
    daily = (
        table.drop_nulls("x")
        .group_by(*place, "local_date")
        .agg(low=pl.col("x").min(), high=pl.col("x").max())
        .sort("local_date")
        .select(
            *place,
            pl.col("local_date").dt.offset_by(f"{SHIFT_LAG_DAYS}d"),
            low=pl.col("low").cum_min().over(place),
            high=pl.col("high").cum_max().over(place),
            days=pl.int_range(1, pl.len() + 1).over(place),
        )
    )
    # Counting rows back instead of dates would be wrong around an autumn day, which has two rows at one local hour.
    dated = table.sort("local_date").join_asof(daily, on="local_date", by=place, check_sortedness=False)
    return dated.sort("series", "datetime_utc")


def _positive() -> pl.Expr:
    return pl.when(_VALUE > 0).then(_VALUE)


def _days(values: pl.Expr) -> pl.Expr:
    """Count the local days on which a series has a value at a local hour."""
    return pl.col("local_date").filter(values.is_not_null()).n_unique().over("series", "local_hour")


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
        newest=_TIME_UTC.max() == _TIME_UTC,
        days=_days(x),
        rolling=x.rolling_median(ROLLING_HOURS, center=True, min_samples=LEAST_HOURS).over("series"),
    )
    around = x - pl.col("rolling")
    profile = 1 + around.median().over("series", "local_hour") / x.median().over("series")
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
        _rare("jump", USUAL_AT_HOUR, "series", "local_hour"),
        _rare("odd", USUAL_IN_SERIES, "series"),
        _rare("distance", USUAL_AT_HOUR, "series", "local_hour"),
        _rare("distance", USUAL_IN_SERIES, "series"),
        _rare("step", USUAL_IN_SERIES, "series"),
    )


def _is_jump() -> pl.Expr:
    away, odd = pl.col("jump").abs(), pl.col("odd").abs()
    both = (
        (away >= SPIKE_IQRS * pl.col("change_range"))
        & (odd >= UNUSUAL * pl.col("odd_series"))
        & (away >= UNUSUAL * pl.col("jump_series_local_hour"))
        & (odd > 0)
    )
    newest = (
        pl.col("newest")
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
        & (distance.abs() >= UNUSUAL * pl.col("distance_series_local_hour"))
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
    # Without rechunk, pl.format panics on a filtered column whose first chunk is empty (polars 2.1, several threads).
    return found.rechunk().with_columns(reason=reason).select(FLAGS.names()).sort(KEY)
