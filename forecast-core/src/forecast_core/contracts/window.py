"""Windows of hours in UTC, and the conversion of a user's times to UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR

DATETIME_FORMAT = "%Y-%m-%d %H:%M"
"""How times travel as text between tasks; always UTC."""


def as_utc(moment: datetime) -> datetime:
    """Return ``moment`` as an aware datetime in UTC; a naive one is taken to be UTC already.

    >>> as_utc(datetime(2023, 1, 1, 12))
    datetime.datetime(2023, 1, 1, 12, 0, tzinfo=datetime.timezone.utc)
    """
    naive = moment.tzinfo is None
    # A plain datetime, also when a subclass (pendulum's) came in: what travels on must pickle anywhere.
    utc = moment if naive else moment.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC)


def floor_hour(moment: datetime) -> datetime:
    """Return the full hour, in UTC, at or before ``moment``."""
    return as_utc(moment).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Window:
    """The hours from ``start`` (inclusive) to ``end`` (exclusive), both full hours in UTC.

    Raises:
        InvalidArgument: If a bound is not a full hour in UTC, or the window is empty.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for bound in (self.start, self.end):
            if bound.tzinfo is None or bound != floor_hour(bound):
                raise InvalidArgument(f"a window is bounded by full hours in UTC, not by {bound!r}", bound=bound)
        if self.start >= self.end:
            raise InvalidArgument(f"a window ends after it starts: {self.start} to {self.end}", window=self)

    @classmethod
    def before(cls, reference: datetime, *, days_delay: int, days_export: int) -> "Window":
        """Return the window that a run at ``reference`` sees: [reference - delay - export, reference - delay).

        >>> Window.before(datetime(2023, 1, 31, 5, 20), days_delay=15, days_export=1).start
        datetime.datetime(2023, 1, 15, 5, 0, tzinfo=datetime.timezone.utc)
        """
        for name, days, least in (("days_delay", days_delay, 0), ("days_export", days_export, 1)):
            if days < least:
                raise InvalidArgument(f"{name} must be at least {least}, not {days}", argument=name, value=days)
        end = floor_hour(reference) - timedelta(days=days_delay)
        return cls(end - timedelta(days=days_export), end)

    @property
    def hours(self) -> int:
        """Number of hours in the window."""
        return (self.end - self.start) // HOUR
