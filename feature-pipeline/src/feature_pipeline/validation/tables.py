"""What the expectations look at: the observations and the series, with a column of reasons for each shape and state."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from feature_pipeline.validation import restated, shape
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
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.quarantine import is_accepted

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
    table = table.with_columns(is_accepted(_subjects(table, name), accepted).alias(MARK + name) for name in marked)
    return table.select(*VALUE_COLUMNS, *(MARK + name for name in marked))


def series_table(
    observations: pl.DataFrame,
    window: Window,
    *,
    expected: Sequence[tuple[str, str]],
    known: Sequence[tuple[str, str]],
    comparison: pl.DataFrame,
    accepted: pl.DataFrame,
) -> pl.DataFrame:
    """Return one row per series that has values, is ``expected`` or was ``known`` before: SERIES, hours, reasons.

    Nothing is new or has vanished where nothing was known before. ``comparison`` is the output of
    ``restated.compared``.
    """
    keyed = observations.drop_nulls(KEY)
    hours = keyed.group_by(SERIES).agg(pl.col("datetime_utc").n_unique().alias("hours"))
    before = _frame(known).with_columns(known=pl.lit(value=True))
    named = pl.concat([hours.select(SERIES), _frame(expected), before.select(SERIES)]).unique()
    # Without rechunk, pl.format panics on a column whose first chunk is empty (polars 2.1, several threads).
    table = named.join(hours, on=SERIES, how="left").join(before, on=SERIES, how="left").sort(SERIES).rechunk()
    table = table.with_columns(pl.col("hours").cast(pl.Int64).fill_null(0), pl.col("known").fill_null(value=False))
    missing = _missing(observations, window, table)
    restatements = restated.restatements(comparison).rename({"reason": "restated"})
    factors = restated.factors(comparison).rename({"reason": "factor", "factor": "by"})
    for reasons_of in (missing, restatements, factors):
        table = table.join(reasons_of, on=SERIES, how="left", maintain_order="left")
    reasons = {
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
            factor="by" if name == "factor" else pl.lit(None, dtype=pl.Float64),
            reason=pl.col(name),
        )
        left = _unaccepted(rows, name, accepted)
        table = table.drop(name).join(
            left.select(*SERIES, pl.col("reason").alias(name)), on=SERIES, how="left", maintain_order="left"
        )
    return table.select(*SERIES, "hours", *SERIES_STATE)


def _missing(observations: pl.DataFrame, window: Window, series: pl.DataFrame) -> pl.DataFrame:
    """Return SERIES and ``incomplete``, which names the first and last missing hour, of the series that lack any."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    lacking = series.filter(pl.col("hours") < window.hours).select(SERIES)
    absent = lacking.join(pl.DataFrame({"datetime_utc": hours}), how="cross").join(observations, on=KEY, how="anti")
    hour = pl.col("datetime_utc").dt.strftime(DATETIME_FORMAT)
    found = absent.group_by(SERIES).agg(missing=pl.len(), first=hour.min(), last=hour.max()).rechunk()
    some = pl.format("{} of {} hours are missing, {} to {}", "missing", window.hours, "first", "last")
    one = pl.format("1 of {} hours is missing: {}", window.hours, "first")
    every = pl.format("all {} hours are missing", window.hours)
    all_missing = pl.col("missing") == window.hours
    return found.select(
        *SERIES, incomplete=pl.when(all_missing).then(every).when(pl.col("missing") == 1).then(one).otherwise(some)
    )


def _unaccepted(flags: pl.DataFrame, expectation: str, accepted: pl.DataFrame) -> pl.DataFrame:
    return flags.filter(~is_accepted(_subjects(flags, expectation), accepted))


def _subjects(rows: pl.DataFrame, expectation: str) -> pl.DataFrame:
    factor = pl.col("factor") if "factor" in rows.columns else pl.lit(None, dtype=pl.Float64)
    return rows.select(*OBSERVATIONS, factor.alias("factor"), expectation=pl.lit(expectation))


def _frame(series: Sequence[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(list(series), schema={name: OBSERVATIONS[name] for name in SERIES}, orient="row")
