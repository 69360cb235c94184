"""Upkeep of the store: compact small files and vacuum unreachable ones once a day; migrate tables after an upgrade."""

import logging
from datetime import timedelta
from typing import TypedDict

from forecast_core import stores
from forecast_core.contracts.arguments import whole_number
from forecast_core.contracts.settings import Settings
from forecast_core.tables.upkeep import Upkeep

logger = logging.getLogger(__name__)


class Maintained(TypedDict):
    """What ``run`` returns; ``tables`` says what was done, by name of the table."""

    keep_days: int
    tables: dict[str, Upkeep]


class Migrated(TypedDict):
    """What ``migrate`` returns: the names of the tables that had an older format."""

    tables: list[str]


def run(keep_days: int | str = 7, *, settings: Settings | None = None) -> Maintained:
    """Compact small files of every table, and delete files that no reader can reach any more.

    Safe beside readers and writers, and safe to kill and to repeat. No value, revision, forecast or training dataset
    is lost: every forecast can still be traced and recreated.

    Args:
        keep_days: Days for which a file that was taken out of a table stays for readers of an earlier version.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If ``keep_days`` is not a whole number from 1 on.
        StorageError: If the store cannot be read or written now.
    """
    settings, days = settings or Settings(), whole_number("keep_days", keep_days, least=1)
    tables = stores.maintain(settings, keep=timedelta(days=days))
    for name, done in tables.items():
        logger.info("%s: %s", name, done)
    return {"keep_days": days, "tables": tables}


def migrate(*, settings: Settings | None = None) -> Migrated:
    """Bring every table to the format of the installed version.

    Safe to kill and to repeat, and safe beside readers and writers of the same version. The first write to a table
    migrates it otherwise.

    Args:
        settings: Where the store is; default from the environment.

    Raises:
        FormatError: If a newer version of this software wrote a table, or a table is damaged.
        StorageError: If the store cannot be read or written now.
    """
    tables = stores.migrate(settings or Settings())
    logger.info("migrated: %s", ", ".join(tables) or "nothing had an older format")
    return {"tables": tables}
