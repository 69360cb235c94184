"""Time whole runs under Airflow, on a fresh stack for the benchmark.

    make bench-airflow ARGS="warm"                  # seconds of a warm run, and of the same shape with empty tasks
    make bench-airflow ARGS="backfill --hours 24"   # past hours, twice, in both orders: one hash over all forecasts

``--url FILE`` takes the source from a file; ``--reference`` is the last logical date. Results are printed as JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from local_stack import airflow_settings
from local_stack.__main__ import start, stop
from local_stack.airflow_api import AirflowApi
from local_stack.layout import REPOSITORY, Layout
from local_stack.progress import say
from machine import machine

DIGEST = """
import hashlib, json, sys
import polars as pl
from forecast_core.contracts.settings import Settings
rows = pl.read_delta(Settings().store + "/forecasts")
keys = ["reference_datetime", "area", "consumer_type", "datetime_utc"]
values = rows.select(*keys, "energy_consumption", "q05", "q10", "q50", "q90", "q95", "quality").sort(keys)
print(json.dumps({
    "runs": rows["reference_datetime"].n_unique(), "rows": rows.height,
    "duplicates": int(rows.select("feature_view_version", *keys).is_duplicated().sum()),
    "sha256": hashlib.sha256(values.write_csv(float_scientific=False, float_precision=17).encode()).hexdigest(),
}))
"""


def seconds_of(api: AirflowApi, logical_date: datetime) -> dict[str, Any]:
    """Run one hour; return the seconds of the run and of each task."""
    run = api.start_run(logical_date)
    while (facts := api.run(run))["state"] not in {"success", "failed"}:
        time.sleep(0.3)
    if facts["state"] == "failed":
        raise SystemExit(f"run {run} failed")
    begun, ended = (datetime.fromisoformat(facts[name]) for name in ("start_date", "end_date"))
    tasks = {task["task_id"]: round(task["duration"], 1) for task in api.tasks(run) if task["duration"]}
    return {"seconds": round((ended - begun).total_seconds(), 1), "tasks": tasks}


def warm(layout: Layout, reference: datetime, _hours: int) -> dict[str, Any]:
    """Time two warm runs of ml_pipeline and of the same shape with empty tasks, taking turns."""
    results: dict[str, list[dict[str, Any]]] = {"ml_pipeline": [], "empty_pipeline": []}
    for turn in range(3):
        for dag, runs in results.items():
            api = AirflowApi(layout, dag)
            api.wait_until_healthy()
            runs.append(seconds_of(api, reference - timedelta(hours=turn)))
            say(f"{dag}: {runs[-1]}")
    # The first turn makes the environments.
    return {dag: {"first": runs[0], "warm": runs[1:]} for dag, runs in results.items()}


def backfill(layout: Layout, reference: datetime, hours: int) -> dict[str, Any]:
    """Backfill the hours up to ``reference`` forwards and backwards; return what the archive has after each."""
    api = AirflowApi(layout)
    api.wait_until_healthy()
    api.unpause()
    span = ["--from-date", (reference - timedelta(hours=hours - 1)).isoformat(), "--to-date", reference.isoformat()]
    results = {}
    for name, order in (("forwards", []), ("backwards", ["--run-backwards"])):
        begun = time.monotonic()
        command = [str(REPOSITORY / "deploy" / "airflow"), "backfill", "create", "--dag-id", "ml_pipeline", *span]
        subprocess.run([*command, "--reprocess-behavior", "completed", *order], check=True, capture_output=True)
        while api.backfills_running():
            time.sleep(1)
        results[name] = {"seconds": round(time.monotonic() - begun), **digest(layout)}
        say(f"{name}: {results[name]}")
    return results


def digest(layout: Layout) -> dict[str, Any]:
    """Return counts of the forecast archive and one hash of all its forecasts, to the last digit."""
    command = [str(layout.executable("pipelines", "python")), "-c", DIGEST]
    done = subprocess.run(command, env=airflow_settings.environment(layout), check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Run one benchmark on a fresh stack and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=["warm", "backfill"])
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--url", default="demo://denmark")
    parser.add_argument("--reference", type=datetime.fromisoformat, default=datetime(2024, 6, 1, tzinfo=UTC))
    options = parser.parse_args()
    os.environ["AIRFLOW_VAR_ML_PIPELINE_URL"] = options.url
    layout = Layout.from_environment()
    for folder in ("airflow/dags", "benchmarks/dags"):
        shutil.copytree(REPOSITORY / folder, layout.dags, dirs_exist_ok=True)
    try:
        start(layout)
        benchmark = {"warm": warm, "backfill": backfill}[options.benchmark]
        result = benchmark(layout, options.reference.replace(tzinfo=UTC), options.hours)
    finally:
        stop(layout)
    sys.stdout.write(json.dumps({"machine": machine(), "url": options.url, **result}, indent=2))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
