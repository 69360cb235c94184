"""Danish public holidays, computed, for calendar features and for the simulated data."""

from datetime import date, timedelta

_LAST_GREAT_PRAYER_DAY = 2023
"""Store bededag is an ordinary working day since 2024 (Act no. 214 of 2023)."""

_FROM_EASTER = {
    -3: "Maundy Thursday",
    -2: "Good Friday",
    0: "Easter Sunday",
    1: "Easter Monday",
    26: "Great Prayer Day",
    39: "Ascension Day",
    49: "Whit Sunday",
    50: "Whit Monday",
}
_FIXED = {(1, 1): "New Year's Day", (12, 25): "Christmas Day", (12, 26): "Second Day of Christmas"}
_RESTING = ((6, 5), (12, 24), (12, 31))
"""Constitution Day, Christmas Eve and New Year's Eve: no public holidays by law, but most work rests."""


def easter_sunday(year: int) -> date:
    """Return Easter Sunday by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, 1991, chapter 8).

    >>> easter_sunday(2024)
    datetime.date(2024, 3, 31)
    """
    century, of_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - leap_centuries - moon_shift + 15) % 30
    leap_years, year_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * leap_years - epact - year_rest) % 7
    late = (year % 19 + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def public_holidays(year: int) -> dict[date, str]:
    """Return the public holidays of ``year`` with their English names, in order of date."""
    easter = easter_sunday(year)
    days = {date(year, month, day): name for (month, day), name in _FIXED.items()}
    for offset, name in _FROM_EASTER.items():
        if name != "Great Prayer Day" or year <= _LAST_GREAT_PRAYER_DAY:
            days.setdefault(easter + timedelta(days=offset), name)
    return dict(sorted(days.items()))


def days_off(year: int) -> frozenset[date]:
    """Return the days of ``year``, other than ordinary weekends, on which most work rests.

    These are the public holidays, Constitution Day (5 June), Christmas Eve and New Year's Eve.
    """
    return frozenset(public_holidays(year)) | {date(year, month, day) for month, day in _RESTING}
