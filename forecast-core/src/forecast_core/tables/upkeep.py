"""Upkeep of Delta tables: compact small files and vacuum unreachable ones; safe beside readers and writers.

A compaction is committed as the next version of what it read, or planned again. The files that it replaces stay on disk
for a time, for readers that have opened an earlier version.
"""

import math
from datetime import timedelta
from typing import Final, NotRequired, TypedDict

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.tables.delta import Table
from forecast_core.tables.faults import storage_errors

_TRIES: Final = 5


class Upkeep(TypedDict):
    """What the upkeep of one table did, as numbers of files.

    ``rows_dropped`` is there for observations only: rows that repeated the state before them.
    """

    files_before: int
    files_after: int
    files_deleted: int
    rows_dropped: NotRequired[int]


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


def maintain(table: Table, *, keep: timedelta, merge: bool = True) -> Upkeep | None:
    """Merge the small files of any table within its partitions, then ``vacuum``.

    Returns:
        The number of files before and after, and of those deleted; None if the table does not exist.
    """
    opened = table.open()
    if opened is None:
        return None
    before = number_of_files(opened)
    if merge:
        _merge(table)
    deleted = vacuum(table, keep=keep)
    after = table.open()
    assert after is not None  # noqa: S101  # nobody removes tables
    return {"files_before": before, "files_after": number_of_files(after), "files_deleted": deleted}


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


def number_of_files(table: DeltaTable) -> int:
    """Return how many files the opened version of a table has."""
    return len(table.file_uris())
