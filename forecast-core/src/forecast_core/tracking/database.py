"""Connect to the tracking database: with time limits, errors of our own, and reads that do not import MLflow."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forecast_core.contracts.errors import InvalidArgument, TrackingError
from forecast_core.contracts.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

EXPERIMENT: Final = "energy_consumption"
"""Name of the one MLflow experiment."""

MODEL: Final = "energy_consumption"
"""Name of the one registered model."""

_CONNECT_SECONDS: Final = "10"
"""Time limit for connecting to PostgreSQL; without one, a host that drops packets blocks for minutes."""


def url_of(settings: Settings) -> "URL":
    """Return the database's URL with our PostgreSQL driver and a time limit for connecting.

    Raises:
        InvalidArgument: If it is not the URL of an SQLite or PostgreSQL database.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    expected = "give ML_PIPELINE_TRACKING_URI as sqlite:////path/file.db or postgresql://user@host/database"
    try:
        url = make_url(settings.tracking)
    except ArgumentError as error:
        raise InvalidArgument(f"the tracking URI is not the URI of a database; {expected}") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidArgument(f"tracking works in SQLite or PostgreSQL, not in {url.get_backend_name()}; {expected}")
    if url.get_backend_name() == "sqlite":
        return url
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg2")
    return url if "connect_timeout" in url.query else url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})


def uri_of(settings: Settings) -> str:
    """Return the database's URI for MLflow. It contains the password: never log it."""
    return url_of(settings).render_as_string(hide_password=False)


def is_sqlite(settings: Settings) -> bool:
    """Whether the database is a file."""
    return url_of(settings).get_backend_name() == "sqlite"


def shown(settings: Settings) -> str:
    """Return the database's URI without its password, for logs and messages."""
    return url_of(settings).render_as_string(hide_password=True)


def engine_of(settings: Settings) -> "Engine":
    """Return an SQLAlchemy engine that closes each connection after use."""
    from sqlalchemy import NullPool, create_engine

    return create_engine(url_of(settings), poolclass=NullPool)


@contextmanager
def reading(settings: Settings) -> "Iterator[Connection | None]":
    """Yield a connection for reading MLflow's tables, or None if they do not exist yet.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    from sqlalchemy import inspect

    # Connecting would create an empty file where there is no SQLite file yet.
    if is_sqlite(settings) and not Path(url_of(settings).database or "").is_file():
        yield None
        return
    with translated(settings), engine_of(settings).connect() as connection:
        yield connection if inspect(connection).has_table("model_versions") else None


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """Turn errors of MLflow's client into ``TrackingError`` if the database is locked or gone; silence its warnings.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    turn_telemetry_off()
    with translated(settings), warnings.catch_warnings():
        # MLflow calls functions that its dependencies deprecate; our users cannot change that.
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if error.error_code != "TEMPORARILY_UNAVAILABLE":
                raise
            raise _unusable(settings, error) from error


def turn_telemetry_off() -> None:
    """Turn MLflow's usage tracking off; it reads these variables when it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Turn a driver's connection and lock errors into ``TrackingError``; errors in a statement are not changed."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _unusable(settings, error.orig or error) from error


def _unusable(settings: Settings, error: BaseException) -> TrackingError:
    cause = " ".join(str(error).split())[:300]
    return TrackingError(
        f"the tracking database {shown(settings)} cannot be used now: {cause}. If it is locked, another process is "
        "writing: run again when it has finished; otherwise see that its server is up and its disk not full",
        tracking=shown(settings),
    )
