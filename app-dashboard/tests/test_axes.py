"""The time axis is ticked and labelled in the chosen zone."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from app_dashboard.charts.axes import time_axis
from app_dashboard.display import Display

FIRST = datetime(2024, 3, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize("hours", [0, 3, 17])
def test_a_span_without_a_midnight_is_labelled_in_the_chosen_zone_too(hours: int) -> None:
    times = pl.Series([FIRST, FIRST + timedelta(hours=hours)])
    axis = time_axis(times, Display())["axis"].to_dict()
    assert axis["values"] == [f"{FIRST + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in range(hours + 1)]
    # Danish time is an hour ahead in winter.
    assert "3600000" in axis["labelExpr"]
    assert "%-d %b %H:%M" in axis["labelExpr"]


def test_days_are_ticked_at_midnight_of_the_chosen_zone() -> None:
    times = pl.Series([FIRST, FIRST + timedelta(days=2)])
    found = {zone: time_axis(times, Display(zone=zone))["axis"].to_dict()["values"] for zone in ("UTC", Display().zone)}
    assert found["UTC"] == ["2024-03-31T00:00:00Z", "2024-04-01T00:00:00Z"]
    # The clocks change in the night to 31 March.
    assert found[Display().zone] == ["2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"]
