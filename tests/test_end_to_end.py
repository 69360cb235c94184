"""The pipeline under a real Airflow: the two commands, idempotence, backfills, kills, users' DAGs, bad input."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
import polars as pl
import psutil
import pytest

from forecast_core.alarms import CHECKS, Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.trace import trace
from tests import course
from tests.conftest import Started
from tests.shell import run_in_shell
from tests.stack import DISTRIBUTIONS, PATIENCE_S, Stack

pytestmark = pytest.mark.stack

PIPELINE_TASKS = (
    "run_feature_pipeline",
    "create_feature_view",
    "train_from_best_config",
    "compute_monitoring",
    "batch_predict",
)
PAST = datetime(2024, 3, 31, 5, tzinfo=UTC)
KILLED = PAST + timedelta(days=100)
FORECAST = ["area", "consumer_type", "datetime_utc", "energy_consumption", "q05", "q95", "quality"]


def forecasts(settings: Settings, reference: datetime, view: int = 1) -> pl.DataFrame:
    archive = ForecastArchive(settings)
    until = reference + timedelta(hours=1)
    rows = archive.read(feature_view_version=view, reference_from=reference, reference_until=until)
    return rows.select(FORECAST).sort("area", "consumer_type", "datetime_utc")


def settings_of(stack: Stack) -> Settings:
    return Settings(root_dir=stack.root)


def trigger(stack: Stack, dag: str, logical_date: datetime | None, **conf: Any) -> str:
    text = logical_date.strftime("%Y-%m-%dT%H:%M:%SZ") if logical_date else None
    answer = stack.api.post(f"/api/v2/dags/{dag}/dagRuns", json={"logical_date": text, "conf": conf})
    assert answer.is_success, answer.text
    unpaused = stack.api.patch(f"/api/v2/dags/{dag}", json={"is_paused": False})
    assert unpaused.is_success, unpaused.text
    identifier: str = answer.json()["dag_run_id"]
    return identifier


def tasks(stack: Stack, dag: str, run: str) -> dict[str, dict[str, Any]]:
    answer = stack.api.get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances").json()
    return {task["task_id"]: task for task in answer["task_instances"]}


def wait(stack: Stack, dag: str, run: str) -> str:
    while True:
        state: str = stack.api.get(f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"]
        if state in {"success", "failed"}:
            return state
        time.sleep(0.5)


def wait_for_backfills(stack: Stack) -> None:
    """Airflow takes a while after the last run until it counts a backfill as completed and allows another."""
    while True:
        backfills = stack.api.get("/api/v2/backfills", params={"dag_id": "ml_pipeline"}).json()["backfills"]
        if all(backfill["completed_at"] for backfill in backfills):
            return
        time.sleep(0.5)


@contextmanager
def variable(stack: Stack, name: str, value: str) -> Iterator[None]:
    stack.api.post("/api/v2/variables", json={"key": name, "value": value}).raise_for_status()
    try:
        yield
    finally:
        stack.api.delete(f"/api/v2/variables/{name}").raise_for_status()


def test_one_command_takes_a_fresh_machine_to_forecasts(started: Started) -> None:
    for line in ("Ingested", "54,", "76 series", "default", "seasonal naive", "1,824 rows"):
        assert line in started.first_run
    # If the hour changes while the stack starts, the scheduler first runs the hour before, whose model is version 1.
    assert re.search(r"Model {7}version [12],", started.first_run)
    assert str(started.stack.root / "secrets") in started.first_run
    assert re.findall(r"\d+\.\d s  run_feature_pipeline", started.first_run)
    assert started.stack.secret("index-password") not in started.first_run


def test_the_api_serves_what_the_last_run_archived_and_leads_to_its_pages(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.api_port}"
    with stack.resting(), httpx.Client(base_url=address, timeout=PATIENCE_S, trust_env=False) as client:
        runs = ForecastArchive(Settings(root_dir=stack.root)).read_runs().sort("reference_datetime")
        newest = runs["reference_datetime"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")[-1]
        assert client.get("/api/v1/readiness").raise_for_status().json()["status"] == "ready"
        # It looks for new forecasts every two seconds.
        while client.get("/api/v1/runs").raise_for_status().json()["items"][0]["reference_datetime"] != newest:
            time.sleep(0.5)
        page = client.get("/api/v1/forecasts", params={"limit": 1000}).raise_for_status().json()
        assert {each["reference_datetime"] for each in page["items"]} == {newest}
        assert sum(len(each["forecast"]) for each in page["items"]) == runs["forecasts"][-1] == 1824
        run = client.get("/api/v1/runs").json()["items"][0]
        assert run["airflow_url"].startswith(f"http://127.0.0.1:{stack.airflow_port}/dags/ml_pipeline/runs/")
        ingest = client.get("/api/v1/ingests").json()["items"][0]
        assert client.get(ingest["validation_page"]).is_success


def test_nothing_is_left_running_after_one_run(started: Started) -> None:
    assert started.left_running == []


def test_a_second_run_builds_nothing_and_doubles_nothing(started: Started) -> None:
    publication = (started.stack.root / "logs" / "publish.log").read_text()
    assert publication.count("unchanged") == len(DISTRIBUTIONS)
    # If the hour changed meanwhile, the second run was another one, or the scheduler began the next.
    if started.within_one_hour:
        runs = [re.findall(r"run (manual__\S+) of", text)[0] for text in (started.first_run, started.second_run)]
        assert runs[0] == runs[1]
        # The watch, which has minutes of its own, may have looked in between.
        first, second = (
            {name: size for name, size in files.items() if not name.startswith("alarms/")}
            for files in (started.store_after_first, started.store_after_second)
        )
        assert first == second
    # Monitoring has nothing to judge at the first run of all.
    checks = Alarms(settings_of(started.stack)).read_checks(feature_view_version=1)
    first_run = ForecastArchive(settings_of(started.stack)).read_runs()["reference_datetime"].min()
    assert checks.filter(pl.col("reference_datetime") <= first_run, pl.col("source") == "monitoring").is_empty()
    archived = ForecastArchive(settings_of(started.stack)).read(feature_view_version=1)
    keys = ["feature_view_version", "reference_datetime", "area", "consumer_type", "datetime_utc"]
    assert not archived.select(keys).is_duplicated().any()


def test_a_task_that_is_due_when_the_stack_starts_again_succeeds_at_its_first_try(started: Started) -> None:
    """Tasks that start before the API server answers, or that do not wait for its slow first answer, fail at first."""
    assert wait(started.stack, "due_at_start", started.first_due) == "success"
    assert tasks(started.stack, "due_at_start", started.first_due)["report"]["try_number"] == 1


def test_a_failed_run_exits_non_zero_and_names_task_reason_and_log(stack: Stack) -> None:
    with variable(stack, "ml_pipeline_url", "nonsense://nowhere"):
        failed = stack.make("run", "ONCE=1", check=False)
    assert failed.returncode != 0
    assert "task run_feature_pipeline failed" in failed.stdout
    assert "nonsense" in failed.stdout
    log = re.findall(r"log: (\S+)", failed.stdout)[0]
    assert "nonsense" in Path(log).read_text()


def test_one_run_beside_a_stack_that_is_up_leaves_it_up(stack: Stack) -> None:
    names = " ".join(" ".join(process.cmdline()) for process in stack.processes())
    assert "supervisord" in names
    assert "scheduler" in names


@pytest.fixture(scope="session")
def course_runs(stack: Stack) -> dict[str, str]:
    """Runs of two DAGs from the course at the same past hour, each with tuning and a dataset of its own.

    They make their environments anew for every task, and go on beside other tests.
    """
    return {dag: trigger(stack, dag, course.HOUR) for dag in course.DATASETS}


@dataclass
class KilledRun:
    """A run of ml_pipeline, each of whose tasks is killed once."""

    identifier: str
    killed: list[str] = field(default_factory=list)
    state: str = ""


@pytest.fixture(scope="session")
def killed_run(stack: Stack) -> Iterator[Future[KilledRun]]:
    """A run whose tasks are killed. It mostly waits for retries, so it goes on beside tests that start no such run.

    A backfill may run beside it: only runs of other kinds share the DAG's one place for an active run.
    """
    run = KilledRun(trigger(stack, "ml_pipeline", KILLED))
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(kill_each_task_once, stack, run)


def kill_each_task_once(stack: Stack, run: KilledRun) -> KilledRun:
    """Kill -9 what runs our code for each task of a run, at its first try; return when the run has ended."""
    path = f"/api/v2/dags/ml_pipeline/dagRuns/{run.identifier}"
    while (state := stack.api.get(path).json()["state"]) in {"queued", "running"}:
        for name, task in tasks(stack, "ml_pipeline", run.identifier).items():
            is_next = task["state"] == "running" and name in PIPELINE_TASKS and name not in run.killed
            if is_next and kill_task(stack, run.identifier, name):
                run.killed.append(name)
        time.sleep(0.2)
    run.state = state
    return run


def kill_task(stack: Stack, run: str, task: str) -> bool:
    """Kill -9 the Python of a task's environment, if it is running our code."""
    for process in stack.processes():
        try:
            command, environment = process.cmdline(), process.environ()
            started = time.time() - process.create_time()
        except psutil.Error:
            continue
        is_task = (environment.get("AIRFLOW_CTX_DAG_RUN_ID"), environment.get("AIRFLOW_CTX_TASK_ID")) == (run, task)
        if is_task and command and "task-environments" in command[0] and started > 0.5:
            os.kill(process.pid, signal.SIGKILL)
            return True
    return False


@pytest.mark.usefixtures("killed_run", "course_runs")
def test_backfills_in_both_orders_give_the_forecasts_of_a_run_alone(stack: Stack, tmp_path: Any) -> None:
    hours = [PAST + timedelta(hours=offset) for offset in range(2)]
    span = [
        "--from-date",
        hours[0].isoformat(),
        "--to-date",
        hours[-1].isoformat(),
        "--reprocess-behavior",
        "completed",
    ]
    seen, ended = [], []
    for order in ([], ["--run-backwards"]):
        wait_for_backfills(stack)
        stack.airflow("backfill", "create", "--dag-id", "ml_pipeline", *span, *order)
        for hour in hours:
            wait(stack, "ml_pipeline", run := f"backfill__{hour.isoformat()}")
            ended.append(stack.api.get(f"/api/v2/dags/ml_pipeline/dagRuns/{run}").json()["end_date"])
        seen.append([forecasts(settings_of(stack), hour) for hour in hours])
    assert len(set(ended)) == 4, "the second order has run nothing again"
    for first, again, hour in zip(*seen, hours, strict=True):
        assert first.height == 76 * 24
        assert first.equals(again), hour
    # What the hour that was run first forwards, and last backwards, gives in an empty root.
    alone = run_in_shell(stack, tmp_path, reference=hours[0])
    assert seen[0][0].equals(forecasts(alone, hours[0]))


def test_a_forecast_leads_back_to_the_runs_of_the_dag_and_is_made_again_by_the_installed_wheels(stack: Stack) -> None:
    archived = ForecastArchive(settings_of(stack)).read(feature_view_version=1).row(0, named=True)
    options = ["--area", archived["area"], "--consumer-type", archived["consumer_type"]]
    options += [
        "--hour",
        archived["datetime_utc"].isoformat(),
        "--reference",
        archived["reference_datetime"].isoformat(),
    ]
    command = [stack.program("pipelines", "python"), "-m", "batch_prediction_pipeline", "lineage", *options]
    done = subprocess.run([*command, "--recreate", "--json"], env=stack.environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    runs = stack.api.get("/api/v2/dags/ml_pipeline/dagRuns").json()["dag_runs"]
    [run] = {found[part]["dag_run_id"] for part in ("run", "model")} | {found["ingests"]["of_run"]["dag_run_id"]}
    assert run in {each["dag_run_id"] for each in runs}
    assert found["recreated"]["same"]
    assert found["recreated"]["code"] == {"model": [], "forecasts": []}


def test_maintenance_runs_beside_the_pipeline_and_leaves_every_forecast_as_it_was(stack: Stack) -> None:
    before = ForecastArchive(settings_of(stack)).read(feature_view_version=1)
    environments = stack.root / "task-environments"
    kept = {path.name for path in environments.glob("venv-*/")}
    (environments / "venv-old").mkdir()
    (environments / "venv-old" / "install_complete_marker.json").write_text('{"cache_key": "of another deployment"}')
    deployed_long_ago = time.time() - timedelta(hours=7).total_seconds()
    os.utime(stack.root / "deployed" / "variables.json", (deployed_long_ago, deployed_long_ago))
    assert not stack.api.get("/api/v2/dags/ml_pipeline_maintenance").json()["is_paused"]
    run = trigger(stack, "ml_pipeline_maintenance", None)
    assert wait(stack, "ml_pipeline_maintenance", run) == "success"
    path = f"/api/v2/dags/ml_pipeline_maintenance/dagRuns/{run}/taskInstances/maintain_tables/xcomEntries/tables"
    tables = str(stack.api.get(path).json()["value"])
    for name in ("forecasts", "forecast_runs", "ingests", "observations/demo-denmark/v1"):
        assert f"'{name}'" in tables or f'"{name}"' in tables
    assert {path.name for path in environments.glob("venv-*/")} == kept
    after = ForecastArchive(settings_of(stack)).read(feature_view_version=1)
    assert after.join(before, on=after.columns, how="semi").height == before.height


class Receiver(BaseHTTPRequestHandler):
    """A server that keeps the messages that it gets."""

    messages: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


def test_the_watch_sends_an_open_alarm_once_to_the_configured_address_and_logs_no_secret(stack: Stack) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    row = (now - timedelta(minutes=1), 1, "monitoring", "skill", "DK1/111", "notify", 2.5, 2.0, "much worse than naive")
    overall = (*row[:4], "overall", "ok", 0.6, 1.0, "fine")
    Alarms(settings_of(stack)).write(pl.DataFrame([row, overall], schema=CHECKS, orient="row"))
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"json://someone:hidden-word@127.0.0.1:{server.server_port}/hook"
    connection = {"connection_id": "ml_pipeline_alarms", "conn_type": "generic", "password": address}
    assert stack.api.post("/api/v2/connections", json=connection).is_success
    try:
        runs = []
        for _ in range(2):
            runs.append(trigger(stack, "ml_pipeline_watch", None))
            assert wait(stack, "ml_pipeline_watch", runs[-1]) == "success"
    finally:
        stack.api.delete("/api/v2/connections/ml_pipeline_alarms")
        server.shutdown()
        server.server_close()
    texts = "".join(message["message"] for message in Receiver.messages)
    assert texts.count("alarm: skill of DK1/111") == 1
    states = {name: task["state"] for name, task in tasks(stack, "ml_pipeline_watch", runs[1]).items()}
    # Whether there is anything else to tell depends on the runs of the DAG in between.
    assert (states["look"], states["check"]) == ("success", "success")
    logs = "".join(path.read_text() for path in (stack.root / "airflow/logs/dag_id=ml_pipeline_watch").rglob("*.log"))
    assert "alarm: skill of DK1/111" in logs
    assert "hidden-word" not in logs


def test_a_run_of_the_future_is_failed_by_the_watch_and_told(stack: Stack) -> None:
    """The class of the fault: a run that waits for its hour before any code of ours runs holds the DAG's only slot."""
    ahead = trigger(stack, "ml_pipeline", datetime.now(UTC).replace(microsecond=0) + timedelta(days=400))
    address = f"/api/v2/dags/ml_pipeline/dagRuns/{quote(ahead, safe='')}"
    assert stack.api.get(address).json()["state"] in {"queued", "running"}
    watching = trigger(stack, "ml_pipeline_watch", None)
    assert wait(stack, "ml_pipeline_watch", watching) == "success"
    ended = stack.api.get(address).json()
    assert ended["state"] == "failed"
    assert "its logical date lies in the future" in ended["note"]
    found = Alarms(settings_of(stack)).read().filter(pl.col("kind") == "future_run")
    assert ahead in found["message"][0]
    password = (stack.root / "secrets" / "airflow-watch-password").read_text().strip()
    logs = "".join(path.read_text() for path in (stack.root / "airflow/logs/dag_id=ml_pipeline_watch").rglob("*.log"))
    assert password not in logs


def test_a_killed_task_is_retried_to_the_same_state(
    stack: Stack, killed_run: Future[KilledRun], tmp_path: Path
) -> None:
    run = killed_run.result()
    assert run.state == "success"
    assert run.killed == list(PIPELINE_TASKS)
    assert {tasks(stack, "ml_pipeline", run.identifier)[name]["try_number"] for name in PIPELINE_TASKS} == {2}
    alone = run_in_shell(stack, tmp_path, reference=KILLED)
    assert forecasts(settings_of(stack), KILLED).equals(forecasts(alone, KILLED))


def task_log(stack: Stack, run: str, task: str) -> str:
    folder = stack.root / "airflow/logs/dag_id=ml_pipeline" / f"run_id={run}" / f"task_id={task}"
    return (folder / "attempt=1.log").read_text()


def result(stack: Stack, run: str, task: str, key: str) -> Any:
    """What a task returned under a key."""
    path = f"/api/v2/dags/ml_pipeline/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}"
    value = stack.api.get(path).json()["value"]
    return json.loads(value) if isinstance(value, str) and value.isdecimal() else value


@pytest.mark.parametrize("dag", course.DATASETS)
def test_a_dag_of_the_course_at_a_past_hour_forecasts_as_ml_pipeline_does_and_its_lineage_names_the_run(
    stack: Stack, course_runs: dict[str, str], dag: str
) -> None:
    """Class of fault: a DAG that passes few versions on takes those of another run, and is green."""
    run, settings = course_runs[dag], settings_of(stack)
    assert wait(stack, dag, run) == "success"
    states = {name: task["state"] for name, task in tasks(stack, dag, run).items()}
    assert (states["run_hyperparameter_tuning"], states["upload_best_config"]) == ("success", "success")
    [view] = [each for each in FeatureStore(settings).feature_views() if each.dataset == course.DATASETS[dag]]
    found = forecasts(settings, course.HOUR, view.version)
    assert found.height == (76 * 24 if dag == "course_demo" else 3 * 24)
    first = found.row(0, named=True)
    series = {name: first[name] for name in ("area", "consumer_type", "datetime_utc")}
    traced = trace(settings, **series, reference_datetime=course.HOUR, feature_view_version=view.version)
    for made in (traced["run"], traced["model"], traced["ingests"]["of_run"]):
        assert made is not None
        assert (made["dag_id"], made["dag_run_id"]) == (dag, run)
    # Two runs of ml_pipeline at one hour have two logical dates: the second half past.
    url = "demo://denmark" if dag == "course_demo" else f"{stack.dags.parent}/{course.DATASETS[dag]}.parquet"
    half = timedelta(minutes=30 * list(course.DATASETS).index(dag))
    with variable(stack, "ml_pipeline_url", url):
        again = trigger(stack, "ml_pipeline", course.HOUR + half)
        assert wait(stack, "ml_pipeline", again) == "success"
    assert int(result(stack, again, "create_feature_view", "feature_view_version")) == view.version
    assert found.equals(forecasts(settings, course.HOUR, view.version))


def test_a_run_without_a_logical_date_takes_the_hour_that_it_was_started_in(stack: Stack) -> None:
    run = trigger(stack, "ml_pipeline", None)
    assert wait(stack, "ml_pipeline", run) == "success"
    reference = result(stack, run, "run_feature_pipeline", "reference_datetime")
    after = stack.api.get(f"/api/v2/dags/ml_pipeline/dagRuns/{run}").json()["run_after"]
    assert reference.strip('"') == after[:13].replace("T", " ") + ":00"


def test_tuning_runs_behind_its_branch_and_training_takes_what_it_found(stack: Stack) -> None:
    with variable(stack, "ml_pipeline_should_run_hyperparameter_tuning", "True"):
        run = trigger(stack, "ml_pipeline", PAST + timedelta(days=200))
        assert wait(stack, "ml_pipeline", run) == "success"
    states = {name: task["state"] for name, task in tasks(stack, "ml_pipeline", run).items()}
    assert states.pop("branch_skip_hyperparameter_tuning") == "skipped"
    assert set(states.values()) == {"success"}
    # What the pipelines log is in the task's log while it runs, a line for each trial among it.
    for trial in (1, 2):
        assert f"INFO training_pipeline.study: trial {trial} of 2" in task_log(stack, run, "run_hyperparameter_tuning")
    facts = str(result(stack, run, "train_from_best_config", "champion"))
    # It has to prove itself on origins that the search did not see, unless it is the default.
    assert "best_config from sweep" in facts
    assert any(decision in facts for decision in ("promote", "keep", "unchallenged"))


def test_a_failed_tuning_keeps_training_from_running_and_says_what_was_at_hand(stack: Stack) -> None:
    # Too short a history to compare configurations in it.
    conf = {"should_run_hyperparameter_tuning": True, "days_export": 1}
    run = trigger(stack, "ml_pipeline", PAST + timedelta(days=250), **conf)
    assert wait(stack, "ml_pipeline", run) == "failed"
    states = {name: task["state"] for name, task in tasks(stack, "ml_pipeline", run).items()}
    assert states["run_hyperparameter_tuning"] == "failed"
    assert states["train_from_best_config"] == "upstream_failed"
    log = task_log(stack, run, "run_hyperparameter_tuning")
    assert "alarm: run_hyperparameter_tuning of ml_pipeline failed at reference" in log
    for fact in ("series=76", "feature_view_version=", "training_dataset_version="):
        assert fact in log


@pytest.mark.real_data
@pytest.mark.skipif("ML_PIPELINE_REAL_DATA" not in os.environ, reason="ML_PIPELINE_REAL_DATA names no data set")
def test_the_published_data_are_stored_row_by_row_and_forecast(stack: Stack) -> None:
    reference = datetime(2023, 2, 4, 16, tzinfo=UTC)
    with variable(stack, "ml_pipeline_url", os.environ["ML_PIPELINE_REAL_DATA"]):
        run = trigger(stack, "ml_pipeline", reference)
        assert wait(stack, "ml_pipeline", run) == "success"
    table = pl.read_delta(f"{stack.root}/store/observations/ConsumptionDE35Hour/v1")
    stored = table.filter(pl.col("kind") == "first")
    given = pl.read_parquet(os.environ["ML_PIPELINE_REAL_DATA"])
    assert stored.height == given.height == 54_720
    assert stored["energy_consumption"].sum() == given["TotalCon"].sum()
    rows = ForecastArchive(settings_of(stack)).read(
        feature_view_version=result(stack, run, "create_feature_view", "feature_view_version"),
        reference_from=reference,
    )
    assert rows.height == 76 * 24
    assert set(rows["quality"]) == {"model"}


def test_bad_input_fails_at_once_without_a_retry_and_stores_nothing(stack: Stack) -> None:
    reference = PAST - timedelta(days=50)
    with variable(stack, "ml_pipeline_days_export", "-3"):
        run = trigger(stack, "ml_pipeline", reference)
        assert wait(stack, "ml_pipeline", run) == "failed"
    states = {name: task["state"] for name, task in tasks(stack, "ml_pipeline", run).items()}
    assert states["run_feature_pipeline"] == "failed"
    assert states["batch_predict"] == "upstream_failed"
    assert tasks(stack, "ml_pipeline", run)["run_feature_pipeline"]["try_number"] == 1
    assert forecasts(settings_of(stack), reference).is_empty()
    log = (
        stack.root / "airflow/logs/dag_id=ml_pipeline" / f"run_id={run}" / "task_id=run_feature_pipeline/attempt=1.log"
    )
    assert "days_export must be at least 1, not -3" in log.read_text()
    assert "At hand: nothing" in log.read_text()


def test_a_run_whose_conf_has_an_unknown_key_is_refused_by_its_first_task(stack: Stack) -> None:
    run = trigger(stack, "ml_pipeline", PAST - timedelta(days=51), day_export=3)
    assert wait(stack, "ml_pipeline", run) == "failed"
    assert tasks(stack, "ml_pipeline", run)["run_feature_pipeline"]["try_number"] == 1
    assert "conf of this run has 'day_export'" in task_log(stack, run, "run_feature_pipeline")


def test_without_the_private_index_a_fresh_task_fails_and_says_so(stack: Stack, course_runs: dict[str, str]) -> None:
    wait(stack, "course_industry", course_runs["course_industry"])
    supervisorctl = [stack.program("deploy", "supervisorctl"), "-c", str(stack.root / "supervisord.conf")]
    subprocess.run([*supervisorctl, "stop", "index"], check=True, capture_output=True)
    try:
        run = trigger(stack, "course_industry", PAST + timedelta(days=301))
        assert wait(stack, "course_industry", run) == "failed"
    finally:
        subprocess.run([*supervisorctl, "start", "index"], check=True, capture_output=True)
    folder = stack.root / "airflow/logs/dag_id=course_industry" / f"run_id={run}" / "task_id=run_feature_pipeline"
    log = (folder / "attempt=1.log").read_text()
    assert f"{stack.index_url}/simple/" in log
    assert "Connection refused" in log
