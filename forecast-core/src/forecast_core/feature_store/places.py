"""Where in the store each table and file is."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl

from forecast_core.feature_store.delta import Table
from forecast_core.settings import Settings


def place(settings: Settings, *parts: str) -> str:
    """Return the path (local stores) or URI (object stores) of something in the store.

    >>> place(Settings(store_uri="s3://bucket/energy/"), "observations", "v1")
    's3://bucket/energy/observations/v1'
    >>> place(Settings(store_uri="file:///srv/store"), "forecasts")
    '/srv/store/forecasts'
    """
    store = settings.store
    if store.startswith("file://"):
        store = unquote(urlsplit(store).path)
    if "://" not in store:
        return str(Path(store).expanduser().absolute().joinpath(*parts))
    return "/".join([store.rstrip("/"), *parts])


def table(settings: Settings, *parts: str, schema: pl.Schema, partition_by: tuple[str, ...] = ()) -> Table:
    """Return a table in the store; nothing is opened yet."""
    return Table(place(settings, *parts), schema, partition_by, settings.storage_options)
