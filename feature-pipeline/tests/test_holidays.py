from datetime import date

import pytest

from feature_pipeline.demo.holidays import days_off, easter_sunday, public_holidays


@pytest.mark.parametrize(
    "easter",
    [
        # The earliest and the latest possible dates, and those of the years that the system is used in.
        date(1818, 3, 22),
        date(2038, 4, 25),
        date(2000, 4, 23),
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


def test_the_holidays_of_2023_are_the_danish_ones() -> None:
    assert list(public_holidays(2023)) == [
        date(2023, 1, 1),
        date(2023, 4, 6),
        date(2023, 4, 7),
        date(2023, 4, 9),
        date(2023, 4, 10),
        date(2023, 5, 5),
        date(2023, 5, 18),
        date(2023, 5, 28),
        date(2023, 5, 29),
        date(2023, 12, 25),
        date(2023, 12, 26),
    ]


def test_great_prayer_day_is_a_working_day_since_2024() -> None:
    assert "Great Prayer Day" in public_holidays(2023).values()
    assert "Great Prayer Day" not in public_holidays(2024).values()


def test_most_work_rests_on_three_days_more_than_the_public_holidays() -> None:
    assert days_off(2024) - set(public_holidays(2024)) == {date(2024, 6, 5), date(2024, 12, 24), date(2024, 12, 31)}
