"""The DAG files, loaded by Airflow: what users and operators rely on."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app_shell.ml_pipeline_steps import STEPS, TUNE, VARIABLES, Constant, Result, Source, Variable
from tests.stack import REPOSITORY, Stack

pytestmark = pytest.mark.stack

READ_DAG = """
import importlib, json, sys, time
import airflow.sdk, airflow.providers.standard.operators.empty
import airflow.providers.standard.decorators.python_virtualenv
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
started = time.process_time()
module = importlib.import_module(f"{sys.argv[2]}_dag")
seconds = time.process_time() - started
dag = getattr(module, sys.argv[2])()
def shown(value):
    return ["result", value.operator.task_id, value.key] if hasattr(value, "operator") else value
print("RESULT" + json.dumps({
    "seconds": seconds,
    "imported": sorted({name.split(".")[0] for name in set(sys.modules) - before}),
    "tasks": {task.task_id: {
        "downstream": sorted(task.downstream_task_ids), "rule": getattr(task.trigger_rule, "value", task.trigger_rule),
        "retries": task.retries,
        "limit": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        "requirements": getattr(task, "requirements", []), "cached": bool(getattr(task, "venv_cache_path", None)),
        "function": getattr(task, "op_kwargs", {}).get("function"),
        "arguments": {k: shown(v) for k, v in getattr(task, "op_kwargs", {}).get("arguments", {}).items()},
    } for task in dag.tasks},
    "labels": sorted(info["label"] for edges in dag.edge_info.values() for info in edges.values()),
    "dag": {
        "catchup": dag.catchup, "active": dag.max_active_runs, "tags": sorted(dag.tags), "schedule": str(dag.schedule),
        "paused at first": dag.is_paused_upon_creation,
    },
}))
"""


def read(stack: Stack, name: str) -> dict[str, Any]:
    command = [stack.program("airflow", "python"), "-c", READ_DAG, str(REPOSITORY / "airflow" / "dags"), name]
    done = subprocess.run(command, env=stack.worker_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    decoded: dict[str, Any] = json.loads(done.stdout.split("RESULT")[1])
    return decoded


@pytest.fixture(scope="module")
def facts(stack: Stack) -> dict[str, Any]:
    return read(stack, "ml_pipeline")


@pytest.fixture(scope="module")
def maintenance(stack: Stack) -> dict[str, Any]:
    return read(stack, "ml_pipeline_maintenance")


@pytest.fixture(scope="module")
def watch(stack: Stack) -> dict[str, Any]:
    return read(stack, "ml_pipeline_watch")


def test_the_dags_parse_fast_and_import_no_pipeline(
    facts: dict[str, Any], maintenance: dict[str, Any], watch: dict[str, Any]
) -> None:
    ours = {"feature_pipeline", "training_pipeline", "batch_prediction_pipeline", "forecast_core", "polars", "apprise"}
    for dag in (facts, maintenance, watch):
        assert dag["seconds"] < 0.5
        assert not ours & set(dag["imported"])


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
        "paused at first": None,
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


def test_the_run_is_named_to_every_task_that_records_it(facts: dict[str, Any]) -> None:
    told = {name for name, task in facts["tasks"].items() if task["arguments"].get("dag_run_id") == "{{ run_id }}"}
    assert told == {"run_feature_pipeline", "train_from_best_config", "batch_predict"}


def test_maintenance_is_daily_by_itself_one_at_a_time_and_its_first_run_waits(maintenance: dict[str, Any]) -> None:
    dag = maintenance["dag"]
    assert (dag["catchup"], dag["active"], dag["paused at first"]) == (False, 1, False)
    assert "'30 11 * * *'" in dag["schedule"]
    assert "run_immediately=datetime.timedelta(0)" in dag["schedule"]
    tasks = maintenance["tasks"]
    assert set(tasks) == {"maintain_tables", "prune_task_environments"}
    assert tasks["maintain_tables"]["requirements"] == ["feature-pipeline=={{ var.value.ml_pipeline_version }}"]
    assert tasks["maintain_tables"]["cached"]
    assert all(task["limit"] and task["retries"] == 2 for task in tasks.values())


def test_the_watch_runs_by_itself_twice_an_hour_and_needs_no_other_dag(watch: dict[str, Any]) -> None:
    dag, tasks = watch["dag"], watch["tasks"]
    assert (dag["catchup"], dag["active"], dag["paused at first"]) == (False, 1, False)
    assert "'20,50 * * * *'" in dag["schedule"]
    assert {name: task["downstream"] for name, task in tasks.items()} == {
        "look": ["check"],
        "check": ["tell"],
        "tell": ["record"],
        "record": [],
    }
    assert tasks["check"]["requirements"] == ["batch-prediction-pipeline=={{ var.value.ml_pipeline_version }}"]
    assert tasks["check"]["arguments"]["now"] == tasks["record"]["arguments"]["now"]
    assert "dag_run.run_after" in tasks["check"]["arguments"]["now"]
    assert tasks["check"]["arguments"]["dag"] == ["result", "look", "return_value"]
    assert all(task["limit"] and task["retries"] == 2 for task in tasks.values())


def test_the_retraining_policy_is_read_when_training_runs(facts: dict[str, Any]) -> None:
    arguments = facts["tasks"]["train_from_best_config"]["arguments"]
    assert arguments["retrain"] == templated(Variable("retrain"))


def test_the_dag_calls_what_the_steps_say_with_the_arguments_that_they_say(facts: dict[str, Any]) -> None:
    tasks = {name: task for name, task in facts["tasks"].items() if task["function"]}
    assert list(tasks) == [step.name for step in STEPS]
    for step in STEPS:
        task = tasks[step.name]
        assert task["function"] == step.function
        assert task["requirements"] == [f"{step.distribution}=={{{{ var.value.ml_pipeline_version }}}}"]
        assert task["limit"] == 60 * step.minutes
        assert task["arguments"] == {name: templated(source) for name, source in step.arguments.items()}


def templated(source: Source) -> Any:
    """What Airflow passes for an argument, written out."""
    if isinstance(source, Constant):
        return source.value
    if isinstance(source, Result):
        return ["result", source.step, source.key]
    if isinstance(source, Variable):
        variable = f"var.value.get('ml_pipeline_{source.name}', '{VARIABLES[source.name]}')"
        return f"{{{{ (dag_run.conf or {{}}).get('{source.name}', {variable}) }}}}"
    return {
        "reference_datetime": "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d %H:%M') }}",
        "kind": "{{ dag_run.run_type }}",
        "id": "{{ run_id }}",
    }[source.fact]


BRANCH = """
import sys
sys.path.insert(0, sys.argv[1])
import ml_pipeline_dag
task = ml_pipeline_dag.ml_pipeline().get_task("if_run_hyperparameter_tuning_branching")
[reference] = task.op_args
print("RESULT", reference.operator.task_id, reference.key, *map(task.python_callable, [True, False]))
"""


def test_the_branch_reads_what_create_feature_view_decided(stack: Stack) -> None:
    command = [stack.program("airflow", "python"), "-c", BRANCH, str(REPOSITORY / "airflow" / "dags")]
    done = subprocess.run(command, env=stack.worker_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("RESULT")[1].split() == [
        *TUNE,
        "branch_run_hyperparameter_tuning",
        "branch_skip_hyperparameter_tuning",
    ]


CONF = """
import json, sys
from types import SimpleNamespace
import jinja2
sys.path.insert(0, sys.argv[1])
import ml_pipeline_dag
dag = ml_pipeline_dag.ml_pipeline()
first, second = dag.get_task("run_feature_pipeline"), dag.get_task("create_feature_view")
def outcome(conf):
    run, variables = SimpleNamespace(conf=conf), SimpleNamespace(value={"ml_pipeline_days_export": "20"})
    try:
        first._pre_execute_hook({"dag_run": run})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    arguments = {**first.op_kwargs["arguments"], "tune": second.op_kwargs["arguments"]["tune"]}
    shown = [arguments[name] for name in ("days_export", "days_delay", "url", "tune")]
    return [jinja2.Template(each).render(dag_run=run, var=variables) for each in shown]
print("RESULT" + json.dumps([outcome(conf) for conf in json.loads(sys.argv[2])]))
"""


def test_the_conf_of_a_triggered_run_takes_the_place_of_variables_and_an_unknown_key_is_refused(stack: Stack) -> None:
    """It was ignored in silence. The Variable says 20 days."""
    given: list[Any] = [
        None,
        {},
        {"days_export": 60, "should_run_hyperparameter_tuning": True},
        {"url": "/data/a.csv", "days_delay": "0"},
        {"days_export": None},
    ]
    refused: list[Any] = [{"day_export": 60}, {"ml_pipeline_url": "x", "days_export": 1}, {"": 1}]
    command = [stack.program("airflow", "python"), "-c", CONF, str(REPOSITORY / "airflow" / "dags")]
    command.append(json.dumps(given + refused))
    done = subprocess.run(command, env=stack.worker_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.split("RESULT")[1])
    assert outcomes[: len(given)] == [
        ["20", "15", "demo://denmark", "False"],
        ["20", "15", "demo://denmark", "False"],
        ["60", "15", "demo://denmark", "True"],
        ["20", "0", "/data/a.csv", "False"],
        # No number: the function says so.
        ["None", "15", "demo://denmark", "False"],
    ]
    for said, conf in zip(outcomes[len(given) :], refused, strict=True):
        assert said.startswith(f"AirflowFailException: conf of this run has {next(iter(conf))!r}, which")
        assert "days_export" in said.split("it reads")[1]
        assert len(said) <= 500
        assert "\n" not in said


TELL = """
import http.server, json, sys, threading
sys.path.insert(0, sys.argv[1])
import pipeline_alarms
got = []
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(int(sys.argv[2])); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
pipeline_alarms._address = lambda: f"json://someone:hidden-word@127.0.0.1:{server.server_port}/hook"
try:
    pipeline_alarms.tell(["alarm: one", "alarm: two"])
except RuntimeError as error:
    print("REFUSED", error)
print("RESULT", json.dumps(got))
"""


@pytest.mark.parametrize("answer", [200, 500])
def test_a_message_reaches_the_address_whole_and_a_refusal_does_not_name_it(stack: Stack, answer: int) -> None:
    command = [stack.program("airflow", "python"), "-c", TELL, str(REPOSITORY / "airflow" / "dags"), str(answer)]
    done = subprocess.run(command, env=stack.worker_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [message] = json.loads(done.stdout.split("RESULT")[1])
    assert (message["title"], message["message"]) == ("Energy forecasts", "alarm: one\nalarm: two")
    assert ("REFUSED the address of the connection ml_pipeline_alarms did not take" in done.stdout) == (answer == 500)
    assert "hidden-word" not in done.stdout + done.stderr
    assert "alarm: one" in done.stderr


def test_variables_and_the_reference_time_are_read_when_a_task_runs(facts: dict[str, Any]) -> None:
    arguments = facts["tasks"]["run_feature_pipeline"]["arguments"]
    assert "dag_run.logical_date or dag_run.run_after" in arguments["export_end_reference_datetime"]
    for name, default in {
        "days_delay": "15",
        "days_export": "30",
        "url": "demo://denmark",
        "feature_group_version": "1",
    }.items():
        variable = f"var.value.get('ml_pipeline_{name}', '{default}')"
        assert arguments[name] == f"{{{{ (dag_run.conf or {{}}).get('{name}', {variable}) }}}}"


RETRIES = """
import json, os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from airflow.exceptions import AirflowTaskTimeout
from airflow.providers.standard.operators.python import PythonVirtualenvOperator
from airflow.sdk import DAG
from pipeline_tasks import RETRIES

def store_is_away():
    from forecast_core.contracts.errors import StorageError
    raise StorageError("the store does not answer")

def database_is_locked():
    from forecast_core.contracts.errors import TrackingError
    raise TrackingError("two\\nlines")

def format_is_unknown():
    from forecast_core.contracts.errors import FormatError, StorageError
    raise FormatError(f"format 7 is unknown; before that: {StorageError('no answer')}; update the software")

def argument_is_wrong():
    from forecast_core.contracts.errors import InvalidArgument
    raise InvalidArgument("days_delay must be at least 0, not -1")

def column_is_missing():
    import polars as pl
    pl.DataFrame({"a": ["x"]}).select(pl.col("a").str.strptime(pl.Date, "%Y"))

def polars_panics():
    from polars.exceptions import PanicException
    raise PanicException("a bug of polars, which is no Exception")

def assertion_has_no_text():
    assert False

def process_is_killed():
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

def outcome(error):
    return [RETRIES["retry_policy"].evaluate(error, 1, 2).action.value, str(error)]

def of_function(function):
    with DAG("retries"):
        operator = PythonVirtualenvOperator(task_id=function.__name__, python_callable=function)
    operator._bundle_path = None
    try:
        operator._execute_python_callable_in_subprocess(Path(sys.argv[2]))
    except Exception as error:
        return outcome(error)

def of_environment():
    with DAG("retries"):
        operator = PythonVirtualenvOperator(
            task_id="no_environment", python_callable=store_is_away, requirements=["no-such-package-anywhere==1"],
            system_site_packages=False, venv_cache_path=sys.argv[3],
        )
    operator._calculate_cache_hash = lambda **_: ("0", "{}")
    operator._bundle_path = None
    try:
        operator.execute_callable()
    except Exception as error:
        return outcome(error)

functions = (store_is_away, database_is_locked, format_is_unknown, argument_is_wrong, column_is_missing, polars_panics,
             assertion_has_no_text, process_is_killed)
results = {function.__name__: of_function(function) for function in functions}
results["environment_is_not_made"] = of_environment()
results["api_server_is_away"] = outcome(ConnectionRefusedError(111, "Connection refused"))
results["time_limit_is_over"] = outcome(AirflowTaskTimeout("Timeout, PID: 1"))
print("RESULT" + json.dumps(results))
"""


def test_only_what_may_heal_is_retried_by_the_words_of_airflows_own_operator(stack: Stack, tmp_path: Path) -> None:
    program = tmp_path / "retries.py"
    program.write_text(RETRIES)
    command = [stack.program("airflow", "python"), str(program), str(REPOSITORY / "airflow" / "dags")]
    command += [stack.program("pipelines", "python"), str(tmp_path / "environments")]
    environment = stack.worker_environment() | {"UV_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.split("RESULT")[1])
    assert {name: decision for name, (decision, _) in results.items()} == {
        "store_is_away": "default",
        "database_is_locked": "default",
        "format_is_unknown": "fail",
        "argument_is_wrong": "fail",
        "column_is_missing": "fail",
        "polars_panics": "fail",
        "assertion_has_no_text": "fail",
        "process_is_killed": "default",
        "environment_is_not_made": "default",
        "api_server_is_away": "default",
        "time_limit_is_over": "default",
    }, results
    # What the cases are about: each has got as far as it was meant to.
    assert "the store does not answer" in results["store_is_away"][1]
    assert "strptime" in results["column_is_missing"][1]
    assert "Unable to create new virtual environment" in results["environment_is_not_made"][1]
    assert "SIGKILL" in results["process_is_killed"][1]
