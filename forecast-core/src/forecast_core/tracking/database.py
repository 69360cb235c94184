"""How the tracking database is reached: in bounded time, with clear errors, and for reading without MLflow."""

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


def url_of(settings: Settings) -> "URL":
    """Return the database's URL, with the driver that we ship and a bound on connecting.

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
    """Return the database's URI as MLflow takes it: with its password, so never for a log."""
    return url_of(settings).render_as_string(hide_password=False)


def is_sqlite(settings: Settings) -> bool:
    """Whether the database is a file."""
    return url_of(settings).get_backend_name() == "sqlite"


def shown(settings: Settings) -> str:
    """Return the database's URI for a log or a message: without its password."""
    return url_of(settings).render_as_string(hide_password=True)


def engine_of(settings: Settings) -> "Engine":
    """Return an SQLAlchemy engine that keeps no connection open."""
    from sqlalchemy import NullPool, create_engine

    return create_engine(url_of(settings), poolclass=NullPool)


@contextmanager
def reading(settings: Settings) -> "Iterator[Connection | None]":
    """Give a connection for reading MLflow's tables, or None while there are none.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    from sqlalchemy import inspect

    # Connecting to an SQLite file that is not there would create an empty one.
    if is_sqlite(settings) and not Path(url_of(settings).database or "").is_file():
        yield None
        return
    with translated(settings), engine_of(settings).connect() as connection:
        yield connection if inspect(connection).has_table("model_versions") else None


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """Translate what MLflow's client raises when the database is locked or gone; have MLflow neither report nor warn.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    turn_telemetry_off()
    with translated(settings), warnings.catch_warnings():
        # What MLflow does that its own dependencies deprecate is nothing that a user of ours can mend.
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if error.error_code != "TEMPORARILY_UNAVAILABLE":
                raise
            raise _unusable(settings, error) from error


def turn_telemetry_off() -> None:
    """Set what MLflow reads when it is imported ("Usage tracking" in its documentation): nothing phones home."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Turn a driver's errors of operation into ``TrackingError``; what is wrong with a statement stays as it is."""
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
