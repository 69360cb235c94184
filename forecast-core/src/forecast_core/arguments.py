"""Arguments as DAGs and shells give them: Airflow Variables and rendered templates are text."""

from datetime import datetime

from forecast_core.errors import InvalidArgument
from forecast_core.window import as_utc


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
            f"{name} must be a time, as datetime or as text like 2023-01-31 05:00 (UTC), not {value!r}; "
            "nothing below the DAG or the shell reads the clock",
            argument=name,
            value=str(value),
        ) from error
