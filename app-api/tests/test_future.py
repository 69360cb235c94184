"""A run whose reference time is in the future is not the newest of anything until that time; by its time it is found.

Class: a reference time that was typed wrong (another year, the next hour, a view of its own) was newer than every true
run, so all defaults of the API showed it until that hour came.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from app_api.application import create_app
from app_api.served import Served
from forecast_core.alarms import CHECKS, Alarms

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
V1 = "/api/v1"
ONE = f"{V1}/forecasts/DK1/111"
NEWEST = "2024-03-31T05:00:00Z"


@dataclass
class Clock:
    """A clock that stands still unless it is moved."""

    now: datetime = REFERENCE + 1.5 * HOUR

    def __call__(self) -> datetime:
        return self.now


@dataclass
class System:
    """A server whose clock can be moved."""

    own: Any
    client: httpx.Client
    served: Served
    clock: Clock

    def make(self, reference: datetime, *, dataset: str = "demo-denmark") -> None:
        view = self.own.ingest(reference, dataset=dataset)
        self.own.predict(reference, view=view)
        self.served.refresh()

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if status != 304 else None


@pytest.fixture
def system(own: Any, connect: Any) -> Iterator[System]:
    clock = Clock()
    app = create_app(own.settings, clock=clock)
    app.state.served.refresh()
    with connect(app) as client:
        yield System(own, client, app.state.served, clock)


@pytest.mark.parametrize("ahead", [timedelta(days=365), 2 * HOUR, timedelta(days=40)])
def test_a_run_in_the_future_is_not_the_newest_and_is_found_by_its_time(system: System, ahead: timedelta) -> None:
    system.make(REFERENCE + ahead)
    assert system.get(ONE)["reference_datetime"] == NEWEST
    assert system.get(f"{V1}/readiness")["freshness"]["known_at"] == NEWEST
    assert system.get(f"{V1}/readiness")["freshness"]["reference_datetime"] == NEWEST
    assert system.get(f"{V1}/feature-views")["items"][0]["latest_reference_datetime"] == NEWEST
    assert {each["reference_datetime"] for each in system.get(f"{V1}/monitoring")["items"]} == {NEWEST}
    assert f"forecast_reference_timestamp_seconds {REFERENCE.timestamp():.7e}" in system.client.get("/metrics").text
    wrong = f"{REFERENCE + ahead:%Y-%m-%dT%H:%M:%SZ}"
    assert system.get(f"{ONE}?reference_datetime={wrong}")["reference_datetime"] == wrong
    shown = {each["reference_datetime"]: each["in_future"] for each in system.get(f"{V1}/runs")["items"]}
    assert shown[wrong]
    assert not shown[NEWEST]


def test_a_view_of_future_runs_alone_is_not_the_default_and_says_so(system: System) -> None:
    ahead = REFERENCE + timedelta(days=365)
    system.make(ahead, dataset="another")
    assert system.get(ONE)["feature_view_version"] == 1
    refusal = system.get(f"{ONE}?feature_view_version=2", 404)
    assert (
        "all 1 runs of feature view 2 have reference times in the future, from 2025-03-31T05:00Z" in refusal["detail"]
    )
    found = system.get(f"{ONE}?reference_datetime={ahead:%Y-%m-%dT%H:%M:%SZ}")
    assert found["feature_view_version"] == 2


def test_a_run_becomes_the_newest_when_its_time_has_come_though_no_table_changes(system: System) -> None:
    system.make(REFERENCE + 2 * HOUR)
    runs = system.client.get(f"{V1}/areas")
    system.clock.now = REFERENCE + 2 * HOUR
    system.served.refresh()
    assert system.get(ONE)["reference_datetime"] == "2024-03-31T07:00:00Z"
    assert system.get(f"{V1}/readiness")["freshness"]["known_at"] == "2024-03-31T07:00:00Z"
    assert system.get(f"{V1}/areas", 200, **{"If-None-Match": runs.headers["ETag"]})


def test_an_alarm_that_a_run_in_the_future_opened_is_not_open_yet(system: System) -> None:
    row = (REFERENCE + timedelta(days=365), 1, "monitoring", "bias", "overall", "notify", 0.9, 0.1, "ahead of time")
    Alarms(system.own.settings).write(pl.DataFrame([row], schema=CHECKS, orient="row"))
    system.served.refresh()
    assert [each["kind"] for each in system.get(f"{V1}/alarms?open=true")["items"]] == ["coverage"]
    later = system.get(f"{V1}/alarms?open=true&as_of=2025-04-01T00:00:00Z")["items"]
    assert "bias" in [each["kind"] for each in later]


def test_a_run_of_any_view_is_found_by_its_time_or_the_view_that_has_it_is_named(system: System) -> None:
    """Class: with several views, a run of a view that is not the default could not be found by its time."""
    other, asked = REFERENCE - timedelta(hours=7), "reference_datetime=2024-03-30T22:00:00Z"
    system.make(other, dataset="another")
    found = system.get(f"{ONE}?{asked}")
    assert found["feature_view_version"] == 2
    assert system.get(f"{V1}/forecasts?{asked}")["items"][0]["feature_view_version"] == 2
    hour = found["forecast"][0]["datetime_utc"]
    way_back = system.get(f"{ONE}/provenance?datetime_utc={hour}&{asked}")
    assert way_back["forecast"]["feature_view_version"] == 2
    refusal = system.get(f"{ONE}?{asked}&feature_view_version=1", 404)
    assert refusal["detail"].endswith("feature view 2 has some of that time")
    system.make(other, dataset="a-third")
    assert "feature views [2, 3] have forecasts" in system.get(f"{ONE}?{asked}", 422)["detail"]
