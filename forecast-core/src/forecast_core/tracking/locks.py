"""Named locks among all processes that use one tracking database."""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forecast_core.contracts.errors import TrackingError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.database import engine_of, is_sqlite, translated


@contextmanager
def lock(settings: Settings, name: str, *, wait: float) -> Iterator[None]:
    """Hold the lock ``name``; when its holder dies, however it dies, the lock is free.

    With PostgreSQL it is an advisory lock, with SQLite a locked file under the root folder.

    Args:
        settings: Where the database and the root folder are.
        name: What is protected; letters, digits and hyphens.
        wait: Seconds to wait for another holder.

    Raises:
        TrackingError: If another process still holds the lock after ``wait`` seconds.
    """
    hold = _file_lock if is_sqlite(settings) else _advisory_lock
    with hold(settings, name, wait):
        yield


@contextmanager
def _file_lock(settings: Settings, name: str, wait: float) -> Iterator[None]:
    path = settings.root / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:

        def attempt() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        _poll(attempt, name, wait)
        yield


@contextmanager
def _advisory_lock(settings: Settings, name: str, wait: float) -> Iterator[None]:
    from sqlalchemy import func, select

    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with translated(settings):
        connection = engine_of(settings).connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        _poll(lambda: bool(connection.scalar(select(func.pg_try_advisory_lock(number)))), name, wait)
        yield


def _poll(attempt: Callable[[], bool], name: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while not attempt():
        if time.monotonic() > deadline:
            raise TrackingError(
                f"another process has held the lock {name!r} for more than {wait:g} s; "
                "wait until it has finished, or stop it, then run again",
                lock=name,
            )
        time.sleep(0.1)
