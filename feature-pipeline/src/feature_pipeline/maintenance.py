"""Maintenance: once a day, keep the tables fast and small."""

import logging
from datetime import timedelta
from typing import Any

from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import whole_number
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

logger = logging.getLogger(__name__)


def run(keep_days: int | str = 7, *, settings: Settings | None = None) -> dict[str, Any]:
    """Merge small files of every table, and delete files that nobody can read any more.

    Safe beside readers and writers, and safe to kill and to run again. No value, revision, forecast or training
    dataset is lost: what could be traced and made again before can be afterwards.

    Args:
        keep_days: Days for which a file that was taken out of a table stays, for who still reads an earlier version.
        settings: Where the store is; default from the environment.

    Returns:
        Plain JSON by table: ``files_before``, ``files_after``, ``files_deleted``.

    Raises:
        InvalidArgument: If ``keep_days`` is not a whole number from 1 on.
        StorageError: If the store cannot be read or written now.
    """
    settings = settings or Settings()
    days = whole_number("keep_days", keep_days, least=1)
    keep = timedelta(days=days)
    stores = (FeatureStore(settings), Quarantine(settings), ForecastArchive(settings), Alarms(settings))
    tables = {name: done for store in stores for name, done in store.maintain(keep=keep).items()}
    for name, done in tables.items():
        logger.info("%s: %s", name, done)
    return {"keep_days": days, "tables": tables}
