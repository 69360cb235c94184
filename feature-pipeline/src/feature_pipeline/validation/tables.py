"""What the expectations look at: the observations and the series, with a column of reasons for each shape and state."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from feature_pipeline.validation import shape
from feature_pipeline.validation.expectations import (
    MARK,
    PAST_HOUR,
    RELEASABLE,
    SERIES_STATE,
    SHAPE,
    VALUE_COLUMNS,
    Expectation,
)
from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES
from forecast_core.contracts.window import Window
from forecast_core.quarantine import without_accepted

_RULES: Final = {
    "flat_line": shape.flat_lines,
    "zero": shape.zeros,
    "spike": shape.spikes,
    "level_shift": shape.level_shifts,
}


def value_table(
    observations: pl.DataFrame, window: Window, *, expectations: Sequence[Expectation], accepted: pl.DataFrame
) -> pl.DataFrame:
    """Return the observations with the columns ``VALUE_COLUMNS``; what was accepted (ACCEPTED) has no reason.

    An expectation about the values themselves, of which any were accepted, gets a column ``accepted_<name>``.
    """
    grid = shape.grid(observations, window)
    hour = pl.col("datetime_utc")
    table = observations.with_columns(((hour - hour.dt.truncate("1h")).dt.total_microseconds() / 1e6).alias(PAST_HOUR))
    for name in SHAPE:
        flags = _unaccepted(_RULES[name](grid), name, accepted)
        # Of two rows of one key both get the reason; that they are two is an error of its own.
        table = table.join(flags.select(*KEY, pl.col("reason").alias(name)), on=KEY, how="left", maintain_order="left")
    names = [each.name for each in expectations if each.name in RELEASABLE and each.name not in SHAPE]
    marked = [name for name in names if name in accepted["expectation"]]
    for name in marked:
        rows = accepted.filter(pl.col("expectation") == name).select(
            *OBSERVATIONS, pl.lit(value=True).alias(MARK + name)
        )
        table = table.join(rows, on=list(OBSERVATIONS), how="left", nulls_equal=True, maintain_order="left")
    marks = [MARK + name for name in marked]
    return table.with_columns(pl.col(marks).fill_null(value=False)).select(*VALUE_COLUMNS, *marks)


def series_table(
    observations: pl.DataFrame,
    window: Window,
    *,
    expected: Sequence[tuple[str, str]],
    known: Sequence[tuple[str, str]],
    accepted: pl.DataFrame,
) -> pl.DataFrame:
    """Return one row per series that has values, is ``expected`` or was ``known`` before: SERIES, hours, reasons.

    Nothing is new or has vanished where nothing was known before.
    """
    keyed = observations.drop_nulls(KEY)
    hours = keyed.group_by(SERIES).agg(pl.col("datetime_utc").n_unique().alias("hours"))
    before = _frame(known).with_columns(known=pl.lit(value=True))
    named = pl.concat([hours.select(SERIES), _frame(expected), before.select(SERIES)]).unique()
    # Without rechunk, pl.format panics on a column whose first chunk is empty (polars 2.1, several threads).
    table = named.join(hours, on=SERIES, how="left").join(before, on=SERIES, how="left").sort(SERIES).rechunk()
    table = table.with_columns(pl.col("hours").cast(pl.Int64).fill_null(0), pl.col("known").fill_null(value=False))
    lacking = window.hours - pl.col("hours")
    reasons = {
        "incomplete": pl.when(lacking > 0).then(pl.format("{} of {} hours are missing", lacking, window.hours)),
        "vanished": pl.when(pl.col("hours") == 0, "known").then(pl.lit("it had values before and has none now")),
        "new_series": pl.when(pl.col("hours") > 0, ~pl.col("known"), len(known) > 0).then(
            pl.lit("it had no values before")
        ),
    }
    table = table.with_columns(**reasons)
    for name in SERIES_STATE:
        rows = table.filter(pl.col(name).is_not_null()).select(
            *SERIES,
            pl.lit(None, dtype=OBSERVATIONS["datetime_utc"]).alias("datetime_utc"),
            pl.lit(None, dtype=pl.Float64).alias("energy_consumption"),
            reason=pl.col(name),
        )
        left = _unaccepted(rows, name, accepted)
        table = table.drop(name).join(
            left.select(*SERIES, pl.col("reason").alias(name)), on=SERIES, how="left", maintain_order="left"
        )
    return table.select(*SERIES, "hours", *SERIES_STATE)


def _unaccepted(flags: pl.DataFrame, expectation: str, accepted: pl.DataFrame) -> pl.DataFrame:
    return without_accepted(flags.with_columns(expectation=pl.lit(expectation)), accepted)


def _frame(series: Sequence[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(list(series), schema={name: OBSERVATIONS[name] for name in SERIES}, orient="row")
