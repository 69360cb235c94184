"""Danish days off, for the simulated data."""

from datetime import date
from typing import Final

_RESTING: Final = ((6, 5), (12, 24), (12, 31))
"""(month, day) of Constitution Day, Christmas Eve and New Year's Eve: not public holidays, but most people are off."""


def days_off(year: int) -> frozenset[date]:
    """Return the days of ``year``, other than ordinary weekends, on which most people do not work.

    These are the public holidays, Constitution Day (5 June), Christmas Eve and New Year's Eve.

    >>> date(2023, 5, 5) in days_off(2023), date(2024, 4, 26) in days_off(2024)  # Great Prayer Day, abolished in 2024
    (True, False)
    """
    # At the top of the module, every run would import the library; only the demo source needs it.
    from holidays import country_holidays

    public = country_holidays("DK", years=year)
    return frozenset(public) | {date(year, month, day) for month, day in _RESTING}
