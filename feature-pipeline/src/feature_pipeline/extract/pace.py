"""One request at a time and a pause between two, for all processes that share a root folder."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from forecast_core.contracts.errors import SourceUnavailable, StorageError
from forecast_core.contracts.settings import Settings

logger = logging.getLogger(__name__)
_LONGEST_QUEUE_S: Final = 1800.0
_WORTH_SAYING_S: Final = 5.0


@dataclass(frozen=True)
class Pace:
    """The pace of the requests for one dataset of one host.

    Attributes:
        place: Path of the lock, and without its suffix of the file whose time is that of the last request. The times of
            files are compared with each other only, so that neither this machine's clock nor its restart matters.
        seconds: From the begin of a request to that of the next one, at least.
        sleep: Called with the seconds to wait.
        longest_queue: Seconds to wait for another process to end its request.
    """

    place: Path
    seconds: float
    sleep: Callable[[float], None] = time.sleep
    longest_queue: float = _LONGEST_QUEUE_S

    @classmethod
    def of(cls, settings: Settings, *, host: str, dataset: str, sleep: Callable[[float], None] = time.sleep) -> "Pace":
        """Return the pace that the settings ask for."""
        place = settings.root / "source" / f"{host.replace(':', '_')}.{dataset}.lock"
        return cls(place, settings.source_seconds_between_requests, sleep)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only one who asks, attempts at the same question included.

        Raises:
            SourceUnavailable: If another process asks for too long.
            StorageError: If the folder cannot be written.
        """
        lock = FileLock(self.place, timeout=self.longest_queue)
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise SourceUnavailable(
                f"another process has been asking the same dataset for more than {self.longest_queue:.0f} s "
                f"({self.place}); try again later.",
                lock=str(self.place),
            ) from error
        except OSError as error:
            raise StorageError(f"{self.place} cannot be written: {error}; change ML_PIPELINE_ROOT_DIR.") from error
        try:
            yield
        finally:
            lock.release()

    def wait(self) -> None:
        """Wait until the next request may be made, and count it as made now."""
        last = self.place.with_suffix(".last")
        before = last.stat().st_mtime if last.exists() else None
        last.touch()
        if before is not None:
            passed = last.stat().st_mtime - before
            # A time in the future was written by a clock that has been set since.
            rest = self.seconds - max(passed, 0.0)
            if rest > 0:
                logger.log(
                    logging.INFO if rest > _WORTH_SAYING_S else logging.DEBUG,
                    "waiting %.0f s: one request for %s in %.0f s",
                    *(rest, self.place.stem, self.seconds),
                )
                self.sleep(rest)
                last.touch()
