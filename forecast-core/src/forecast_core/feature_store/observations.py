"""The table of one feature group: observations with their revisions, series, and the windows that were asked for.

An ingest is one commit: the rows that ``revisions.plan`` gives, the series that it is the first to name, and one row
of coverage. The files are of four kinds (the table's partitions):

- ``first``: the row of each key that was stored first. A key is in here at most once.
- ``change``: all later rows of keys that have a first one.
- ``series``: see ``series``.
- ``coverage``: that an ingest at ``known_at`` asked for so many ``hours`` from ``datetime_utc`` on.

Rows are sorted by series and hour in files of bounded size, each of consecutive hours: rows of more than a row group
are cut into blocks of ten days. A reader passes over files, and parts of files, by their bounds. Why:
docs/decisions/0003-observations-as-changes-of-state.md.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from deltalake.transaction import AddAction

from forecast_core.contracts.schema import HOUR, OBSERVATIONS, Frame, meaning
from forecast_core.contracts.window import Window, as_utc
from forecast_core.feature_store import grid, revisions, series
from forecast_core.feature_store.revisions import COVERAGE, REVISIONS, IngestCounts
from forecast_core.tables.delta import Snapshot, Table
from forecast_core.tables.files import ROW_GROUP, FileChange

STORED: Final = Frame(
    {**REVISIONS, **series.ROWS, "hours": pl.Int64(), "kind": pl.String()},
    nullable=("series", "datetime_utc", "energy_consumption", "area", "consumer_type", "hours"),
    meaning={
        "series": "number of the series; null in kind ``coverage``",
        **OBSERVATIONS.meaning,
        "energy_consumption": "kWh in that hour; null where the source has no value",
        **meaning("known_at"),
        "hours": "hours that were asked for, in kind ``coverage``",
        "kind": "``first``, ``change``, ``series`` or ``coverage``",
    },
)
"""The four kinds of rows of one feature group, in the columns of all; a row has those of its kind."""
FILE_ROWS: Final = 1 << 21
"""A file has about this many rows at most."""
BLOCK: Final = 240 * HOUR
"""A file of more than a row group has the hours of one block, counted from 1970: a window's cost is its own."""

_LOG = logging.getLogger(__name__)
_NOTHING: Final = IngestCounts(0, 0, 0, 0, 0)


def ingest(table: Table, given: pl.DataFrame, *, window: Window, known_at: datetime) -> IngestCounts:
    """Store the changes that ``given`` (OBSERVATIONS, checked) makes; nothing is committed if there are none."""
    counts = table.commit(lambda snapshot: _plan(snapshot, given, window=window, known_at=known_at))
    if counts.conflicting:
        _LOG.warning(
            "%d values for %s differ from what is stored in %s for the same known_at %s: the stored ones stay",
            counts.conflicting,
            window,
            table.uri,
            known_at,
        )
    return counts


def _plan(
    snapshot: Snapshot, given: pl.DataFrame, *, window: Window, known_at: datetime
) -> tuple[IngestCounts, FileChange | None]:
    """Write the files of an ingest into one version of the table; None if that version has all of it."""
    files = snapshot.files()
    values, named = series.numbered(given, names(snapshot, files), known_at)
    coverage = _coverage(snapshot, files, window, known_at)
    writer, counts = Writer(snapshot), _NOTHING
    for part in slices(window, files_of(files, window=window), values):
        firsts, changes = (
            _within(scan(snapshot, files_of(files, kind, window=part)), part).collect() for kind in ("first", "change")
        )
        asked_for = _within(values.lazy(), part).collect()
        counts += _add(writer, asked_for, firsts, changes, coverage=coverage, window=part, known_at=known_at)
    asked = pl.DataFrame([(window.start, window.hours, known_at)], schema=COVERAGE, orient="row")
    if writer.rows == 0 and named.is_empty() and not asked.join(coverage, on=COVERAGE.names()).is_empty():
        return counts, None
    writer.add("series", named)
    writer.add("coverage", asked)
    return counts, FileChange(writer.finish())


def _add(
    writer: "Writer",
    asked_for: pl.DataFrame,
    firsts: pl.DataFrame,
    changes: pl.DataFrame,
    *,
    coverage: pl.DataFrame,
    window: Window,
    known_at: datetime,
) -> IngestCounts:
    """Give the writer the rows that an ingest adds within a part of its window; return what they are.

    Args:
        writer: Of the ingest.
        asked_for: What the source has, with numbered series.
        firsts: Stored rows of kind ``first``.
        changes: Stored rows of kind ``change``.
        coverage: Stored coverage of the ingest's window.
        window: The part.
        known_at: Of the ingest.
    """
    same, stays = grid.settled(asked_for, firsts, changes, window=window, known_at=known_at)
    repeated = firsts.filter(stays, pl.col("known_at") == known_at).height
    firsts = firsts.filter(~stays)
    some, rows = revisions.plan(
        asked_for.filter(~same),
        window=window,
        known_at=known_at,
        stored=pl.concat([firsts, changes]),
        coverage=coverage,
    )
    # A row for a later ingest follows one of this ingest: only the latter can be the first of its key.
    mine = pl.col("known_at") == known_at
    writer.add("first", rows.filter(mine).join(firsts, on=revisions.KEY, how="anti"))
    writer.add("change", rows.filter(mine).join(firsts, on=revisions.KEY, how="semi"))
    writer.add("change", rows.filter(~mine))
    return replace(some, rows=asked_for.height, new=some.new + repeated)


class Writer:
    """Collects rows by kind and writes them to files of bounded size, for one commit."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.rows = 0
        self._snapshot = snapshot
        self._pending: dict[str, list[pl.DataFrame]] = {}
        self._written: list[AddAction] = []

    def add(self, kind: str, rows: pl.DataFrame) -> None:
        """Take rows of a kind, roughly in order of hours."""
        if rows.is_empty():
            return
        self.rows += rows.height
        pending = self._pending.setdefault(kind, [])
        if sum(each.height for each in pending) + rows.height > FILE_ROWS:
            self._flush(kind)
        pending.append(rows)

    def finish(self) -> list[AddAction]:
        """Write the remaining rows; return all files."""
        for kind in self._pending:
            self._flush(kind)
        return self._written

    def _flush(self, kind: str) -> None:
        if pending := self._pending[kind]:
            rows = pl.concat(pending)
            order = [name for name in (*revisions.KEY, "known_at") if name in rows.columns]
            for part in _blocks(rows):
                self._written.append(self._snapshot.write(part.sort(order), kind=kind))
            pending.clear()


def block(hour: str) -> pl.Expr:
    """The number of the block that an hour is in."""
    return pl.col(hour).dt.epoch("us") // (BLOCK // timedelta(microseconds=1))


def _blocks(rows: pl.DataFrame) -> list[pl.DataFrame]:
    if rows.height <= ROW_GROUP or "datetime_utc" not in rows.columns:
        return [rows]
    number = rows.select(block("datetime_utc").alias("block"))["block"]
    return [rows.filter(number == each) for each in number.unique().sort()]


def names(snapshot: Snapshot, files: pl.DataFrame) -> pl.DataFrame:
    """Return the series of the table: ``series.ROWS``, sorted by name."""
    return series.earliest(snapshot.scan(files_of(files, "series")["path"].to_list(), series.ROWS))


def files_of(
    files: pl.DataFrame,
    *kinds: str,
    window: Window | None = None,
    known_until: datetime | None = None,
    numbers: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the files that may have rows of a window, known by a time, of some series; by default of observations."""
    conditions = [pl.col("kind").is_in(kinds or ("first", "change"))]
    if window is not None:
        conditions += [pl.col("min_datetime_utc") < window.end, pl.col("max_datetime_utc") >= window.start]
    if known_until is not None:
        conditions.append(pl.col("min_known_at") <= known_until)
    if numbers is not None and not numbers.is_empty():
        lowest, highest = numbers.select(low=pl.col("series").min(), high=pl.col("series").max()).row(0)
        conditions += [pl.col("min_series") <= highest, pl.col("max_series") >= lowest]
    # A file of which nothing is known may have them.
    return files.filter(condition.fill_null(value=True) for condition in conditions)


def scan(snapshot: Snapshot, files: pl.DataFrame) -> pl.LazyFrame:
    """Return REVISIONS in files of observations, in no order."""
    return snapshot.scan(files["path"].to_list(), REVISIONS)


def query(
    snapshot: Snapshot,
    *,
    window: Window | None = None,
    wanted: Sequence[tuple[str, str]] | None = None,
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return REVISIONS of a window and of some series, or of all, in no order, and the names of those series."""
    files = snapshot.files()
    known = series.only(names(snapshot, files), wanted)
    numbers = None if wanted is None else known
    rows = scan(snapshot, files_of(files, window=window, numbers=numbers))
    if numbers is not None:
        rows = rows.filter(of_series(numbers))
    return (rows if window is None else _within(rows, window)), known


def of_series(numbers: pl.DataFrame) -> pl.Expr:
    """Whether a row is of one of the series; the bounds are for passing over parts of files."""
    column, low, high = pl.col("series"), numbers["series"].min(), numbers["series"].max()
    return column.is_between(low, high) & column.is_in(numbers["series"].implode())


def slices(window: Window, files: pl.DataFrame, values: pl.DataFrame | None = None) -> Iterator[Window]:
    """Cut a window so that each part has, roughly, at most a file's number of rows, stored and given ones together."""
    hours = np.zeros(window.hours)
    for rows, first, last in files.select("rows", "min_datetime_utc", "max_datetime_utc").iter_rows():
        length = (last - first) // HOUR + 1
        begin = max((first - window.start) // HOUR, 0)
        hours[begin : max((last - window.start) // HOUR + 1, 0)] += rows / length
    if values is not None:
        hours += np.bincount(grid.hour_numbers(values, window), minlength=window.hours)
    begin, rows = 0, 0.0
    for hour, some in enumerate(hours):
        if rows and rows + some > FILE_ROWS:
            yield Window(window.start + begin * HOUR, window.start + hour * HOUR)
            begin, rows = hour, 0.0
        rows += some
    yield Window(window.start + begin * HOUR, window.end)


def covered(snapshot: Snapshot, *, window: Window, known_at: datetime) -> bool:
    """Whether ingests at or after ``known_at`` have, together, asked for all hours of the window."""
    return revisions.covers(_coverage(snapshot, snapshot.files(), window, known_at), window)


def span(snapshot: Snapshot, *, known_at: datetime) -> tuple[datetime, datetime] | None:
    """Return the first and the last hour that had a value at ``known_at``, or None if there was none."""
    rows = scan(snapshot, files_of(snapshot.files(), known_until=known_at))
    known = rows.filter(pl.col("energy_consumption").is_not_null(), pl.col("known_at") <= known_at)
    first, last = known.select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max()).collect().row(0)
    return None if first is None else (as_utc(first), as_utc(last))


def newest_hour(snapshot: Snapshot, *, known_at: datetime) -> datetime | None:
    """Return the last hour that had a value at ``known_at``, or None if there was none.

    Files are read from the newest hours back, and no further than one is found: usually one or two of them.
    """
    found: datetime | None = None
    files = files_of(snapshot.files(), known_until=known_at).sort("max_datetime_utc", descending=True, nulls_last=False)
    for row in files.iter_rows(named=True):
        last = row["max_datetime_utc"]
        if found is not None and last is not None and as_utc(last) <= found:
            break
        rows = snapshot.scan([row["path"]], REVISIONS)
        known = rows.filter(pl.col("energy_consumption").is_not_null(), pl.col("known_at") <= known_at)
        hour = known.select(pl.col("datetime_utc").max()).collect().item()
        if hour is not None and (found is None or as_utc(hour) > found):
            found = as_utc(hour)
    return found


def _within(rows: pl.LazyFrame, window: Window) -> pl.LazyFrame:
    hour = pl.col("datetime_utc")
    return rows.filter(hour >= window.start, hour < window.end)


def _coverage(snapshot: Snapshot, files: pl.DataFrame, window: Window, known_at: datetime) -> pl.DataFrame:
    recent = files_of(files, "coverage").filter((pl.col("max_known_at") >= known_at).fill_null(value=True))
    rows = snapshot.scan(recent["path"].to_list(), COVERAGE)
    return rows.filter(pl.col("known_at") >= known_at, pl.col("datetime_utc") < window.end).collect()
