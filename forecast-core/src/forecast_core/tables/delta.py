"""Delta tables as the stores use them: opened or created, read at one version, changed by compare-and-set.

A change is planned on one version of the table and committed as the very next one, or not at all: when another writer
was first, the plan is made anew on what that writer left. So a plan may rely on everything that it read.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError, TableNotFoundError
from deltalake.transaction import AddAction

from forecast_core.contracts.errors import FormatError, StorageError
from forecast_core.tables import files
from forecast_core.tables.files import FileChange

FORMAT_KEY: Final = "forecast_core.format"
FORMAT: Final = "2"
"""Version of the layout of the tables, kept in each table's configuration."""

_CONFIGURATION: Final = {
    FORMAT_KEY: FORMAT,
    # A reader replays the commits since the last checkpoint, and lists the log.
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 7 days",
}
TRIES: Final = 50
PATIENCE_S: Final = 120.0
_LOG = logging.getLogger(__name__)
_JITTER = random.SystemRandom()
_T = TypeVar("_T")


@dataclass(frozen=True)
class Snapshot:
    """A table as it is at one of its versions; nothing of it is read yet."""

    table: DeltaTable
    schema: pl.Schema
    uri: str
    storage_options: Mapping[str, str] | None = None

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.table.version()

    @property
    def rows(self) -> pl.LazyFrame:
        """The table's rows."""
        options = None if self.storage_options is None else dict(self.storage_options)
        return pl.scan_delta(self.table, storage_options=options)

    def files(self) -> pl.DataFrame:
        """Return the table's files, as ``files.listed`` describes them."""
        return files.listed(self.table, self.schema)

    def scan(self, paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
        """Return the rows of some of its files."""
        return files.scan(self.uri, paths, schema, storage_options=self.storage_options)

    def write(self, rows: pl.DataFrame, *, kind: str) -> AddAction:
        """Write a file beside those of the table, to be committed with a ``FileChange``."""
        return files.write(self.uri, rows, kind=kind, storage_options=self.storage_options)


@dataclass(frozen=True)
class Change:
    """Rows to append; with a predicate (SQL), they take the place of the rows for which it is true."""

    rows: pl.DataFrame
    replacing: str | None = None


@dataclass(frozen=True)
class Table:
    """One Delta table: where it is and what it holds."""

    uri: str
    schema: pl.Schema
    partition_by: tuple[str, ...] = ()
    storage_options: Mapping[str, str] | None = None

    def create(self) -> None:
        """Create the table if it does not exist; any number of processes may do so at once."""
        if self.open() is None:
            self._create()

    def snapshot(self) -> Snapshot | None:
        """Return the newest version, or None if the table does not exist.

        Raises:
            FormatError: If an unknown version of this software wrote the table.
            StorageError: If the table cannot be read now.
        """
        table = self.open()
        return None if table is None else self._snapshot(table)

    def collect(self, query: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """Return what ``query`` makes of the newest version's rows; of no rows if the table does not exist."""
        snapshot = self.snapshot()
        rows = pl.LazyFrame(schema=self.schema) if snapshot is None else snapshot.rows
        with storage_errors(self.uri):
            return query(rows).collect()

    def commit(self, plan: Callable[[Snapshot], tuple[_T, Change | FileChange | None]]) -> _T:
        """Plan on the newest version and commit what was planned, again and again until no other writer is in between.

        Args:
            plan: Gives a result and the change to commit, or None when there is nothing to change. It may be called
                many times; only the last call counts.

        Returns:
            The result of the plan that was committed.

        Raises:
            StorageError: If the store cannot be written, or others commit faster for the whole time allowed.
        """
        deadline = time.monotonic() + PATIENCE_S
        tries = 0
        while tries < TRIES and time.monotonic() < deadline:
            table = self.open() or self._create()
            with storage_errors(self.uri):
                result, change = plan(self._snapshot(table))
                if change is None or self._write(table, change):
                    return result
            tries += 1
            _LOG.debug("another writer was first at %s, try %d", self.uri, tries)
            time.sleep(_JITTER.uniform(0, min(1.0, 0.01 * 2**tries)))
        raise StorageError(
            f"other writers were first at {self.uri} {tries} times in a row: run again when fewer write at once",
            table=self.uri,
            tries=tries,
        )

    def open(self) -> DeltaTable | None:
        """Return the table at its newest version, or None if it does not exist.

        Raises:
            FormatError: If an unknown version of this software wrote the table.
            StorageError: If the table cannot be read now.
        """
        with storage_errors(self.uri):
            try:
                table = _PlainPaths(self.uri, storage_options=self._options())
            except TableNotFoundError:
                return None
            found = table.metadata().configuration.get(FORMAT_KEY)
        if found != FORMAT:
            raise FormatError(
                f"{self.uri} has format {found!r}, this software reads and writes format {FORMAT!r}: "
                "use the version of forecast-core that wrote it, or another store",
                table=self.uri,
                found=found,
                expected=FORMAT,
            )
        return table

    def _create(self) -> DeltaTable:
        refusal: DeltaError | None = None
        with storage_errors(self.uri):
            try:
                DeltaTable.create(
                    self.uri,
                    schema=self.schema,
                    partition_by=list(self.partition_by),
                    configuration=_CONFIGURATION,
                    storage_options=self._options(),
                    raise_if_key_not_exists=False,
                )
            except DeltaError as error:  # Usually: another process has just created it.
                refusal = error
        table = self.open()
        if table is None:
            raise StorageError(f"the table {self.uri} cannot be created: {refusal}", table=self.uri) from refusal
        return table

    def _write(self, table: DeltaTable, change: Change | FileChange) -> bool:
        planned_on, once = table.version(), CommitProperties(max_commit_retries=0)
        try:
            if isinstance(change, FileChange):
                table.create_write_transaction(
                    change.actions(), "append", table.schema(), list(self.partition_by), commit_properties=once
                )
                return True
            rows = change.rows.select(self.schema.names())
            if change.replacing is None:
                write_deltalake(table, rows, mode="append", commit_properties=once)
            else:
                write_deltalake(table, rows, mode="overwrite", predicate=change.replacing, commit_properties=once)
        except CommitFailedError:
            newest = self.open()
            if newest is None or newest.version() <= planned_on:
                raise  # Nobody was first: the commit failed for another reason.
            return False
        return True

    def _snapshot(self, table: DeltaTable) -> Snapshot:
        return Snapshot(table, self.schema, self.uri, self.storage_options)

    def _options(self) -> dict[str, str] | None:
        return None if self.storage_options is None else dict(self.storage_options)


class _PlainPaths(DeltaTable):
    """A table whose files are named as the file system or the object store names them.

    delta-rs leaves the table's folder percent-encoded, and polars looks for a folder of that name: a store in
    ``/home/Søren/my store`` could be written and not be read.
    """

    def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the paths, or for object stores the URIs, of the files."""
        encoded = self.table_uri.removeprefix("file://")
        return [uri.replace(encoded, unquote(encoded), 1) for uri in super().file_uris(*args, **kwargs)]


@contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Turn what the file system, object store and delta-rs raise about ``place`` into errors of the tree."""
    try:
        yield
    except DeltaProtocolError as error:
        raise FormatError(f"{place} is not a Delta table that this software can use: {error}", place=place) from error
    except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
        if "no space left on device" in str(error).lower() or "os error 28" in str(error).lower():
            message = (
                f"the disk that holds {place} is full: free some space and run again; nothing of this write can be seen"
            )
        else:
            message = f"{place} cannot be read or written now: {error}"
        raise StorageError(message, place=place) from error
