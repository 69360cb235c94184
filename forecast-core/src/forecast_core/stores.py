"""All tables of the store: what deployment creates, maintenance compacts, migration upgrades and the API watches.

Each table is declared once, beside the code that reads and writes it; a test finds declarations that are missing here.
"""

from datetime import timedelta
from typing import Final

from forecast_core import (
    alarms,
    archive,
    consumer_types,
    feature_store,
    quarantine,
    scored_hours,
    step_log,
    validations,
)
from forecast_core.contracts.settings import Settings
from forecast_core.tables import upkeep
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.upkeep import Upkeep
from forecast_core.tracking import decisions, searches

TABLES: Final[tuple[Declaration, ...]] = (
    *feature_store.TABLES,
    step_log.TABLE,
    *quarantine.TABLES,
    *validations.TABLES,
    *archive.TABLES,
    *scored_hours.TABLES,
    *alarms.TABLES,
    *consumer_types.TABLES,
    *decisions.TABLES,
    *searches.TABLES,
)
"""Every table of the store; a family (the observations of each feature group) counts as one."""


def versions(settings: Settings) -> dict[str, int]:
    """Return the Delta version of each table that exists, families aside: an ingest commits to ``ingests`` last.

    Raises:
        FormatError: If a newer version of this software wrote a table, or it is damaged.
        StorageError: If the store cannot be read now.
    """
    opened = {each.name: each.table(settings).open() for each in TABLES if each.members is None}
    return {name: table.version() for name, table in opened.items() if table is not None}


def create(settings: Settings) -> None:
    """Create the tables that do not exist; safe to repeat and to race. A first write does it otherwise.

    Raises:
        StorageError: If the store cannot be written now.
    """
    for each in TABLES:
        if each.members is None:
            each.table(settings).create()


def maintain(settings: Settings, *, keep: timedelta) -> dict[str, Upkeep]:
    """Compact and vacuum every table; safe beside readers and writers. Done once a day.

    Args:
        settings: Where the store is.
        keep: For how long a file that was taken out of a table stays for readers of an earlier version; also the
            longest time that a write may take.

    Returns:
        What was done, by name of the table.

    Raises:
        InvalidArgument: If ``keep`` is less than an hour.
        StorageError: If the store cannot be read or written now.
    """
    kept = upkeep.kept(keep)
    return {name: report for each in TABLES for name, report in each.maintained(settings, keep=kept).items()}


def migrate(settings: Settings) -> list[str]:
    """Bring every table to its newest format, and copy what version 1.0.0 kept in MLflow into tables.

    Safe to kill and to repeat, and safe beside readers and writers of this version of the software. A first write
    migrates its table otherwise.

    Returns:
        Names of the tables that changed.

    Raises:
        FormatError: If a newer version of this software wrote a table, or it is damaged.
        StorageError: If the store cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    upgraded = [name for each in TABLES for name, table in each.tables(settings).items() if table.migrate()]
    copied = {
        "promotions": decisions.Decisions(settings).migrate(),
        "searches": searches.Searches(settings).migrate(),
    }
    return [*upgraded, *(name for name, rows in copied.items() if rows)]
