"""Answers of the API as frames."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from app_dashboard import frames

START = datetime(2024, 3, 30, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour(at: int, value: float) -> dict[str, Any]:
    quantiles = {"q05": value - 2, "q10": value - 1, "q50": value, "q90": value + 1, "q95": value + 2}
    time = f"{START + at * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    return {"datetime_utc": time, "energy_consumption": value, **quantiles, "quality": "model"}


def observed(at: int, value: float) -> dict[str, Any]:
    return {"datetime_utc": f"{START + at * HOUR:%Y-%m-%dT%H:%M:%SZ}", "energy_consumption": value}


def test_tasks_of_a_run_are_placed_along_its_time_also_those_that_run_or_never_began() -> None:
    def task(name: str, state: str | None, begun: int | None, ended: int | None) -> dict[str, Any]:
        at = {
            key: None if s is None else f"2024-03-30T05:00:{s:02}Z"
            for key, s in (("started_at", begun), ("ended_at", ended))
        }
        return {"task_id": name, "state": state, "tries": 1, **at}

    states = [task("a_b", "success", 2, 10), task("c", "running", 11, None), task("d", None, None, None)]
    run = {"started_at": "2024-03-30T05:00:01Z", "tasks": states}
    found = frames.tasks(run, "2024-03-30T05:00:30Z")
    assert found.drop("tries").rows() == [
        ("a b", "success", 1.0, 8.0),
        ("c", "running", 10.0, 19.0),
        ("d", "not scheduled", 0.0, 0.0),
    ]
    queued = {"started_at": None, "tasks": [task("d", "scheduled", None, None)]}
    assert frames.tasks(queued, "2024-03-30T05:00:30Z").row(0) == ("d", "scheduled", 0.0, 0.0, 1)
    assert frames.tasks({**queued, "tasks": []}, "2024-03-30T05:00:30Z").is_empty()


def test_forecast_observations_and_the_earlier_forecast_stand_side_by_side_by_hour() -> None:
    found = frames.side_by_side(
        {
            "forecast": [hour(0, 10.0), hour(1, 11.0)],
            "observations": [observed(-3, 7.0), observed(-1, 9.0)],
            "previous": {"forecast": [hour(-1, 8.0)]},
        }
    )
    assert found["datetime_utc"].to_list() == [START + at * HOUR for at in range(-3, 2)]
    # The hour that nobody observed is there, so that a chart has a gap.
    assert found["observed"].to_list() == [7.0, None, 9.0, None, None]
    assert found["forecast"].to_list() == [None, None, None, 10.0, 11.0]
    assert found["previous"].to_list() == [None, None, 8.0, None, None]
    met = frames.kept(found)
    assert met["error"].to_list() == [-1.0]
    assert frames.wape(met) == pytest.approx(1 / 9)


def test_a_forecast_without_observations_and_without_an_earlier_one_is_whole() -> None:
    found = frames.side_by_side({"forecast": [hour(0, 10.0)], "observations": [], "previous": None})
    assert found.height == 1
    assert frames.wape(frames.kept(found)) is None


def test_hours_without_a_run_are_found() -> None:
    times = pl.Series([START, START + HOUR, START + 4 * HOUR])
    assert frames.missing_hours(times) == [START + 2 * HOUR, START + 3 * HOUR]


def test_times_of_a_list_are_times_and_null_stays_null() -> None:
    found = frames.table([{"at": "2024-03-31T05:00:00Z", "name": "a"}, {"at": None, "name": "b"}], "at", "absent")
    assert found["at"].to_list() == [datetime(2024, 3, 31, 5, tzinfo=UTC), None]
