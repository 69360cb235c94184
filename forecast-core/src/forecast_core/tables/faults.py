"""Classify what file systems, object stores, delta-rs and polars raise: may heal, damaged data, or a bug of ours.

StorageError   the disk is full, a network or object store fails, commits are in conflict: retry
FormatError    a data file or the log of a table is damaged, or needs features that delta-rs lacks
as it was      anything else, e.g. a column that does not exist: a bug, which no retry heals
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError, TableNotFoundError

from forecast_core.contracts.errors import ForecastingError, FormatError, StorageError

_FULL: Final = ("no space left on device", "os error 28", "quota exceeded", "os error 122")
_TRANSIENT: Final = (OSError, CommitFailedError, TableNotFoundError)
_MAY_HEAL: Final = ("os error", "object store error", "object-store error", "error performing", "timed out")
"""Parts of messages of input and output: delta-rs and polars have no type of their own for it."""
_SHORT: Final = "requested range was invalid"
"""delta-rs reports a data file that is shorter than its footer says as an error of the object store."""
_DAMAGED: Final = (
    _SHORT,
    "range.end as u64 <= self.size",  # polars panics on a data file that is too short
    "file out of specification",  # polars: no parquet
    "corrupt footer",
    "invalid parquet",
)
_LOG_DAMAGED: Final = "kernel error"
"""Begin of delta-rs' messages about a commit or checkpoint that cannot be read."""


@contextmanager
def storage_errors(place: str) -> Iterator[None]:
    """Raise what the block raises about ``place`` as an error of the tree, or unchanged if it is a bug.

    Raises:
        StorageError: If the same call may succeed later.
        FormatError: If stored data are damaged, or of a form that this software cannot read.
    """
    try:
        yield
    except (DeltaError, OSError, pl.exceptions.ComputeError, pl.exceptions.PanicException) as error:
        known = _classified(error, place)
        if known is None:
            raise
        raise known from error


def _classified(error: BaseException, place: str) -> ForecastingError | None:
    # delta-rs adds a backtrace to some messages.
    message = str(error).partition("\n   0: ")[0]
    text = message.lower()
    if any(part in text for part in _FULL):
        return StorageError(
            f"the disk that holds {place} is full: free some space and run again; nothing of this write can be seen",
            place=place,
        )
    if isinstance(error, DeltaProtocolError):
        return FormatError(f"{place} is not a Delta table that this software can use: {message}", place=place)
    may_heal = isinstance(error, _TRANSIENT) or any(part in text for part in _MAY_HEAL)
    damaged = text.startswith(_LOG_DAMAGED) or any(part in text for part in _DAMAGED)
    if damaged and (not may_heal or _SHORT in text):
        return FormatError(f"{place} is damaged: {message}; restore it from a backup", place=place)
    return StorageError(f"{place} cannot be read or written now: {message}", place=place) if may_heal else None
