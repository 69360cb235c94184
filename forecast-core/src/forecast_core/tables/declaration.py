"""The declaration of a table of the store: its name, columns, key, partitions, dates, formats and upkeep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.schema import Frame
from forecast_core.contracts.settings import Settings
from forecast_core.tables import upkeep
from forecast_core.tables.delta import Table, Upgrade
from forecast_core.tables.places import options, place
from forecast_core.tables.upkeep import Upkeep

COMPACT_EVERY: Final = 24
"""Commits between two compactions by a writer: a day of hourly runs.

Without compaction, the three commits of a run took three times the CPU after 1,500 runs (0.06 to 0.19 s), and the logs,
whose checkpoints list every file, had 183 MB; benchmarks/archive.py measures them with it.
"""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One table of the store, or a family of tables with the same columns.

    Attributes:
        name: Folder of the table in the store; of a family, the folder of its tables.
        frame: Columns, key and meaning of the rows that are written and read.
        added: Columns that the store adds: a partition, or the number of the commit.
        dated_by: The column of reference times that dates the rows, if there is one.
        date_column: The partition column that holds the date of ``dated_by``, if there is one.
        partition_by: Partition columns.
        upgrades: See ``Table``.
        compact_every: See ``Table``.
        members: For a family, gives the folders of each table of it, below ``name``.
        maintain: Compacts and vacuums one table; returns a report, or None if the table does not exist.
    """

    name: str
    frame: Frame
    added: pl.Schema = field(default_factory=pl.Schema)
    dated_by: str | None = None
    date_column: str | None = None
    partition_by: tuple[str, ...] = ()
    upgrades: tuple[Upgrade, ...] = ()
    compact_every: int | None = COMPACT_EVERY
    members: Callable[[Settings], Sequence[tuple[str, ...]]] | None = None
    maintain: Callable[..., Upkeep | None] = upkeep.maintain

    @property
    def schema(self) -> pl.Schema:
        """Columns and types as they are stored."""
        return pl.Schema({**self.frame, **self.added})

    def table(self, settings: Settings, *member: str) -> Table:
        """Return the table, or one table of the family; nothing is opened yet.

        Raises:
            InvalidArgument: If a local path cannot be used, or a secret is among ``settings.storage_options``.
        """
        return Table(
            place(settings, self.name, *member),
            self.schema,
            self.partition_by,
            options(settings),
            self.upgrades,
            self.compact_every,
        )

    def tables(self, settings: Settings) -> dict[str, Table]:
        """Return the table, or those tables of the family that exist, by name."""
        members = [()] if self.members is None else self.members(settings)
        return {"/".join((self.name, *each)): self.table(settings, *each) for each in members}

    def maintained(self, settings: Settings, *, keep: timedelta) -> dict[str, Upkeep]:
        """Compact and vacuum the tables; return the report of each that exists."""
        reports = {name: self.maintain(table, keep=keep) for name, table in self.tables(settings).items()}
        return {name: report for name, report in reports.items() if report is not None}


def dated(name: str, frame: Frame, *, by: str, date_column: str, upgrades: tuple[Upgrade, ...] = ()) -> Declaration:
    """Return the declaration of a table that is partitioned by the date of its column ``by``."""
    return Declaration(
        name=name,
        frame=frame,
        added=pl.Schema({date_column: pl.Date()}),
        dated_by=by,
        date_column=date_column,
        partition_by=(date_column,),
        upgrades=upgrades,
    )
