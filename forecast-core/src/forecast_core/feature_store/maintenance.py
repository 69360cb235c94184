"""Upkeep of the tables: few files instead of many small ones, and on disk nothing that nobody can read any more.

Safe beside readers and writers. What is merged is committed as the next version of what was read, or merged anew; the
files that it takes the place of stay on disk for a time, for readers that have opened an earlier version.
"""

import math
from datetime import timedelta
from typing import Any, Final

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from forecast_core.errors import InvalidArgument
from forecast_core.feature_store import observations, revisions, series
from forecast_core.feature_store.delta import Snapshot, Table, storage_errors
from forecast_core.feature_store.files import FileChange
from forecast_core.schema import HOUR
from forecast_core.window import Window, as_utc

_TRIES: Final = 5
_SCHEMAS: Final = {
    "first": revisions.REVISIONS,
    "change": revisions.REVISIONS,
    "series": series.ROWS,
    "coverage": revisions.COVERAGE,
}


def kept(keep: timedelta) -> timedelta:
    """Return ``keep`` if it is long enough for those who read and write at the moment.

    Raises:
        InvalidArgument: If it is less than an hour.
    """
    if keep < HOUR:
        raise InvalidArgument(
            f"files that were taken out of a table are kept for an hour at least, not for {keep}: whoever reads an "
            "earlier version, or has written files that are not committed yet, would lose them",
            keep=str(keep),
        )
    return keep


def maintain(table: Table, *, keep: timedelta, merge: bool = True) -> dict[str, Any] | None:
    """Merge the small files of any table within its partitions, then ``vacuum``.

    Returns:
        Plain JSON: ``files_before``, ``files_after``, ``files_deleted``; None if the table does not exist.
    """
    opened = table.open()
    if opened is None:
        return None
    before = _number_of_files(opened)
    if merge:
        _merge(table)
    deleted = vacuum(table, keep=keep)
    after = table.open()
    assert after is not None  # noqa: S101  # nobody removes tables
    return {"files_before": before, "files_after": _number_of_files(after), "files_deleted": deleted}


def maintain_observations(table: Table, *, keep: timedelta) -> dict[str, Any] | None:
    """Do what ``maintain`` does for the table of a feature group, whose files are sorted and of bounded size.

    Returns:
        The same and ``rows_dropped``: rows that said what the row before them said.
    """
    opened = table.open()
    if opened is None:
        return None
    before, dropped = _number_of_files(opened), 0
    for kind in _SCHEMAS:
        while (rows := table.commit(lambda snapshot, kind=kind: _merged(snapshot, kind))) is not None:  # type: ignore[misc]
            dropped += rows
    report = maintain(table, keep=keep, merge=False)
    return None if report is None else {**report, "files_before": before, "rows_dropped": dropped}


def vacuum(table: Table, *, keep: timedelta) -> int:
    """Delete files that no version of the last ``keep`` (rounded up to hours) has, those of killed writers too.

    Also shortens the table's log: a checkpoint, and no entries from before it that are older than a week.

    Returns:
        The number of files deleted.
    """
    opened = table.open()
    if opened is None:
        return 0
    with storage_errors(table.uri):
        deleted = opened.vacuum(math.ceil(keep / HOUR), dry_run=False, enforce_retention_duration=False, full=True)
        opened.update_incremental()
        opened.create_checkpoint()
        opened.cleanup_metadata()
    return len(deleted)


def _merge(table: Table) -> None:
    for tries_left in reversed(range(_TRIES)):
        opened = table.open()
        with storage_errors(table.uri):
            try:
                if opened is not None:
                    opened.optimize.compact()
            except CommitFailedError:
                if not tries_left:
                    raise
            else:
                return


def _merged(snapshot: Snapshot, kind: str) -> tuple[int | None, FileChange | None]:
    """Plan to merge small files of a kind that have blocks in common; None if there are none.

    Fewer files have rows of some block afterwards, and more of none: merging again and again comes to an end.
    """
    small = observations.files_of(snapshot.files(), kind).filter(pl.col("rows") < observations.FILE_ROWS // 2)
    group = _first_group(small)
    if group is None:
        return None, None
    paths = group["path"].to_list()
    rows = snapshot.scan(paths, _SCHEMAS[kind])
    if kind == "series":
        merged = series.earliest(rows)
    elif kind == "change":
        merged = _that_say_something(snapshot, rows.collect())
    else:
        merged = rows.collect()
    writer = observations.Writer(snapshot)
    writer.add(kind, merged)
    return int(group["rows"].sum()) - merged.height, FileChange(writer.finish(), paths)


def _first_group(small: pl.DataFrame) -> pl.DataFrame | None:
    """Return the earliest files, two at least, each with a block in common with one before it, of rows for one file."""
    bounds = [observations.block(f"{bound}_datetime_utc").fill_null(0).alias(bound) for bound in ("min", "max")]
    files = small.with_columns(*bounds).sort("min", "max", "path")
    parts = (pl.col("min") > pl.col("max").cum_max().shift(1)).fill_null(value=True).cum_sum()
    near = files.with_columns(part=parts).filter(pl.col("rows").cum_sum().over("part") <= observations.FILE_ROWS)
    groups = near.filter(pl.len().over("part") > 1)
    return None if groups.is_empty() else groups.filter(pl.col("part") == groups["part"][0])


def _that_say_something(snapshot: Snapshot, rows: pl.DataFrame) -> pl.DataFrame:
    """Return those of ``rows`` that are changes of state among all that are stored of their keys."""
    first, last = rows.select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max()).row(0)
    window = Window(as_utc(first), as_utc(last) + HOUR)
    of_same_hours = observations.scan(snapshot, observations.files_of(snapshot.files(), window=window))
    of_same_keys = of_same_hours.join(rows.lazy().select(revisions.KEY).unique(), on=revisions.KEY, how="semi")
    telling = revisions.changes_of_state(of_same_keys)
    # A value and the absence that it takes the place of have the same key and time.
    absent = pl.col("energy_consumption").is_null()
    columns = [*revisions.KEY, "known_at", "absent"]
    kept = rows.lazy().with_columns(absent=absent).join(telling.with_columns(absent=absent), on=columns, how="semi")
    return kept.drop("absent").collect()


def _number_of_files(table: DeltaTable) -> int:
    return len(table.file_uris())
