"""Named locks among all processes that use one tracking database."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forecast_core.contracts.errors import TrackingError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.database import engine_of, is_sqlite, translated

if TYPE_CHECKING:
    from sqlalchemy import Connection

_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Held:
    """A lock that this process holds, unless its connection to PostgreSQL was lost since."""

    name: str
    is_held: Callable[[], bool]

    def check(self) -> None:
        """Make sure that the lock is still held. Call it before work becomes visible to others.

        Raises:
            TrackingError: If the lock was lost, so that another process may hold it.
        """
        if not self.is_held():
            raise TrackingError(
                f"the lock {self.name!r} was lost with the connection to the tracking database; another process may "
                "do the same work now, so nothing of this work was recorded: run again",
                lock=self.name,
            )


@contextmanager
def lock(settings: Settings, name: str, *, wait: float) -> Iterator[Held]:
    """Hold the lock ``name``; when its holder dies, however it dies, the lock is free.

    With PostgreSQL it is an advisory lock, which is lost with the connection: call ``check`` of what is given before
    work becomes visible. With SQLite it is a locked file under the root folder.

    Args:
        settings: Where the database and the root folder are.
        name: What is protected; letters, digits and hyphens.
        wait: Seconds to wait for another holder.

    Raises:
        TrackingError: If another process still holds the lock after ``wait`` seconds, or the database does not answer.
    """
    hold = _file_lock if is_sqlite(settings) else _advisory_lock
    with hold(settings, name, wait) as held:
        yield held


@contextmanager
def _file_lock(settings: Settings, name: str, wait: float) -> Iterator[Held]:
    from filelock import FileLock, Timeout

    path = settings.root / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(path, timeout=wait, poll_interval=_POLL_S)
    try:
        file.acquire()
    except Timeout as error:
        raise _still_held(name, wait) from error
    try:
        yield Held(name, lambda: True)
    finally:
        file.release()


@contextmanager
def _advisory_lock(settings: Settings, name: str, wait: float) -> Iterator[Held]:
    from sqlalchemy import func, select

    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with translated(settings):
        connection = engine_of(settings).connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        deadline = time.monotonic() + wait
        while True:
            with translated(settings):
                if connection.scalar(select(func.pg_try_advisory_lock(number))):
                    server_process = connection.scalar(select(func.pg_backend_pid()))
                    break
            if time.monotonic() > deadline:
                raise _still_held(name, wait)
            time.sleep(_POLL_S)
        yield Held(name, lambda: _is_connected(connection, server_process))


def _is_connected(connection: "Connection", server_process: int | None) -> bool:
    """Whether a connection is still to the server process that gave the lock, and not a new one."""
    from sqlalchemy import func, select
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return connection.scalar(select(func.pg_backend_pid())) == server_process
    except SQLAlchemyError:
        return False


def _still_held(name: str, wait: float) -> TrackingError:
    return TrackingError(
        f"another process has held the lock {name!r} for more than {wait:g} s; "
        "wait until it has finished, or stop it, then run again",
        lock=name,
    )
