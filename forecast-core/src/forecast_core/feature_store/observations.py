"""The table of one feature group: every observation with its revisions, and which ingest asked for which hours.

An ingest is one commit: the rows that ``revisions.plan`` gives, and one row of coverage. The coverage rows are in the
partition without a date, which no reader of observations looks at, so that rows and coverage are stored together.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from forecast_core.feature_store import revisions
from forecast_core.feature_store.delta import Change, Snapshot, Table
from forecast_core.feature_store.revisions import IngestCounts
from forecast_core.schema import SERIES
from forecast_core.window import Window, as_utc

SCHEMA: Final = pl.Schema({**revisions.REVISIONS, "date": pl.Date()})
PARTITION_BY: Final = ("date",)
_DATE = pl.col("date")
_LOG = logging.getLogger(__name__)


def ingest(table: Table, given: pl.DataFrame, *, window: Window, known_at: datetime) -> IngestCounts:
    """Store the changes that ``given`` (OBSERVATIONS, checked) makes; nothing is committed if there are none."""

    def attempt(snapshot: Snapshot) -> tuple[IngestCounts, Change | None]:
        coverage = _coverage(snapshot.rows, window, known_at)
        stored = _of_window(snapshot.rows, window).select(revisions.REVISIONS.names()).collect()
        counts, rows = revisions.plan(given, window=window, known_at=known_at, stored=stored, coverage=coverage)
        if rows.is_empty() and _is_covered(window, known_at, coverage):
            return counts, None
        dated = rows.with_columns(date=pl.col("datetime_utc").dt.date())
        return counts, Change(pl.concat([dated, _coverage_row(window, known_at)]))

    counts = table.commit(attempt)
    if counts.conflicting:
        _LOG.warning(
            "%d values for %s differ from what is stored in %s for the same known_at %s: the stored ones stay",
            counts.conflicting,
            window,
            table.uri,
            known_at,
        )
    return counts


def revisions_of(
    snapshot: Snapshot, window: Window | None = None, series: Sequence[tuple[str, str]] | None = None
) -> pl.LazyFrame:
    """Return REVISIONS of a window and of some series, or of all, in no order."""
    rows = snapshot.rows.filter(_DATE.is_not_null()) if window is None else _of_window(snapshot.rows, window)
    if series is not None:
        wanted = pl.LazyFrame(list(series), schema=dict.fromkeys(SERIES, pl.String()), orient="row").unique()
        rows = rows.join(wanted, on=SERIES, how="semi")
    return rows.select(revisions.REVISIONS.names())


def known_series(snapshot: Snapshot, *, known_at: datetime) -> list[tuple[str, str]]:
    """Return the series with any value by ``known_at``, sorted."""
    known = revisions_of(snapshot).filter(pl.col("known_at") <= known_at, pl.col("energy_consumption").is_not_null())
    return sorted(known.select(SERIES).unique().collect().iter_rows())


def covered(snapshot: Snapshot, *, window: Window, known_at: datetime) -> bool:
    """Whether ingests at or after ``known_at`` have, together, asked for all hours of the window."""
    return revisions.covers(_coverage(snapshot.rows, window, known_at), window)


def span(snapshot: Snapshot, *, known_at: datetime) -> tuple[datetime, datetime] | None:
    """Return the first and the last hour that had a value at ``known_at``, or None if there was none."""
    hours = snapshot.rows.filter(
        _DATE.is_not_null(), pl.col("energy_consumption").is_not_null(), pl.col("known_at") <= known_at
    ).select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max())
    first, last = hours.collect().row(0)
    return None if first is None else (as_utc(first), as_utc(last))


def _of_window(rows: pl.LazyFrame, window: Window) -> pl.LazyFrame:
    hour, last_hour = pl.col("datetime_utc"), window.end - timedelta(hours=1)
    return rows.filter(_DATE.is_between(window.start.date(), last_hour.date()), hour >= window.start, hour < window.end)


def _coverage(rows: pl.LazyFrame, window: Window, known_at: datetime) -> pl.DataFrame:
    return (
        rows.filter(_DATE.is_null(), pl.col("known_at") >= known_at, pl.col("datetime_utc") < window.end)
        .select("datetime_utc", pl.col("energy_consumption").cast(pl.Int64).alias("hours"), "known_at")
        .collect()
    )


def _coverage_row(window: Window, known_at: datetime) -> pl.DataFrame:
    row = ("", "", window.start, float(window.hours), known_at, None)
    return pl.DataFrame([row], schema=SCHEMA, orient="row")


def _is_covered(window: Window, known_at: datetime, coverage: pl.DataFrame) -> bool:
    row = (window.start, window.hours, known_at)
    return row in coverage.iter_rows()
