"""Delta tables with optimistic concurrency: plan on version n, commit n + 1, plan again on conflict.

A plan may rely on everything that it read: it is committed as the very next version, or not at all.

Long, because opening, committing, migrating and compacting share one loop of attempts; apart, each would have its own.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from forecast_core.contracts.errors import FormatError, StorageError
from forecast_core.tables import files
from forecast_core.tables.faults import storage_errors
from forecast_core.tables.files import FileChange

FORMAT_KEY: Final = "forecast_core.format"
FORMAT: Final = 2
"""Format of a table that nothing has changed since version 1.0.0."""

MIGRATE: Final = "python -m feature_pipeline migrate"
"""The command that brings all tables to the newest format."""

_CONFIGURATION: Final = {
    # A reader replays the commits since the last checkpoint, and lists the log.
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 7 days",
}
TRIES: Final = 50
PATIENCE_S: Final = 120.0
_LOG = logging.getLogger(__name__)
_JITTER = random.SystemRandom()
_T = TypeVar("_T")

Upgrade = Callable[[pl.LazyFrame], pl.LazyFrame]
"""Makes rows of one format rows of the next; rows that are of the next already stay as they are."""


@dataclass(frozen=True)
class Snapshot:
    """A table as it is at one of its versions; nothing of it is read yet."""

    table: DeltaTable
    schema: pl.Schema
    uri: str
    storage_options: Mapping[str, str] | None = None
    pending: tuple[Upgrade, ...] = ()

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.table.version()

    @property
    def rows(self) -> pl.LazyFrame:
        """The table's rows, in the newest format."""
        options = None if self.storage_options is None else dict(self.storage_options)
        rows = pl.scan_delta(self.table, storage_options=options)
        for upgrade in self.pending:
            rows = upgrade(rows)
        return rows

    def files(self) -> pl.DataFrame:
        """Return the table's files, as ``files.listed`` describes them.

        Raises:
            FormatError: If the table has an older format: its files cannot be read one by one.
        """
        if self.pending:
            raise FormatError(f"{self.uri} has an older format: run `{MIGRATE}` first", table=self.uri)
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
    """One Delta table: where it is and what it holds.

    Attributes:
        uri: Path or URI.
        schema: Columns and types as they are stored, in the newest format.
        partition_by: Partition columns.
        storage_options: As delta-rs takes them.
        upgrades: One for each format since ``FORMAT``: from format 2 to 3, from 3 to 4, and so on.
        compact_every: Number of commits after which the writer compacts small files; None leaves it to maintenance.
    """

    uri: str
    schema: pl.Schema
    partition_by: tuple[str, ...] = ()
    storage_options: Mapping[str, str] | None = None
    upgrades: tuple[Upgrade, ...] = ()
    compact_every: int | None = None

    @property
    def format(self) -> int:
        """The newest format of the table, in which it is written."""
        return FORMAT + len(self.upgrades)

    def create(self) -> None:
        """Create the table if it does not exist; any number of processes may do so at once."""
        if self.open() is None:
            self._create()

    def snapshot(self) -> Snapshot | None:
        """Return the newest version, or None if the table does not exist.

        Raises:
            FormatError: If a newer version of this software wrote the table, or it is damaged.
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
        """Plan on the newest version and commit the change; plan again as often as another writer commits in between.

        A table that does not exist is created, one of an older format is migrated first.

        Args:
            plan: Gives a result and the change to commit, or None when there is nothing to change. It may be called
                many times; only the last call counts.

        Returns:
            The result of the plan that was committed.

        Raises:
            FormatError: If a newer version of this software wrote the table, or it is damaged.
            StorageError: If the table cannot be written now, or other writers were first ``TRIES`` times or for
                ``PATIENCE_S`` seconds.
        """

        def attempt() -> tuple[bool, Any]:
            self.migrate()
            table = self.open() or self._create()
            with storage_errors(self.uri):
                result, change = plan(self._snapshot(table))
                if change is None:
                    return True, result
                done = self._written(table, lambda once: self._write(table, change, once))
            if done and self.compact_every is not None and (table.version() + 1) % self.compact_every == 0:
                self._compact()
            return done, result

        found: _T = self._until_done(attempt)
        return found

    def migrate(self) -> bool:
        """Bring a table of an older format to the newest; return whether there was anything to do.

        First its rows are rewritten, then its format is set, each in one commit. A kill in between does no harm:
        upgrades leave rows that are upgraded as they are. Readers see the upgraded rows all the time.

        Raises:
            FormatError: If a newer version of this software wrote the table, or it is damaged.
            StorageError: If the table cannot be written now.
        """

        def attempt() -> tuple[bool, bool]:
            table = self.open()
            if table is None or _format(table) == self.format:
                return True, False
            _LOG.info("%s: from format %d to %d", self.uri, _format(table), self.format)
            with storage_errors(self.uri):
                rows = self._snapshot(table).rows.select(self.schema.names()).collect()
                return self._written(table, lambda once: self._rewrite(table, rows, once)), True

        return self._until_done(attempt)

    def open(self) -> DeltaTable | None:
        """Return the table at its newest version, or None if it does not exist.

        Raises:
            FormatError: If a newer version of this software wrote the table, or it is damaged.
            StorageError: If the table cannot be read now.
        """
        with storage_errors(self.uri):
            try:
                table = _PlainPaths(self.uri, storage_options=self._options())
            except TableNotFoundError:
                return None
            found = table.metadata().configuration.get(FORMAT_KEY)
        if found is None or not found.isdecimal() or not FORMAT <= int(found) <= self.format:
            remedy = (
                f"install the version of forecast-core that wrote it, or a newer one: this one reads formats {FORMAT} "
                f"to {self.format}"
                if found is not None and found.isdecimal()
                else "it is no table of this software; use another store"
            )
            raise FormatError(f"{self.uri} has format {found}: {remedy}", table=self.uri, found=found)
        return table

    def _until_done(self, attempt: Callable[[], tuple[bool, _T]]) -> _T:
        """Repeat ``attempt`` until it says that it is done; return its result."""
        deadline = time.monotonic() + PATIENCE_S
        tries = 0
        while tries < TRIES and time.monotonic() < deadline:
            done, result = attempt()
            if done:
                return result
            tries += 1
            _LOG.debug("another writer was first at %s, try %d", self.uri, tries)
            time.sleep(_JITTER.uniform(0, min(1.0, 0.01 * 2**tries)))
        raise StorageError(
            f"other writers were first at {self.uri} {tries} times in a row: run again when fewer write at once",
            table=self.uri,
            tries=tries,
        )

    def _create(self) -> DeltaTable:
        refusal: DeltaError | None = None
        with storage_errors(self.uri):
            try:
                DeltaTable.create(
                    self.uri,
                    schema=self.schema,
                    partition_by=list(self.partition_by),
                    configuration={FORMAT_KEY: str(self.format), **_CONFIGURATION},
                    storage_options=self._options(),
                    raise_if_key_not_exists=False,
                )
            except DeltaError as error:  # Usually: another process has just created it.
                refusal = error
            table = self.open()
            if table is None:
                raise refusal or StorageError(f"the table {self.uri} cannot be created", table=self.uri)
        return table

    def _written(self, table: DeltaTable, write: Callable[[CommitProperties], None]) -> bool:
        """Commit right after the version that was opened; return False if another writer was first."""
        planned_on = table.version()
        try:
            write(CommitProperties(max_commit_retries=0))
        except CommitFailedError:
            newest = self.open()
            if newest is None or newest.version() <= planned_on:
                raise  # Nobody was first: the commit failed for another reason.
            return False
        return True

    def _write(self, table: DeltaTable, change: Change | FileChange, once: CommitProperties) -> None:
        if isinstance(change, FileChange):
            table.create_write_transaction(
                change.actions(), "append", table.schema(), list(self.partition_by), commit_properties=once
            )
            return
        rows = change.rows.select(self.schema.names())
        if change.replacing is None:
            write_deltalake(table, rows, mode="append", commit_properties=once)
        else:
            write_deltalake(table, rows, mode="overwrite", predicate=change.replacing, commit_properties=once)

    def _rewrite(self, table: DeltaTable, rows: pl.DataFrame, once: CommitProperties) -> None:
        rewritten = table.version() + 1
        write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite", commit_properties=once)
        table.update_incremental()
        if table.version() != rewritten:
            # Rows that a writer of the older format has added since are to be upgraded, too.
            raise CommitFailedError(f"version {table.version()} of {self.uri} is not the rewritten one")
        changed = {FORMAT_KEY: str(self.format)}
        table.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=once)

    def _compact(self) -> None:
        """Merge small files; if that fails, a later commit or the daily maintenance does it."""
        try:
            table = self.open()
            with storage_errors(self.uri):
                if table is not None:
                    table.optimize.compact()
        except StorageError as error:
            _LOG.info("small files stay: %s", error)
        except FormatError as error:
            # What was to be written is written; whoever reads the damaged file fails.
            _LOG.warning("small files stay: %s", error)

    def _snapshot(self, table: DeltaTable) -> Snapshot:
        pending = self.upgrades[_format(table) - FORMAT :]
        return Snapshot(table, self.schema, self.uri, self.storage_options, pending)

    def _options(self) -> dict[str, str] | None:
        return None if self.storage_options is None else dict(self.storage_options)


def _format(table: DeltaTable) -> int:
    return int(table.metadata().configuration[FORMAT_KEY])


class _PlainPaths(DeltaTable):
    """A table whose files are named as the file system or the object store names them.

    delta-rs leaves the table's folder percent-encoded, and polars looks for a folder of that name: a store in
    ``/home/Søren/my store`` could be written and not be read.
    """

    def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the paths, or for object stores the URIs, of the files."""
        encoded = self.table_uri.removeprefix("file://")
        return [uri.replace(encoded, unquote(encoded), 1) for uri in super().file_uris(*args, **kwargs)]
