"""The watch's look at Airflow's runs, against Airflow in small: what it reads, and which runs it fails."""

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from batch_prediction_pipeline.monitoring import watch
from forecast_core.contracts.settings import Settings
from tests.airflow_api import Airflow

NOW = datetime(2024, 3, 1, 12, 20, tzinfo=UTC)
PASSWORD = "hidden-word"  # noqa: S105  # of the fake


@pytest.fixture(scope="module")
def pipeline_runs() -> ModuleType:
    """The module of the DAG folder; it imports nothing of Airflow."""
    path = Path(__file__).parents[1] / "airflow" / "dags" / "pipeline_runs.py"
    spec = importlib.util.spec_from_file_location("pipeline_runs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


def dag_run(state: str, *, ahead: timedelta = timedelta(0), kind: str = "scheduled") -> dict[str, Any]:
    logical = NOW.replace(minute=0) + ahead
    ended = logical.isoformat() if state in ("success", "failed") else None
    times = {"logical_date": logical.isoformat(), "run_after": NOW.isoformat(), "start_date": NOW.isoformat()}
    name = f"{kind}__{logical.isoformat()}"
    return {"dag_run_id": name, "run_type": kind, "state": state, **times, "end_date": ended, "tasks": []}


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    runs = [
        dag_run("failed", ahead=timedelta(days=9)),
        dag_run("running", ahead=timedelta(days=2000), kind="manual"),
        dag_run("queued", ahead=timedelta(minutes=60), kind="manual"),
        dag_run("success"),
        {**dag_run("running", ahead=-timedelta(hours=3), kind="asset_triggered"), "logical_date": None},
    ]
    with Airflow(PASSWORD, runs=runs) as service:
        yield service


def test_active_runs_of_the_future_are_failed_and_no_others(
    pipeline_runs: ModuleType, airflow: Airflow, password_file: Path, tmp_path: Path
) -> None:
    names = [run["dag_run_id"] for run in airflow.runs]
    seen = pipeline_runs.observe(airflow.url, password_file, NOW)
    assert set(seen["ended"]) == {names[1], names[2]}
    assert [run["state"] for run in airflow.runs] == ["failed", "failed", "failed", "success", "running"]
    assert [run.get("note") is not None for run in airflow.runs] == [False, True, True, False, False]
    assert (seen["paused"], len(seen["runs"]), seen["not_ended"]) == (False, 5, [])
    # What it returns is what the watch takes.
    due = watch.check(NOW, dag=seen, settings=Settings(root_dir=tmp_path))["due"]
    assert ("future_run", "notify") in [(each["kind"], each["notice"]) for each in due]
    # At the next look there is nothing to end.
    assert pipeline_runs.observe(airflow.url, password_file, NOW)["ended"] == []


def test_a_refusal_is_told_and_an_airflow_that_cannot_be_asked_is_not_judged(
    pipeline_runs: ModuleType, airflow: Airflow, password_file: Path, tmp_path: Path
) -> None:
    airflow.refuses_changes = True
    seen = pipeline_runs.observe(airflow.url, password_file, NOW)
    assert (len(seen["not_ended"]), seen["ended"]) == (2, [])
    airflow.status = 503
    assert pipeline_runs.observe(airflow.url, password_file, NOW) is None
    assert pipeline_runs.observe(airflow.url, tmp_path / "absent", NOW) is None
