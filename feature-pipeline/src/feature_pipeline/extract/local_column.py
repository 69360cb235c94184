"""Compare a source's time column with its second one, which gives the same hours on the Danish clock."""

from datetime import timedelta
from typing import Final

import polars as pl

from feature_pipeline.clock import ADVICE, TIME_ZONE, Answer
from feature_pipeline.datasets import Dataset
from feature_pipeline.extract import times
from feature_pipeline.extract.raw import HOUR, ROW, Origin
from feature_pipeline.wording import counted
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.window import DATETIME_FORMAT

_CONTRADICTING_HOURS: Final = 24
"""Different hours with the same wrong offset from which on a clock is wrong; fewer are slips of single rows."""
_SHARE: Final = 0.5
"""Share of the window's hours that has the same effect in a window of less than two days, and share of an hour's rows
that makes the hour one of them."""
_OFFSET_IN_TEXT: Final = r"^(.*:[0-9]{2}(?:[.,][0-9]+)?)\s*(?:Z|z|UTC|[+-][0-9]{2}:?[0-9]{2})$"


def compare(frame: pl.DataFrame, dataset: Dataset, *, origin: Origin, answer: Answer) -> tuple[str, ...]:
    """Compare the time column with the dataset's second one on the Danish clock; return warnings.

    Args:
        frame: Rows of the window with ``raw.HOUR``, ``raw.ROW`` and, if the source has it, the column ``local_time``.
        dataset: What the columns mean.
        origin: For messages.
        answer: The setting ``source_clock``; a person's answer is not questioned.

    Raises:
        SourceError: If the two differ by another offset than Danish time from UTC, in a day of hours or more.
    """
    local = dataset.local_time
    if answer == "utc" or local is None or local not in frame.columns:
        return ()
    hour = pl.col(HOUR).dt.replace_time_zone(None)
    danish = pl.col(HOUR).dt.convert_time_zone(TIME_ZONE).dt.replace_time_zone(None)
    rows = frame.select(HOUR, ROW, dataset.time, local).with_columns(_wall_clock(frame[local]).alias("wall"))
    rows = rows.with_columns(found=pl.col("wall") - hour, right=danish - hour).with_columns(
        error=pl.col("found") - pl.col("right")
    )
    # Stamps between two hours are reported as such, by validation.
    whole = pl.col("error").dt.total_microseconds() % (3_600 * 10**6) == 0
    wrong = rows.filter(pl.col("error") != timedelta(0), whole)
    if wrong.is_empty():
        return ()
    # An hour counts if most of its rows have the same wrong offset.
    of_hours = wrong.group_by(HOUR, "error").len("wrong").join(rows.group_by(HOUR).len("all"), on=HOUR)
    most = of_hours.filter(pl.col("wrong") > _SHARE * pl.col("all")).group_by("error").len("hours")
    error, hours = most.sort("hours", "error", descending=True).row(0) if most.height else (wrong["error"][0], 0)
    first = wrong.filter(pl.col("error") == error).sort(HOUR, ROW).row(0, named=True)
    shown = f"{origin.place} {first[ROW]}: {dataset.time} {first[dataset.time]!s:.30}, {local} {first[local]!s:.30}"
    if hours < min(_CONTRADICTING_HOURS, _SHARE * frame[HOUR].n_unique()):
        return (
            f"{local} is not the Danish time of {dataset.time} in {counted(wrong.height, 'row')} ({shown}); "
            f"{dataset.time} was used",
        )
    raise SourceError(
        f"{dataset.time} of {origin.name} is not UTC, by its column {local}: in {counted(hours, 'hour')} of the "
        f"window, from {first[HOUR]:{DATETIME_FORMAT}} on, {local} is {_hours(first['found'])} ahead of it and "
        f"should be {_hours(first['right'])} ({shown}). {ADVICE}.",
        source=origin.name,
        column=dataset.time,
    )


def _wall_clock(values: pl.Series) -> pl.Series:
    """Return what the clock showed, without an offset; null where it cannot be read."""
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        shown = values.dt.convert_time_zone(TIME_ZONE).dt.replace_time_zone(None)
    elif values.dtype == pl.String:
        shown = values.str.strip_chars().str.replace(_OFFSET_IN_TEXT, "$1")
    else:
        shown = values
    return times.hours(times.exact(shown)).dt.replace_time_zone(None)


def _hours(offset: timedelta) -> str:
    return f"{offset / timedelta(hours=1):g} h"
