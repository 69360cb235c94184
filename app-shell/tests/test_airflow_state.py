"""`energy status` and `energy doctor` name failed runs, a paused DAG and a run that holds the slot of the others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import airflow_api


def run(hour: int, state: str, day: str = "2024-03-31", **more: Any) -> dict[str, Any]:
    at = f"{day}T{hour:02}:00:00Z"
    identity = {"dag_run_id": f"scheduled__{day}T{hour:02}", "logical_date": at, "run_after": at}
    return {**identity, "state": state, "start_date": at, "end_date": None, "tasks": [], **more}


@pytest.fixture
def airflow() -> Iterator[airflow_api.Airflow]:
    with airflow_api.Airflow("secret", runs=[run(0, "success"), run(1, "failed")]) as fake:
        yield fake


@pytest.fixture
def asking(empty: Any, airflow: airflow_api.Airflow, tmp_path: Path) -> Any:
    password = tmp_path / "password"
    password.write_text("secret\n")
    return empty.on(ML_PIPELINE_AIRFLOW_API_URL=airflow.url, ML_PIPELINE_AIRFLOW_PASSWORD_FILE=str(password))


def told(energy: Any) -> tuple[str, str]:
    checks = json.loads(energy("doctor", "--json", code=1).stdout)
    found = [f"{each['state']}: {each['found']}" for each in checks if each["name"] == "runs in Airflow"]
    return " ".join(energy("status", width=300).stdout.split()), "\n".join(found)


def test_failed_runs_are_counted_and_named(airflow: airflow_api.Airflow, asking: Any) -> None:
    """Class: four runs in a row failed, and neither status nor doctor said a word about them."""
    airflow.runs += [run(hour, "failed") for hour in (2, 3, 4)]
    for text in told(asking):
        assert "4 runs in a row have failed since 2024-03-31 00:00: 2024-03-31 04:00, 2024-03-31 03:00" in text
    airflow.runs.append(run(5, "success"))
    assert "have failed" not in asking("status", width=300).stdout


def test_runs_that_failed_without_any_success_and_more_than_four_are_said_shortly(
    airflow: airflow_api.Airflow, asking: Any
) -> None:
    airflow.runs[:] = [run(hour, "failed") for hour in range(6)]
    text = told(asking)[0]
    assert "6 runs in a row have failed and none has succeeded: 2024-03-31 05:00" in text
    assert "and 2 earlier" in text


@pytest.mark.parametrize(
    "ended",
    [
        run(22, "failed", "2028-01-01"),
        run(9, "failed", "2024-04-01", logical_date=None),
        run(2, "failed", "2024-03-30", run_type="backfill"),
    ],
    ids=["of the future", "of the future, without a logical date", "a backfill"],
)
def test_a_failed_run_that_is_not_due_says_nothing_of_the_hourly_ones(
    airflow: airflow_api.Airflow, asking: Any, ended: dict[str, Any]
) -> None:
    """Class: the watch fails a run of 2028, and until then `doctor` says that the newest run has failed."""
    manual = run(5, "success", logical_date=None)
    airflow.runs[:] = [ended, manual, run(4, "failed")]
    state = json.loads(asking("status", "--json").stdout)["dag"]
    assert (state["failed"], state["last_success"]) == ([], "2024-03-31 05:00")


def test_a_paused_dag_is_named(airflow: airflow_api.Airflow, asking: Any) -> None:
    airflow.runs[:] = [run(0, "success")]
    airflow.paused = True
    checks = json.loads(asking("doctor", "--json", code=0 if is_sound(asking) else 1).stdout)
    [found] = [each for each in checks if each["name"] == "runs in Airflow"]
    assert found["state"] == "warning"
    assert found["found"] == "the DAG is paused: no run starts by itself"
    assert "unpause" in found["advice"]


def is_sound(energy: Any) -> bool:
    try:
        energy("doctor", "--json")
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (run(7, "running", "2027-03-31"), "its hour is in the future"),
        (run(9, "queued"), "its hour is in the future"),
        (run(3, "running", "2024-03-30"), "running for 26 hours"),
    ],
)
def test_a_run_that_holds_the_slot_is_named(
    airflow: airflow_api.Airflow, asking: Any, wrong: dict[str, Any], why: str
) -> None:
    airflow.runs.append(wrong)
    for text in told(asking):
        assert f"{wrong['dag_run_id']} holds the slot of the hourly runs: {why}" in text


def test_an_airflow_that_does_not_answer_is_said_in_one_line(airflow: airflow_api.Airflow, asking: Any) -> None:
    airflow.status = 500
    assert f"Airflow at {airflow.url} refuses (500)" in told(asking)[0]
    state = json.loads(asking("status", "--json").stdout)
    assert state["dag"]["failed"] == []


def test_without_an_airflow_nothing_is_said(empty: Any) -> None:
    assert json.loads(empty("status", "--json").stdout)["dag"] is None
    assert "Airflow" not in empty("status").stdout
