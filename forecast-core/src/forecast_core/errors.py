"""Every error that the system raises on purpose.

    ForecastSystemError
    ├── InputError             what was asked for or given is wrong: running again will not help
    │   ├── InvalidArgument
    │   ├── SourceError        the data source is unknown, absent, or not in the expected form
    │   ├── WindowError        the source has too little of the window that was asked for
    │   ├── ValidationError    the data do not keep what their schema promises
    │   └── NotFoundError      a feature view, training dataset, model or tuning run does not exist
    ├── FormatError            stored data were written by an unknown version of this software
    └── TransientError         the same call may succeed later: retry
        ├── SourceUnavailable
        ├── StorageError       the store cannot be read or written now (disk full, commits in conflict)
        └── TrackingError      the tracking database cannot be used now (locked, unreachable)

A message says what was expected, what came, and what to do. Facts are in ``facts``, as keyword arguments gave them.
Errors pickle.
"""

from typing import Any


class ForecastSystemError(Exception):
    """Root of the tree."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.args, {"facts": self.facts})


class InputError(ForecastSystemError):
    """What was asked for or given is wrong; running again will not help, and its text says so.

    The text is all that leaves a task's environment, so the orchestrator decides by it whether to retry.

    >>> str(InvalidArgument("days_delay must be at least 0, not -1"))
    'days_delay must be at least 0, not -1 [InvalidArgument: running again will not help]'
    """

    def __str__(self) -> str:
        return f"{super().__str__()} [{type(self).__name__}: running again will not help]"


class InvalidArgument(InputError):
    """An argument is outside what the function accepts."""


class SourceError(InputError):
    """The data source is unknown, absent, or not in the expected form."""


class WindowError(InputError):
    """The source has too little of the window that was asked for."""


class ValidationError(InputError):
    """The data do not keep what their schema promises."""


class NotFoundError(InputError):
    """A feature view, training dataset, model or tuning run does not exist."""


class FormatError(ForecastSystemError):
    """Stored data were written by an unknown version of this software."""


class TransientError(ForecastSystemError):
    """The same call may succeed later."""


class SourceUnavailable(TransientError):
    """The data source does not answer, or asks us to wait for longer than we may."""


class StorageError(TransientError):
    """The store cannot be read or written now."""


class TrackingError(TransientError):
    """The tracking database cannot be used now."""
