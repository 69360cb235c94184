"""`energy forecast`: a series' archived forecasts as JSON, table and plot."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from app_shell.plot import Band, Line, Plot
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


def test_the_json_is_what_the_archive_has_of_the_series(energy: Any) -> None:
    facts = json.loads(energy("forecast", "DK1", "121", "--json").stdout)
    settings = Settings(root_dir=Path(energy.variables["ML_PIPELINE_ROOT_DIR"]))
    archived = ForecastArchive(settings).read().filter(pl.col("consumer_type") == "121")
    assert [row["energy_consumption"] for row in facts["forecasts"]] == archived["energy_consumption"].to_list()
    assert [row["q05"] for row in facts["forecasts"]] == archived["q05"].to_list()
    assert facts["forecasts"][0]["datetime_utc"] == "2024-03-30 05:00"
    assert facts["unit"] == "kWh"
    hours = [row["datetime_utc"] for row in facts["observations"]]
    assert (hours[0], hours[-1]) == ("2024-03-28 05:00", "2024-03-30 04:00")


@pytest.mark.parametrize("width", [80, 120])
def test_plot_and_table_fit_the_terminal(energy: Any, width: int) -> None:
    lines = energy("forecast", "DK1", "121", width=width).stdout.splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "DK1 / 121" in text
    assert "▒" in text
    # One line per hour, in UTC and in Danish time, which was an hour ahead until 1:00 UTC of the next day.
    assert any(line.startswith("03-30 23:00") and "00:00" in line for line in lines)
    assert any(line.startswith("03-31 01:00") and "03:00" in line for line in lines)


def test_what_came_since_stands_beside_the_forecast(energy_copy: Any, source: str) -> None:
    later = REFERENCE + timedelta(hours=3)
    options = ["--url", source, "--delay", "0", "--export", "16", "--reference", f"{later:%Y-%m-%dT%H:%M}"]
    energy_copy("run", *options, now=later)
    old = energy_copy("forecast", "DK1", "121", "--reference", "2024-03-31T05:00", now=later)
    assert "what came" in old.stdout
    assert max(map(len, old.stdout.splitlines())) <= 80
    new = json.loads(energy_copy("forecast", "DK1", "121", "--json", now=later).stdout)
    assert new["reference_datetime"] == "2024-03-31 08:00"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["DK3", "121"], "there is no price area 'DK3'; there are DK1"),
        (["DK1", "12"], "DK1 has no consumer type '12'; it has 111, 121, 215"),
        (["DK1", "121", "--reference", "2024-03-31T06:00"], "runs were made from 2024-03-31 05:00"),
        (["DK1", "121", "--feature-view-version", "7"], "no forecasts of feature view 7 were made yet"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(energy: Any, arguments: list[str], words: str) -> None:
    assert words in energy("forecast", *arguments, code=1).stderr


def test_an_empty_root_says_how_to_fill_it(empty: Any) -> None:
    assert "run batch.predict (or `energy run`) first" in empty("forecast", "DK1", "111", code=1).stderr


def drawn(plot: Plot) -> list[str]:
    console = Console(width=50, record=True, file=io.StringIO())
    console.print(plot)
    return console.export_text().splitlines()


def test_a_line_rises_from_the_lower_left_to_the_upper_right_and_its_band_is_around_it() -> None:
    hours = [datetime(2024, 3, 31, hour, tzinfo=UTC) for hour in range(24)]
    values = {hour: 10.0 * number for number, hour in enumerate(hours)}
    low, high = ({hour: value + off for hour, value in values.items()} for off in (-40, 40))
    rows = drawn(Plot([Line("rising", values, "")], [Band("all", low, high, "░")], unit="kWh"))
    braille = [[at for at, char in enumerate(row) if 0x2800 < ord(char) < 0x2900] for row in rows[:21]]
    places = [min(columns) for columns in braille if columns]
    assert places == sorted(places, reverse=True)
    assert all("░" in row for row in rows[4:17])
    assert "Sun 31" in rows[21]


def test_constant_values_can_be_drawn() -> None:
    hours = {datetime(2024, 3, 31, hour, tzinfo=UTC): 7.0 for hour in range(3)}
    assert any(
        "⠒" in row or "⠉" in row or "⣀" in row or "⠤" in row
        for row in drawn(Plot([Line("flat", hours, "")], [], unit="kWh"))
    )
