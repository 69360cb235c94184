"""A time typed wrong: a run in the future is refused unless it is asked for, and never the newest before its time."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


def as_json(energy: Any, *arguments: str, now: datetime | None = None) -> Any:
    return json.loads(energy(*arguments, "--json", now=now).stdout)


@pytest.mark.parametrize("typed", ["2025-03-31T05:00", "2024-03-31T06:00", "2042-01-01", "2024-03-31T09:00+02:00"])
def test_a_run_in_the_future_is_refused_in_one_line_and_stores_nothing(empty: Any, source: str, typed: str) -> None:
    """Class: a reference time was taken as it was typed: another year, the next hour, an offset forgotten."""
    result = empty("run", "--url", source, "--reference", typed, code=1)
    [line] = result.stderr.splitlines()
    assert "is in the future" in line
    assert "--allow-future" in line
    assert "2024-03-31 05:20 UTC now" in line
    assert json.loads(empty("status", "--json").stdout)["data"] == []


def test_a_run_in_the_future_that_was_asked_for_is_not_the_newest(energy_copy: Any, source: str) -> None:
    options = ["--url", source, "--delay", "1", "--export", "16", "--json"]
    energy_copy("run", "--reference", "2024-03-31T07:00", "--allow-future", *options)
    state = as_json(energy_copy, "status")
    assert state["last_run"]["reference_datetime"] == "2024-03-31 05:00"
    assert state["last_run"]["future"] == ["2024-03-31 07:00"]
    assert state["data"][0]["ingested_at"] == "2024-03-31 05:00"
    text = " ".join(energy_copy("status", width=200).stdout.split())
    assert "energy remove-run --reference '2024-03-31 07:00'" in text
    assert as_json(energy_copy, "forecast", "DK1", "111")["reference_datetime"] == "2024-03-31 05:00"
    asked = as_json(energy_copy, "forecast", "DK1", "111", "--reference", "2024-03-31T07:00")
    assert asked["reference_datetime"] == "2024-03-31 07:00"
    assert as_json(energy_copy, "lineage", "DK1", "111")["run"]["reference_datetime"] == "2024-03-31 05:00"
    [forecasts] = [each for each in as_json(energy_copy, "doctor") if each["name"] == "forecasts"]
    assert forecasts["state"] == "warning"
    assert "the newest at 2024-03-31 05:00 UTC; 1 in the future, the first at 2024-03-31 07:00" in forecasts["found"]
    later = as_json(energy_copy, "status", now=REFERENCE + timedelta(hours=2))
    assert later["last_run"]["reference_datetime"] == "2024-03-31 07:00"
