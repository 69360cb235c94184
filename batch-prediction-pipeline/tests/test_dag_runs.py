"""What is wrong with the DAG's runs is told once and cleared, also before anything was ever ingested.

The class of the fault: the watch read the tables only, so whatever stops runs before any code of ours was seen late or
never: a run of the future in the only slot, a run that hangs, runs that fail one after another, a paused DAG.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch_prediction_pipeline.monitoring import watch
from forecast_core.alarms import Alarms
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings

NOW = datetime(2024, 3, 1, 12, 20, tzinfo=UTC)


def dag_run(state: str, *, hours_ago: float = 0, kind: str = "scheduled", minutes: float = 5) -> dict[str, Any]:
    """A run of the hour that many hours before noon, which began at once and ended after some minutes."""
    logical = NOW.replace(minute=0) - timedelta(hours=hours_ago)
    ended = (logical + timedelta(minutes=minutes)).isoformat() if state in ("success", "failed") else None
    times = {"logical_date": logical.isoformat(), "run_after": logical.isoformat(), "start_date": logical.isoformat()}
    return {
        "dag_run_id": f"{kind}__{logical:%Y-%m-%dT%H}",
        "run_type": kind,
        "state": state,
        **times,
        "end_date": ended,
    }


def dag(*runs: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {"paused": False, "runs": list(runs), "ended": [], "not_ended": [], **facts}


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(root_dir=tmp_path)


def due(settings: Settings, state: dict[str, Any], now: datetime = NOW) -> list[tuple[str, str]]:
    """Tell what is due now; return its kinds and notices."""
    found = watch.check(now, dag=state, settings=settings)["due"]
    watch.told(found, now, settings=settings)
    return [(each["kind"], each["notice"]) for each in found]


def texts(settings: Settings, state: dict[str, Any]) -> list[str]:
    return [each["text"] for each in watch.check(NOW, dag=state, settings=settings)["due"]]


def test_runs_that_failed_in_a_row_are_named_once_and_cleared_by_the_next_success(settings: Settings) -> None:
    failed = [dag_run("failed", hours_ago=hours) for hours in range(4)]
    [text] = texts(settings, dag(dag_run("success", hours_ago=4), *failed))
    assert text.startswith("alarm: failed_runs in the DAG ml_pipeline, since 2024-03-01 12:20 UTC: ")
    assert "the last 4 runs of ml_pipeline failed, at 2024-03-01 12:00, 2024-03-01 11:00" in text
    assert len(text) <= 500
    assert due(settings, dag(*failed)) == [("failed_runs", "notify")]
    assert due(settings, dag(*failed), NOW + 0.5 * HOUR) == []
    good = dag_run("success", hours_ago=-1)
    assert due(settings, dag(*failed, good), NOW + HOUR) == [("failed_runs", "cleared")]


def test_an_older_run_that_is_repeated_with_success_ends_the_row_by_the_time_at_which_it_ended(
    settings: Settings,
) -> None:
    again = {**dag_run("success", hours_ago=9), "end_date": NOW.isoformat()}
    assert due(settings, dag(dag_run("failed", hours_ago=1), again)) == []
    assert due(settings, dag(dag_run("failed", hours_ago=1, kind="backfill"))) == []


@pytest.mark.parametrize(
    ("hours", "told"), [(1, []), (3.9, []), (4, [("blocking_run", "notify")]), (300, [("blocking_run", "notify")])]
)
def test_a_run_that_runs_longer_than_the_limits_of_its_tasks_is_told(
    settings: Settings, hours: float, told: list[tuple[str, str]]
) -> None:
    run = {**dag_run("running"), "start_date": (NOW - hours * HOUR).isoformat()}
    assert due(settings, dag(run)) == told


def test_a_run_of_the_future_is_told_whether_it_could_be_failed_or_not(settings: Settings) -> None:
    ahead = {**dag_run("failed", hours_ago=-9000, kind="manual"), "end_date": NOW.isoformat()}
    name = ahead["dag_run_id"]
    [text] = texts(settings, dag(ahead, dag_run("success", hours_ago=1), ended=[name]))
    assert f"the logical date lies in the future: {name}: failed, because" in text
    waiting = {**ahead, "state": "running", "end_date": None}
    [text] = texts(settings, dag(waiting, not_ended=[name]))
    assert f"{name}: Airflow refused to fail it; fail it by hand" in text
    assert due(settings, dag(ahead, ended=[name])) == [("future_run", "notify")]
    # At the next look it is over, and no failed run of the hours up to now.
    assert due(settings, dag(ahead), NOW + 0.5 * HOUR) == [("future_run", "cleared")]


def test_a_paused_dag_is_told_unless_it_has_never_run(settings: Settings) -> None:
    assert due(settings, dag(paused=True)) == []
    assert due(settings, dag(dag_run("success"), paused=True)) == [("paused", "notify")]
    assert due(settings, dag(dag_run("success")), NOW + HOUR) == [("paused", "cleared")]


def test_without_an_answer_of_airflow_the_runs_are_not_judged(settings: Settings) -> None:
    assert due(settings, dag(dag_run("failed"))) == [("failed_runs", "notify")]
    assert watch.check(NOW + HOUR, settings=settings)["due"] == []
    [opened] = Alarms(settings).read(only_open=True).to_dicts()
    assert (opened["kind"], opened["feature_view_version"]) == ("failed_runs", 0)
    with pytest.raises(InvalidArgument, match="it has no ended, not_ended, paused"):
        watch.check(NOW, dag={"runs": []}, settings=settings)
