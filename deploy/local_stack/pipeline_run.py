"""One run of the DAG as a person wants to see it: its tasks as they end, its failure, its results."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local_stack.airflow_api import AirflowApi
from local_stack.layout import Layout, SetupError
from local_stack.progress import HEARTBEAT_SECONDS, say

ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
SUMMED_UP = (
    "run_feature_pipeline",
    "create_feature_view",
    "train_from_best_config",
    "compute_monitoring",
    "batch_predict",
)


class RunFailed(Exception):
    """The run failed; the text names the task, the reason and the log."""


def watch(layout: Layout, api: AirflowApi, run: str) -> None:
    """Print a line as each task ends and return when the run has succeeded.

    Raises:
        RunFailed: If the run fails.
    """
    told: set[str] = set()
    last_line = time.monotonic()
    while True:
        state = api.run(run)["state"]
        tasks = api.tasks(run)
        ended = [task for task in tasks if task["state"] in ENDED and task["task_id"] not in told]
        for task in sorted(ended, key=lambda task: str(task["end_date"])):
            told.add(task["task_id"])
            last_line = time.monotonic()
            if task["state"] != "skipped":
                note = "" if task["state"] == "success" else f": {task['state']}"
                say(f"  {task['duration'] or 0:6.1f} s  {task['task_id']}{note}")
        if state == "success":
            return
        if state == "failed":
            raise RunFailed(_failure(layout, run, tasks))
        if time.monotonic() - last_line > HEARTBEAT_SECONDS:
            last_line = time.monotonic()
            busy = [f"{task['task_id']} is {task['state']}" for task in tasks if task["state"] not in {*ENDED, None}]
            say(f"  … {', '.join(busy) or 'waiting for the scheduler'}")
        time.sleep(0.3)


def summarise(layout: Layout, api: AirflowApi, run: str) -> None:
    """Print what was ingested, the model and its skill, the first forecasts, and where everything is."""
    features, view, model, monitoring, forecasts = (api.result(run, task) for task in SUMMED_UP)
    say()
    say(f"Ingested    {features['rows']:,} hourly values of {features['series']} series from {features['url']}")
    say(f"            {features['export_datetime_utc_start']} to {features['export_datetime_utc_end']} UTC")
    changes = f"{features['new']:,} new, {features['revised']:,} revised"
    say(f"            against what was known before this hour: {changes}; {features['missing_hours']:,} missing")
    for warning in features.get("warnings", []):
        say(f"            note: {warning}")
    say(f"Model       version {model['model_version']}, configuration: {model['config_source']}")
    trained_on = f"training dataset {view['training_dataset_version']} of feature view {view['feature_view_version']}"
    say(f"            {trained_on}")
    _print_skill(model["metrics"])
    if scored := monitoring.get("scored"):
        say(f"Monitored   {scored:,} forecast hours against what was observed since")
    say(f"Forecasts   {forecasts['rows']:,} rows: {forecasts['series']} series")
    say(f"            {forecasts['first_hour']} to {forecasts['last_hour']} UTC")
    say()
    _print_sample(forecasts["sample"])
    _print_addresses(layout, run, api.run(run))


def _print_skill(metrics: dict[str, Any]) -> None:
    if metrics["wape"] is None:
        say("            the history is too short to compare it with the seasonal naive forecast")
        return
    ratio = f"ratio {metrics['wape_ratio']:.2f}"
    say(f"            WAPE {metrics['wape']:.4f}, seasonal naive {metrics['naive_wape']:.4f} ({ratio})")
    say(f"            MAE / naive MAE, mean over series: {metrics['rmae24']:.2f}; {metrics['origins']} daily origins")


def _print_sample(sample: list[dict[str, Any]]) -> None:
    table = Table("hour (UTC)", "area", "consumer type", "forecast, kWh", "80 % interval, kWh", title="First forecasts")
    for row in sample:
        interval = f"{row['q10']:,.0f} to {row['q90']:,.0f}"
        table.add_row(
            row["datetime_utc"], row["area"], row["consumer_type"], f"{row['energy_consumption']:,.0f}", interval
        )
    Console(width=100).print(table)


def _print_addresses(layout: Layout, run: str, facts: dict[str, Any]) -> None:
    seconds = (datetime.fromisoformat(facts["end_date"]) - datetime.fromisoformat(facts["start_date"])).total_seconds()
    say(f"Run         {run} took {seconds:.1f} s")
    say(f"Dashboard   {layout.dashboard_url}")
    say(f"Airflow     {layout.airflow_url}  user admin, password in {layout.secrets / 'airflow-passwords.json'}")
    say(f"API         {layout.api_url}  e.g. {layout.api_url}/forecasts/DK1/111")
    say(f"Index       {layout.index_url}/simple/  user ml-pipeline, password in {layout.secrets / 'index-password'}")
    say(f"Data        {layout.root / 'store'}  (Delta tables)")
    say()


def _failure(layout: Layout, run: str, tasks: list[dict[str, Any]]) -> str:
    failed = next((task for task in tasks if task["state"] == "failed"), None)
    if failed is None:
        return f"run {run} failed, but none of its tasks did; the scheduler's log is {layout.logs}/scheduler.log"
    folder = layout.airflow_home / "logs" / "dag_id=ml_pipeline" / f"run_id={run}" / f"task_id={failed['task_id']}"
    attempts = sorted(folder.glob("attempt=*.log"), key=lambda path: path.stat().st_mtime)
    log = attempts[-1] if attempts else folder
    return f"task {failed['task_id']} failed: {_reason(log)}\n  log: {log}"


def _reason(log: Path) -> str:
    """Return what the task's exception said, as Airflow's JSON log has it."""
    if not log.is_file():
        return "it left no log; the scheduler's may tell"
    for line in reversed(log.read_text(encoding="utf-8").splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if details := entry.get("error_detail"):
            return str(details[0]["exc_value"])
    return "its log says no more"


def current_hour(now: datetime) -> datetime:
    """Return the full hour at or before ``now``.

    Raises:
        SetupError: If ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise SetupError("the current hour needs a time zone")
    return now.replace(minute=0, second=0, microsecond=0)
