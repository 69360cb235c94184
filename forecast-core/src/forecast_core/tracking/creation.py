"""Create and upgrade the tracking database; return MLflow's client for it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from forecast_core.contracts.settings import Settings
from forecast_core.tracking.database import (
    EXPERIMENT,
    MODEL,
    engine_of,
    is_sqlite,
    reading,
    shown,
    turn_telemetry_off,
    uri_of,
    url_of,
    writing,
)
from forecast_core.tracking.locks import lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CREATION_WAIT: Final = 120.0

_log = logging.getLogger(__name__)


def create(settings: Settings) -> None:
    """Create the database with its experiment and registered model, or upgrade an older database.

    Takes about 8 s the first time. Safe to repeat, to kill, and to run in several processes at once: an SQLite file is
    created completely or not at all. Called at deployment; otherwise the first write calls it.

    Raises:
        TrackingError: If the database cannot be used, or another process is still creating it after two minutes.
    """
    with lock(settings, "create-tracking-database", wait=_CREATION_WAIT):
        if not _is_created(settings):
            _log.info("creating the tracking database %s", shown(settings))
            with writing(settings):
                _create_tables(settings)
        with writing(settings):
            _upgrade(settings)
            _create_names(settings)


def client(settings: Settings) -> "MlflowClient":
    """Return MLflow's client; the database is created if it does not exist.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    if not _is_created(settings):
        create(settings)
    with writing(settings):
        if is_sqlite(settings):
            _await_write_lock(settings)
        return _new_client(settings)


@contextmanager
def loading() -> Iterator[None]:
    """Import MLflow's client in a thread while the block computes; the import takes three seconds."""
    turn_telemetry_off()
    thread = Thread(target=_import_client, name="import-mlflow", daemon=True)
    with warnings.catch_warnings():
        # Warning filters belong to the process: set in the thread, they would leak into the block.
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def _import_client() -> None:
    # An error here would be lost in the thread; the next import of the same modules raises it again.
    with suppress(Exception):
        for name in (
            "mlflow",
            "mlflow.store.tracking.sqlalchemy_store",
            "mlflow.store.model_registry.sqlalchemy_store",
        ):
            import_module(name)


def _is_created(settings: Settings) -> bool:
    """Whether ``create`` has finished: it creates the registered model last."""
    from sqlalchemy import column, select, table

    with reading(settings) as connection:
        if connection is None:
            return False
        models = table("registered_models", column("name"))
        return connection.scalar(select(models.c.name).where(models.c.name == MODEL)) is not None


def _await_write_lock(settings: Settings) -> None:
    """Take and release the write lock, to fail after the URI's timeout; MLflow would wait 20 s per statement."""
    with engine_of(settings).connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.rollback()


def _new_client(settings: Settings) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri_of(settings), registry_uri=uri_of(settings))


def _create_tables(settings: Settings) -> None:
    """Let MLflow create its tables; an SQLite file is created under another name and then renamed."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if not is_sqlite(settings):
        # If the server is down, this connection fails at once; MLflow would retry for 100 s.
        with engine_of(settings).connect():
            SqlAlchemyStore(uri_of(settings), settings.artifacts)  # type: ignore[no-untyped-call]
        return
    url = url_of(settings)
    path = Path(url.database or "").absolute()
    if path.exists() and path.stat().st_size:
        return
    draft = path.with_name(f"{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    in_draft = url.set(database=str(draft)).render_as_string(hide_password=False)
    store = SqlAlchemyStore(in_draft, settings.artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    draft.replace(path)


def _upgrade(settings: Settings) -> None:
    """Run the migrations that ``mlflow db upgrade`` would run, if there are any."""
    from mlflow.store.db import utils

    engine = engine_of(settings)
    if utils._get_schema_version(engine) != utils._get_latest_schema_revision():  # type: ignore[no-untyped-call]
        _log.info("upgrading the tracking database %s", shown(settings))
        utils._upgrade_db(engine)  # type: ignore[no-untyped-call]


def _create_names(settings: Settings) -> None:
    mlflow = _new_client(settings)
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=settings.artifacts)
    if not mlflow.search_registered_models(f"name = '{MODEL}'"):
        mlflow.create_registered_model(MODEL)
