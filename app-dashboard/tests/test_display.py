"""How values are shown."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import polars as pl
import pytest

from app_dashboard.charts.axes import time_axis
from app_dashboard.display import DARK, LIGHT, PER_KWH, Display, Unit

SUMMER_TIME = datetime(2024, 3, 31, 1, tzinfo=UTC)


def axis_of(times: pl.Series, display: Display, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = time_axis(times, display, **more)["axis"].to_dict()
    return found


def test_ticks_stand_at_danish_midnights_also_after_the_clocks_change() -> None:
    times = pl.datetime_range(SUMMER_TIME - timedelta(days=2), SUMMER_TIME + timedelta(days=2), "1h", eager=True)
    midnights = ["2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-01T22:00:00Z"]
    danish = axis_of(times, Display())
    assert danish["values"] == midnights
    assert danish["title"] == "Danish time"
    # The label adds an hour before the first tick of summer time, and two from then on.
    assert "3600000 : 7200000" in danish["labelExpr"]
    assert axis_of(times, Display(zone="UTC"))["values"] == [
        f"2024-{day}T00:00:00Z" for day in ("03-30", "03-31", "04-01", "04-02")
    ]


def test_a_single_time_and_no_time_have_an_axis_too() -> None:
    one = pl.Series([SUMMER_TIME])
    assert axis_of(one, Display())["values"] == [f"{SUMMER_TIME:%Y-%m-%dT%H:%M:%SZ}"]
    assert axis_of(one.clear(), Display())["title"] == "Danish time"


def test_every_unit_is_of_the_kilowatt_hour() -> None:
    assert set(PER_KWH) == set(get_args(Unit))
    assert [Display(unit=unit).energy(1_500_000.0) for unit in PER_KWH] == [
        "1,500,000 kWh",
        "1,500.00 MWh",
        "1.5000 GWh",
    ]
    assert Display().energy(None) == "—"


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("palette", "background"), [(LIGHT, "#ffffff"), (DARK, "#11151a")])
def test_lines_and_text_stand_out_from_the_background(palette: Any, background: str) -> None:
    """By WCAG 2.2: 3 for lines, 4.5 for text."""
    ground = luminance(background)
    for name, least in {"ink": 4.5, "quiet": 4.5, "blue": 3.0, "orange": 3.0, "green": 3.0}.items():
        other = luminance(getattr(palette, name))
        ratio = (max(ground, other) + 0.05) / (min(ground, other) + 0.05)
        assert ratio >= least, (name, ratio)
