"""Arguments as DAGs and shells give them: Airflow Variables and rendered templates are text."""

from datetime import datetime
from typing import Final

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.window import as_utc

FORECAST_FROM: Final = ("last_observation", "reference_time")
"""Where forecasts begin: at the hour after the observations' window, or at the reference time."""


_YES: Final = ("true", "yes", "1")
_NO: Final = ("false", "no", "0", "")


def whole_number(name: str, value: int | str, *, least: int) -> int:
    """Return ``value``, a whole number or its digits, as an int.

    >>> whole_number("fh", " 24 ", least=1)
    24

    Raises:
        InvalidArgument: If it is neither, or less than ``least``.
    """
    text = str(value).strip()
    digits = text.removeprefix("-")
    # isdecimal alone also takes the digits of other scripts.
    if isinstance(value, bool) or not (digits.isascii() and digits.isdecimal()):
        raise InvalidArgument(f"{name} must be a whole number, not {value!r}", argument=name, value=value)
    if int(text) < least:
        raise InvalidArgument(f"{name} must be at least {least}, not {text}", argument=name, value=value)
    return int(text)


def yes_or_no(name: str, value: bool | str) -> bool:
    """Return ``value``, a bool or a word for one, as a bool.

    >>> yes_or_no("tune", " True "), yes_or_no("tune", "no"), yes_or_no("tune", "")
    (True, False, False)

    Raises:
        InvalidArgument: If it is another word.
    """
    word = str(value).strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise InvalidArgument(f"{name} must be True or False, not {value!r}", argument=name, value=value)


def moment(name: str, value: datetime | str | None) -> datetime:
    """Return ``value``, a datetime or ISO text, in UTC; without an offset it is UTC already.

    >>> moment("end_datetime", "2023-01-31 05:00")
    datetime.datetime(2023, 1, 31, 5, 0, tzinfo=datetime.timezone.utc)

    Raises:
        InvalidArgument: If it is None, or text that is no time.
    """
    if isinstance(value, datetime):
        return as_utc(value)
    try:
        return as_utc(datetime.fromisoformat(str(value).strip()))
    except ValueError as error:
        raise InvalidArgument(
            f"{name} must be a time, as datetime or as text like 2023-01-31 05:00 (year-month-day, UTC), not {value!r}",
            argument=name,
            value=str(value),
        ) from error


def check_begun(reference_datetime: datetime, *, now: datetime) -> None:
    """Return if the hour of a run has begun.

    Raises:
        InvalidArgument: If it is in the future: the run would be newer than every run of an hour that is over.
    """
    ahead = (reference_datetime - now).total_seconds() / 3600
    if ahead > 0:
        raise InvalidArgument(
            f"the reference time {reference_datetime:%Y-%m-%d %H:%M} UTC is in the future, by "
            f"{f'{ahead:.1f} hours' if ahead < 48 else f'{ahead / 24:,.0f} days'}: it is {now:%Y-%m-%d %H:%M} UTC now; "
            "give an hour that has begun, or --allow-future if that is what you want",
            argument="reference_datetime",
            reference_datetime=reference_datetime,
        )


def forecast_gap(forecast_from: str, *, window_end: datetime, reference: datetime) -> int:
    """Return the hours between the end of the observations' window and the first forecast hour.

    >>> from datetime import UTC
    >>> end, reference = datetime(2023, 1, 16, tzinfo=UTC), datetime(2023, 1, 31, tzinfo=UTC)
    >>> forecast_gap("reference_time", window_end=end, reference=reference)
    360
    >>> forecast_gap("last_observation", window_end=end, reference=reference)
    0

    Raises:
        InvalidArgument: If ``forecast_from`` is none of ``FORECAST_FROM``, or the reference time is before the end.
    """
    wanted = str(forecast_from).strip()
    if wanted not in FORECAST_FROM:
        names = " or ".join(FORECAST_FROM)
        raise InvalidArgument(f"forecast_from must be {names}, not {forecast_from!r}", argument="forecast_from")
    if wanted == "last_observation":
        return 0
    if reference < window_end:
        raise InvalidArgument(
            f"forecast_from=reference_time needs a reference time at or after the end of the observations "
            f"({window_end.isoformat()}), not {reference.isoformat()}",
            argument="forecast_from",
        )
    return (reference - window_end) // HOUR
