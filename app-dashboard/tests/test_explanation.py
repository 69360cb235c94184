"""What drove a forecast, as bars."""

from datetime import UTC, datetime

import polars as pl

from app_dashboard.charts.explanation import MOST_PARTS, OTHERS, stacked

HOUR = datetime(2024, 3, 31, 5, tzinfo=UTC)


def of(values: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame({"datetime_utc": [HOUR] * len(values), "name": list(values), "value": list(values.values())})


def test_parts_are_stacked_upwards_and_downwards_from_zero_largest_first() -> None:
    found = stacked(of({"small": 1.0, "large": 5.0, "less": -2.0, "least": -0.5}))
    assert dict(zip(found["name"], found.select("low", "high").rows(), strict=True)) == {
        "large": (0.0, 5.0),
        "less": (0.0, -2.0),
        "small": (5.0, 6.0),
        "least": (-2.0, -2.5),
    }


def test_there_are_no_more_parts_than_colours_and_none_is_lost() -> None:
    values = {f"part {number}": float(number) for number in range(1, MOST_PARTS + 4)}
    found = stacked(of(values))
    assert found.height == MOST_PARTS + 1
    assert found["name"][-1] == OTHERS
    assert found["high"].max() == sum(values.values())
