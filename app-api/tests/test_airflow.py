"""Runs read from Airflow: here from a small fake, in a test of the whole stack from the real one."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import airflow_api

from app_api.airflow import FRESH_SECONDS, Airflow
from app_api.models import DagRuns
from app_api.problems import Refused
from forecast_core.contracts.settings import Settings

PATH = "/api/v1/airflow/runs"


def run(number: int, state: str = "success") -> dict[str, Any]:
    hour = f"2024-03-31T{number % 24:02}"
    times = {"start_date": f"{hour}:00:01.5Z", "end_date": f"{hour}:00:41Z", "duration": 39.5}
    tasks = [
        {"task_id": "later", **times, "start_date": f"{hour}:00:20Z", "state": state, "try_number": 2},
        {"task_id": "first", **times, "state": "success", "try_number": 1},
        {"task_id": "never", **dict.fromkeys(times), "state": None, "try_number": 0},
    ]
    tasks += [{**tasks[0], "task_id": f"task {number}"} for number in range(5)]
    identity = {"dag_run_id": f"scheduled__{number}+00:00", "logical_date": f"{hour}:00:00Z"}
    return {**identity, "run_after": f"{hour}:00:00Z", "state": state, **times, "tasks": tasks}


@pytest.fixture
def airflow() -> Iterator[airflow_api.Airflow]:
    runs = [run(number) for number in range(59)]
    with airflow_api.Airflow("secret", runs=[*runs, run(59, "failed")]) as fake:
        yield fake


@pytest.fixture
def changes(airflow: airflow_api.Airflow, tmp_path: Path) -> dict[str, Any]:
    """Settings under which the fake is asked."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    pages = {"airflow_url": "http://pages.example/"}
    return {"airflow_api_url": airflow.url, "airflow_password_file": password, **pages}


def test_the_newest_runs_come_with_their_tasks_and_times(filled: Any, serve: Any, changes: dict[str, Any]) -> None:
    with serve(filled.settings, **changes) as client:
        answer = client.get(PATH)
        assert client.get(PATH, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    found = answer.raise_for_status().json()
    assert (found["total"], len(found["items"]), found["paused"]) == (60, 48, False)
    newest = dict(found["items"][0])
    tasks = newest.pop("tasks")
    assert newest == {
        "dag_run_id": "scheduled__59+00:00",
        "logical_date": "2024-03-31T11:00:00Z",
        "run_after": "2024-03-31T11:00:00Z",
        "state": "failed",
        "started_at": "2024-03-31T11:00:01.500000Z",
        "ended_at": "2024-03-31T11:00:41Z",
        "seconds": 39.5,
        "airflow_url": "http://pages.example/dags/ml_pipeline/runs/scheduled__59%2B00%3A00",
    }
    assert [task["task_id"] for task in tasks] == ["first", "later", *(f"task {each}" for each in range(5)), "never"]
    assert tasks[1]["tries"] == 2
    # More tasks than Airflow gives at once.
    assert {len(each["tasks"]) for each in found["items"]} == {8}


def test_airflow_is_asked_no_more_often_than_allowed_also_while_it_fails(
    changes: dict[str, Any], airflow: airflow_api.Airflow
) -> None:
    now = 0.0
    asked = Airflow(Settings(**changes), clock=lambda: datetime(2024, 3, 31, tzinfo=UTC), monotonic=lambda: now)

    async def ask() -> tuple[set[type], int]:
        found = await asyncio.gather(*(asked.runs() for _ in range(3)), return_exceptions=True)
        return {type(each) for each in found}, airflow.requests.count("POST /auth/token")

    async def story() -> None:
        nonlocal now
        assert await ask() == ({DagRuns}, 1)
        airflow.status, now = 500, FRESH_SECONDS - 0.1
        assert await ask() == ({DagRuns}, 1)
        now = FRESH_SECONDS
        assert await ask() == ({Refused}, 2)
        airflow.status, now = 200, 1.9 * FRESH_SECONDS
        assert await ask() == ({Refused}, 2)
        now = 2 * FRESH_SECONDS
        assert await ask() == ({DagRuns}, 3)

    # In a thread of its own: tests of pages leave a loop running in this one.
    with ThreadPoolExecutor() as threads:
        threads.submit(asyncio.run, story()).result()


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("unset", 404, "the address of Airflow: set ML_PIPELINE_AIRFLOW_URL"),
        ("no password", 404, "ML_PIPELINE_AIRFLOW_PASSWORD_FILE must name a file"),
        ("wrong password", 503, "Airflow refuses (401) now"),
        ("failing", 503, "Airflow refuses (500) now"),
        ("gone", 503, "Airflow does not answer as it should (ConnectError) now"),
        ("another", 503, "Airflow does not answer as it should (ValidationError) now"),
    ],
)
def test_without_an_answer_of_airflow_a_problem_says_why(
    filled: Any, serve: Any, airflow: airflow_api.Airflow, changes: dict[str, Any], how: str, status: int, said: str
) -> None:
    password = changes["airflow_password_file"]
    if how == "unset":
        changes |= dict.fromkeys(("airflow_url", "airflow_api_url"))
    if how == "no password":
        password.unlink()
    if how == "wrong password":
        password.write_text("guess")
    if how == "gone":
        changes["airflow_api_url"] = "http://127.0.0.1:1"
    if how == "another":
        airflow.runs = [{"dag_run_id": "a run without times", "tasks": []}]
    airflow.status = 500 if how == "failing" else 200
    with serve(filled.settings, **changes) as client:
        answer = client.get(PATH)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert "secret" not in answer.text
    assert airflow.url not in answer.text
