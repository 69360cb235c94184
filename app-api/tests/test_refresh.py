"""The server keeps serving after any error while it checks for new data, and readiness reports the error."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest
from fastapi import FastAPI

from app_api.application import create_app
from app_api.refreshing import keep_fresh
from app_api.served import STALE_LOOKS, Served
from forecast_core.contracts.errors import StorageError

REFERENCE, DAY = datetime(2024, 3, 31, 5, tzinfo=UTC), timedelta(days=1)
V1 = "/api/v1"
ONE = f"{V1}/forecasts/DK1/111"
INTERVAL = 0.02
LIMIT = timedelta(seconds=STALE_LOOKS * INTERVAL)
ERRORS = [
    StorageError("the store does not answer"),
    ValueError("a fault\nof ours"),
    pl.exceptions.PanicException("index out of bounds"),
    MemoryError(),
    SystemError("another library's fault"),
]


@dataclass
class Clock:
    """A clock that stands still unless it is moved."""

    now: datetime = REFERENCE + timedelta(days=1, hours=2)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class System:
    """A server that looks at its tables every few milliseconds."""

    app: FastAPI
    client: httpx.Client
    clock: Clock
    served: Served = field(init=False)

    def __post_init__(self) -> None:
        self.served = self.app.state.served

    def get(self, path: str) -> Any:
        return self.client.get(path).json()

    def age(self) -> float:
        """Age of the index, as Prometheus is told."""
        lines = self.client.get("/metrics").text.splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith("ml_pipeline_api_index_age_seconds")))


@pytest.fixture
def running(own: Any, connect: Any) -> Iterator[System]:
    """A system with one view, that may be changed, and its server."""
    clock = Clock()
    app = create_app(own.settings.model_copy(update={"api_refresh_seconds": INTERVAL}), clock=clock)
    app.state.served.refresh()
    with connect(app) as client:
        yield System(app, client, clock)


def eventually(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name.startswith("app_api.served")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_server_outlives_any_error_of_a_look_and_takes_up_new_data_after_it(
    own: Any, running: System, error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "app_api")
    served, kind = running.served, type(error).__name__
    with monkeypatch.context() as patch:
        patch.setattr(served.archive, "read_runs", failing(error))
        own.ingest(REFERENCE + DAY)
        own.predict(REFERENCE + DAY)
        eventually(lambda: served.failure)
        looks = served._looks
        eventually(lambda: served._looks > looks + 3)
        assert running.get(ONE)["reference_datetime"] == "2024-03-31T05:00:00Z"
        assert running.client.get(f"{V1}/health").status_code == 200
        answer = running.client.get(f"{V1}/readiness")
        assert (answer.status_code, answer.json()["checks"]["store"].split(":")[0]) == (503, kind)
        running.clock.now += timedelta(minutes=5)
        assert running.age() == 300
    eventually(lambda: running.get(ONE)["reference_datetime"] == "2024-04-01T05:00:00Z")
    assert running.client.get(f"{V1}/readiness").status_code == 200
    assert running.age() == 0
    begun, over = told(caplog)
    assert begun.startswith(f"the store cannot be read, so what was read before is still served: {kind}")
    assert "\n" not in begun
    assert over == "the store can be read again"


def test_a_look_that_never_ends_turns_readiness_red_and_leaves_health_green(running: System) -> None:
    assert running.client.get(f"{V1}/readiness").status_code == 200
    # A look that has begun waits for the lock.
    with running.served._lock:
        running.clock.now += LIMIT + timedelta(seconds=1)
        answer = running.client.get(f"{V1}/readiness")
        assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "ok")
        assert answer.json()["checks"]["index"].startswith("the newest data have not been taken up for ")
        assert running.client.get(f"{V1}/health").status_code == 200
        assert running.client.get(ONE).status_code == 200
    eventually(lambda: running.client.get(f"{V1}/readiness").status_code == 200)


def test_cancelling_ends_the_looks(filled: Any) -> None:
    served = create_app(filled.settings, clock=Clock()).state.served

    async def story() -> None:
        task = asyncio.create_task(keep_fresh(served))
        while served.failure is not None:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    # In a thread of its own: tests of pages leave a loop running in this one.
    with ThreadPoolExecutor() as threads:
        threads.submit(asyncio.run, story()).result()


def test_a_run_may_have_any_number_of_qualities(own: Any, running: System) -> None:
    own.ingest(REFERENCE + DAY)
    history = own.history(REFERENCE + DAY)
    rows = history.with_columns(
        pl.col("datetime_utc") + 8 * DAY,
        **dict.fromkeys(("q05", "q10", "q50", "q90", "q95"), pl.col("energy_consumption")),
        quality=pl.format("fallback: reason {}", pl.int_range(pl.len())),
    )
    own.archive(REFERENCE + DAY, rows)
    eventually(lambda: running.get(ONE)["reference_datetime"] == "2024-04-01T05:00:00Z")
    items = running.get(f"{V1}/forecasts")["items"]
    assert [hour["quality"] for each in items for hour in each["forecast"]] == rows["quality"].to_list()
    assert rows.height > 1000
    assert running.client.get(f"{V1}/readiness").status_code == 200
    assert f'ml_pipeline_forecasts{{quality="fallback"}} {rows.height}.0' in running.client.get("/metrics").text


def test_a_view_that_cannot_be_read_keeps_no_other_from_being_served(
    own: Any, running: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "app_api")
    read = running.served.archive.read_run

    def read_run(**asked: Any) -> pl.DataFrame:
        if asked["feature_view_version"] == 2:
            raise pl.exceptions.PanicException("not of this view")
        return read(**asked)

    monkeypatch.setattr(running.served.archive, "read_run", read_run)
    own.ingest(REFERENCE + DAY)
    own.predict(REFERENCE + DAY)
    newest = REFERENCE + DAY + timedelta(hours=1)
    assert own.ingest(newest, dataset="other") == 2
    own.predict(newest, view=2)
    eventually(lambda: running.served.current.faults)
    # The other view's new run is taken up, and is the default as long as the newest cannot be read.
    for query in ("", "?feature_view_version=1"):
        assert running.get(ONE + query)["reference_datetime"] == "2024-04-01T05:00:00Z"
    answer = running.client.get(f"{ONE}?feature_view_version=2")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert [each["version"] for each in running.get(f"{V1}/feature-views")["items"]] == [1]
    assert len(running.get(f"{V1}/runs")["items"]) == 6
    ready = running.client.get(f"{V1}/readiness")
    assert (ready.status_code, ready.json()["checks"]["feature_view_2"].split(":")[0]) == (200, "PanicException")
    assert 'ml_pipeline_api_unread_view{feature_view_version="2"} 1.0' in running.client.get("/metrics").text
    running.clock.now += LIMIT + timedelta(seconds=1)
    assert running.client.get(f"{V1}/readiness").status_code == 503
    tag = running.client.get(f"{V1}/forecasts").headers["ETag"]
    monkeypatch.setattr(running.served.archive, "read_run", read)
    eventually(lambda: running.get(ONE)["reference_datetime"] == "2024-04-01T06:00:00Z")
    assert running.client.get(f"{V1}/forecasts").headers["ETag"] != tag
    assert running.client.get(f"{V1}/readiness").status_code == 200
    begun, over = told(caplog)
    assert begun.startswith("feature view 2 cannot be read, so what was read before is still served: PanicException")
    assert over == "feature view 2 can be read again"


@pytest.mark.parametrize("error", [*ERRORS[1:]], ids=lambda error: type(error).__name__)
def test_a_request_that_fails_in_any_way_is_answered_with_a_problem(
    running: System, error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running.served.archive, "read_explanations", failing(error))
    answer = running.client.get(f"{ONE}/explanation")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["detail"] == "the server failed; its log has the details"
    [line] = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert line.startswith(f"{ONE}/explanation failed: {type(error).__name__}")
    assert "\n" not in line
    monkeypatch.undo()
    assert running.client.get(f"{ONE}/explanation").status_code == 200
