"""Errors that the forecaster raises on purpose.

    ForecastingError
    ├── InputError             an argument or a frame is wrong: running again will not help
    │   ├── InvalidArgument
    │   ├── ValidationError    a frame does not follow its schema
    │   └── NotFoundError      there is no model in the folder
    └── FormatError            a stored model is damaged or of an unknown format version

A message says what was expected, what came, and what to do. ``facts`` holds the keyword arguments. Errors pickle.
Programs that build on the forecaster derive their own errors from ``ForecastingError``.
"""

from typing import Any


class ForecastingError(Exception):
    """Root of all errors."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.args, {"facts": self.facts})


class InputError(ForecastingError):
    """An argument or a frame is wrong; running again will not help, and the text says so.

    >>> str(InvalidArgument("days_delay must be at least 0, not -1"))
    'days_delay must be at least 0, not -1 [InvalidArgument: running again will not help]'
    """

    def __str__(self) -> str:
        return f"{super().__str__()} [{type(self).__name__}: running again will not help]"


class InvalidArgument(InputError):
    """An argument is outside the accepted range."""


class ValidationError(InputError):
    """A frame does not follow its schema."""


class NotFoundError(InputError):
    """What was asked for does not exist."""


class FormatError(ForecastingError):
    """Stored data are damaged or of an unknown format version."""
