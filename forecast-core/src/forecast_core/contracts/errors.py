"""Every error that the system raises on purpose: the forecaster's tree, and what stores and sources add to it.

    ForecastingError           root, of the forecaster
    ├── InputError             an argument, a source or data are wrong: running again will not help
    │   ├── InvalidArgument
    │   ├── SourceError        the data source is unknown, absent, or not in the expected form
    │   ├── WindowError        the source has too few hours of the window that was asked for
    │   ├── ValidationError    the data do not follow their schema or fail a validation rule
    │   └── NotFoundError      a feature view, training dataset, model or tuning run does not exist
    ├── FormatError            stored data are damaged or of an unknown format version
    └── TransientError         the same call may succeed later: retry
        ├── SourceUnavailable
        ├── StorageError       the store cannot be read or written now (disk full, commits in conflict)
        └── TrackingError      the tracking database cannot be used now (locked, unreachable)

A message says what was expected, what came, and what to do. ``facts`` holds the keyword arguments. Errors pickle.
"""

from load_forecaster.errors import (
    ForecastingError,
    FormatError,
    InputError,
    InvalidArgument,
    NotFoundError,
    ValidationError,
)

__all__ = [
    "ForecastingError",
    "FormatError",
    "InputError",
    "InvalidArgument",
    "NotFoundError",
    "SourceError",
    "SourceUnavailable",
    "StorageError",
    "TrackingError",
    "TransientError",
    "ValidationError",
    "WindowError",
]


class SourceError(InputError):
    """The data source is unknown, absent, or not in the expected form."""


class WindowError(InputError):
    """The source has too few hours of the window that was asked for."""


class TransientError(ForecastingError):
    """The same call may succeed later, and its text ends with words that say so.

    Only the text leaves a task's environment. The orchestrator retries an error whose text ends so, and no other.

    >>> str(StorageError("s3://energy/store does not answer"))
    's3://energy/store does not answer [StorageError: may succeed if run again]'
    """

    def __str__(self) -> str:
        return f"{super().__str__()} [{type(self).__name__}: may succeed if run again]"


class SourceUnavailable(TransientError):
    """The data source does not answer, or asks for a longer wait than is allowed."""


class StorageError(TransientError):
    """The store cannot be read or written now."""


class TrackingError(TransientError):
    """The tracking database cannot be used now."""
