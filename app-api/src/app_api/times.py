"""Times that records hold as text, as the API writes them."""

import re
from typing import Any, Final

_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def iso_times(record: Any) -> Any:
    """Return a record with its times, which it holds as text to the minute in UTC, in ISO 8601."""
    if isinstance(record, dict):
        return {name: iso_times(value) for name, value in record.items()}
    if isinstance(record, list):
        return [iso_times(each) for each in record]
    if isinstance(record, str) and _MINUTE.fullmatch(record):
        return f"{record.replace(' ', 'T')}:00Z"
    return record
