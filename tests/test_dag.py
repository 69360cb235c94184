"""The DAG file: what users and operators rely on, read off the file by Airflow itself."""

import json
import subprocess
from typing import Any

import pytest

from tests.stack import REPOSITORY, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

READ_DAG = """
import json, sys, time
import airflow.sdk, airflow.providers.standard.operators.empty
import airflow.providers.standard.decorators.python_virtualenv
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
started = time.process_time()
import ml_pipeline_dag
seconds = time.process_time() - started
dag = ml_pipeline_dag.ml_pipeline()
print("RESULT" + json.dumps({
    "seconds": seconds,
    "imported": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    "tasks": {task.task_id: {
        "downstream": sorted(task.downstream_task_ids), "rule": getattr(task.trigger_rule, "value", task.trigger_rule),
        "retries": task.retries,
        "limit": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        "requirements": getattr(task, "requirements", []), "cached": bool(getattr(task, "venv_cache_path", None)),
        "arguments": {k: v for k, v in getattr(task, "op_kwargs", {}).items() if isinstance(v, str)},
    } for task in dag.tasks},
    "labels": sorted(info["label"] for edges in dag.edge_info.values() for info in edges.values()),
    "dag": {
        "catchup": dag.catchup, "active": dag.max_active_runs, "tags": sorted(dag.tags), "schedule": str(dag.schedule),
    },
}))
"""


@pytest.fixture(scope="module")
def facts(stack: Stack) -> dict[str, Any]:
    command = [stack.program("airflow", "python"), "-c", READ_DAG, REPOSITORY / "airflow" / "dags"]
    done = subprocess.run(command, env=stack.worker_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    decoded: dict[str, Any] = json.loads(done.stdout.split("RESULT")[1])
    return decoded


def test_the_dag_parses_fast_and_imports_no_pipeline(facts: dict[str, Any]) -> None:
    assert facts["seconds"] < 0.5
    assert not {"feature_pipeline", "training_pipeline", "batch_prediction_pipeline", "forecast_core", "polars"} & set(
        facts["imported"]
    )


def test_the_tasks_stand_in_the_promised_order(facts: dict[str, Any]) -> None:
    downstream = {name: task["downstream"] for name, task in facts["tasks"].items()}
    assert set(downstream) == {
        "run_feature_pipeline",
        "create_feature_view",
        "if_run_hyperparameter_tuning_branching",
        "branch_run_hyperparameter_tuning",
        "branch_skip_hyperparameter_tuning",
        "run_hyperparameter_tuning",
        "upload_best_config",
        "train_from_best_config",
        "compute_monitoring",
        "batch_predict",
    }
    assert "create_feature_view" in downstream["run_feature_pipeline"]
    assert "if_run_hyperparameter_tuning_branching" in downstream["create_feature_view"]
    assert downstream["if_run_hyperparameter_tuning_branching"] == [
        "branch_run_hyperparameter_tuning",
        "branch_skip_hyperparameter_tuning",
    ]
    assert downstream["branch_run_hyperparameter_tuning"] == ["run_hyperparameter_tuning"]
    assert downstream["run_hyperparameter_tuning"] == ["upload_best_config"]
    assert downstream["upload_best_config"] == ["train_from_best_config"]
    assert downstream["branch_skip_hyperparameter_tuning"] == ["train_from_best_config"]
    assert "compute_monitoring" in downstream["train_from_best_config"]
    assert downstream["compute_monitoring"] == ["batch_predict"]
    assert facts["labels"] == ["Run HPO", "Skip HPO"]


def test_the_dag_is_hourly_and_runs_one_at_a_time(facts: dict[str, Any]) -> None:
    assert facts["dag"] == {
        "catchup": False,
        "active": 1,
        "tags": ["batch-prediction", "feature-engineering", "model-training"],
        "schedule": "@hourly",
    }


def test_a_skipped_tuning_lets_training_run_and_a_failed_one_does_not(facts: dict[str, Any]) -> None:
    rules = {name: task["rule"] for name, task in facts["tasks"].items()}
    assert rules.pop("train_from_best_config") == "none_failed_min_one_success"
    assert set(rules.values()) == {"all_success"}


def test_every_pipeline_task_is_pinned_cached_limited_and_retried(facts: dict[str, Any]) -> None:
    tasks = [task for task in facts["tasks"].values() if task["requirements"]]
    assert len(tasks) == 7
    for task in tasks:
        assert "=={{ var.value.ml_pipeline_version }}" in task["requirements"][0]
        assert task["cached"]
        assert task["limit"]
        assert task["retries"] == 2


def test_variables_and_the_reference_time_are_read_when_a_task_runs(facts: dict[str, Any]) -> None:
    arguments = facts["tasks"]["run_feature_pipeline"]["arguments"]
    assert "dag_run.logical_date or dag_run.run_after" in arguments["export_end_reference_datetime"]
    for name, default in {
        "days_delay": "15",
        "days_export": "30",
        "url": "demo://denmark",
        "feature_group_version": "1",
    }.items():
        assert arguments[name] == f"{{{{ var.value.get('ml_pipeline_{name}', '{default}') }}}}"
