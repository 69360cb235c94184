"""Runs that were repeated after a correction: what is said about the values that they did not take.

What was known at a reference time does not change afterwards. So a run that is repeated keeps the values that it has
stored, and counts those that the source gives differently now (``FeatureStore.not_taken``).
"""

from datetime import datetime

from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.window import DATETIME_FORMAT


def told(count: int, reference_datetime: datetime) -> str:
    """Return what happened, and what to do, on one line.

    >>> from datetime import UTC
    >>> told(48, datetime(2024, 3, 11, tzinfo=UTC))[:63]
    '48 corrected values were not taken at 2024-03-11 00:00, because'
    """
    values, it = ("1 corrected value was", "it") if count == 1 else (f"{count:,} corrected values were", "them")
    return (
        f"{values} not taken at {reference_datetime:{DATETIME_FORMAT}}, because what is stored for a reference time "
        f"stays: a run at {reference_datetime + HOUR:{DATETIME_FORMAT}} or later takes {it}"
    )
