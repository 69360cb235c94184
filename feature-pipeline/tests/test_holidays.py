"""The days off of the demonstration, against a computation of their own: the simulated data must never change."""

from datetime import date, timedelta

import pytest

from feature_pipeline.demo.holidays import days_off

FROM_EASTER = (-3, -2, 0, 1, 39, 49, 50)
GREAT_PRAYER_DAY, LAST_GREAT_PRAYER_DAY = 26, 2023
FIXED = ((1, 1), (6, 5), (12, 24), (12, 25), (12, 26), (12, 31))


def easter_sunday(year: int) -> date:
    """By the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, 1991, chapter 8)."""
    century, of_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * (year % 19) + century - leap_centuries - moon_shift + 15) % 30
    leap_years, year_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * leap_years - epact - year_rest) % 7
    late = (year % 19 + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


@pytest.mark.parametrize(
    "easter",
    # The latest possible date, and those of the years that the system is used in.
    [
        date(2038, 4, 25),
        date(2020, 4, 12),
        date(2021, 4, 4),
        date(2022, 4, 17),
        date(2023, 4, 9),
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2026, 4, 5),
    ],
)
def test_easter_is_on_the_published_date(easter: date) -> None:
    assert easter_sunday(easter.year) == easter
    assert easter in days_off(easter.year)


def test_the_days_off_of_2023_are_the_danish_ones() -> None:
    assert sorted(days_off(2023)) == [
        date(2023, 1, 1),
        date(2023, 4, 6),
        date(2023, 4, 7),
        date(2023, 4, 9),
        date(2023, 4, 10),
        date(2023, 5, 5),
        date(2023, 5, 18),
        date(2023, 5, 28),
        date(2023, 5, 29),
        date(2023, 6, 5),
        date(2023, 12, 24),
        date(2023, 12, 25),
        date(2023, 12, 26),
        date(2023, 12, 31),
    ]


@pytest.mark.parametrize("year", range(2020, 2051))
def test_the_days_off_are_those_that_are_computed_from_easter(year: int) -> None:
    offsets = (*FROM_EASTER, *([GREAT_PRAYER_DAY] if year <= LAST_GREAT_PRAYER_DAY else []))
    moving = {easter_sunday(year) + timedelta(days=offset) for offset in offsets}
    assert days_off(year) == moving | {date(year, month, day) for month, day in FIXED}
