"""Creating and upgrading the tracking database, and MLflow's client for one that is ready."""

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
    """Create the database with its experiment and registered model, or bring an older database up to date.

    Takes about 8 s the first time. Safe to repeat, to kill and to race: an SQLite database appears whole or not at
    all. Call it at deployment; a first write does it otherwise.

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
    """Return MLflow's client for a database that exists, is current, and can be written now.

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
    """Import MLflow's client in the background while the block computes: three seconds that need not be waited for."""
    turn_telemetry_off()
    thread = Thread(target=_import_client, name="import-mlflow", daemon=True)
    with warnings.catch_warnings():
        # Filters are those of the process, so they are set here and not in the thread.
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def _import_client() -> None:
    # If this fails, so will the import by whoever needs the client, and the error is raised there.
    with suppress(Exception):
        for name in (
            "mlflow",
            "mlflow.store.tracking.sqlalchemy_store",
            "mlflow.store.model_registry.sqlalchemy_store",
        ):
            import_module(name)


def _is_created(settings: Settings) -> bool:
    """Whether creation has come to its end: the registered model is what it makes last."""
    from sqlalchemy import column, select, table

    with reading(settings) as connection:
        if connection is None:
            return False
        models = table("registered_models", column("name"))
        return connection.scalar(select(models.c.name).where(models.c.name == MODEL)) is not None


def _await_write_lock(settings: Settings) -> None:
    """Fail here, after the URI's own timeout, rather than in MLflow, which waits 20 s for each statement."""
    with engine_of(settings).connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.rollback()


def _new_client(settings: Settings) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri_of(settings), registry_uri=uri_of(settings))


def _create_tables(settings: Settings) -> None:
    """Let MLflow make its tables: for SQLite in a draft that then takes its place."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if not is_sqlite(settings):
        # Fails at once where MLflow would try for 100 s.
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
