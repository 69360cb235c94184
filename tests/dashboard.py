"""Helpers of the dashboard's tests: a store that the pipelines filled, API and dashboard on it, and Chromium."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import httpx
import polars as pl
import uvicorn
from playwright.sync_api import Page

from app_api.application import create_app
from feature_pipeline.de35 import CONSUMER_TYPES_DE35
from forecast_core import consumer_types
from forecast_core.contracts.settings import Settings
from tests.stack import PATIENCE_S, free_port

REFERENCES = tuple(datetime(2024, 3, day, 5, tzinfo=UTC) for day in (30, 31))
NOW = datetime(2024, 3, 31, 6, 30, tzinfo=UTC)
PATIENCE_MS = 600_000
"""Longest wait of the browser: only what hangs meets it, and a wrong page does not take half an hour to fail."""
WIDTHS = {"wide": (1400, 900), "narrow": (400, 860)}


def fill(settings: Settings) -> None:
    """Run the pipelines on the demo source at each of REFERENCES, as the DAG does."""
    from batch_prediction_pipeline import batch, monitoring
    from feature_pipeline import feature_view, pipeline
    from training_pipeline import train

    names = {code: f"Kind {code}" for code in CONSUMER_TYPES_DE35}
    known = pl.DataFrame({"consumer_type": list(names), "name_en": list(names.values())})
    blank = [pl.lit(None, pl.String).alias(name) for name in consumer_types.CONSUMER_TYPES if name not in known.columns]
    consumer_types.write(settings, known.with_columns(blank), code_list="DE35")
    for reference in REFERENCES:
        pipeline.run(f"{reference:%Y-%m-%d %H:%M}", days_delay=1, url="demo://denmark", settings=settings)
        view = feature_view.create(settings=settings)["feature_view_version"]
        monitoring.compute(view, settings=settings)
        model = train.from_best_config(feature_view_version=view, settings=settings)["model_version"]
        batch.predict(feature_view_version=view, model_version=model, settings=settings)


def filled_once(folder: Path, tracking_template: Path) -> Settings:
    """Return a filled system in ``folder``; several workers share it, and the first fills it."""
    settings = Settings(root_dir=folder / "dashboard-root", threads=1)
    with (folder / "dashboard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "dashboard-filled").exists():
            settings.root.mkdir()
            shutil.copy(tracking_template, settings.root / "mlflow.db")
            fill(settings)
            (folder / "dashboard-filled").touch()
    return settings


def dag_runs() -> list[dict[str, Any]]:
    """Airflow's records of the runs at REFERENCES: the first failed at its second task, the second succeeded."""
    found = []
    for reference, state in zip(REFERENCES, ("failed", "success"), strict=True):
        begun = [f"{reference + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}" for seconds in (2, 12, 95)]
        ran = {"start_date": begun[0], "end_date": begun[1], "duration": 10.0, "state": "success", "try_number": 1}
        last = {"start_date": begun[1], "end_date": begun[2], "duration": 83.0, "state": state, "try_number": 2}
        tasks = [{"task_id": "run_feature_pipeline", **ran}, {"task_id": "batch_predict", **last}]
        times = {"start_date": begun[0], "end_date": begun[2], "duration": 93.0, "state": state}
        hour = reference.isoformat()
        found.append(
            {"dag_run_id": f"scheduled__{hour}", "logical_date": hour, "run_after": hour, **times, "tasks": tasks}
        )
    return found


@dataclass
class Api:
    """A running API, and the requests that it got."""

    url: str
    asked: list[str] = field(default_factory=list)

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Return an answer."""
        answer = httpx.get(f"{self.url}/api/v1{path}", params=parameters, trust_env=False, timeout=PATIENCE_S)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@contextmanager
def serving_api(settings: Settings, port: int | None = None) -> Iterator[Api]:
    """Serve the API in a thread, and record its requests."""
    port = port or free_port()
    api = Api(f"http://127.0.0.1:{port}")
    app: Any = create_app(settings, clock=lambda: NOW)

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            api.asked.append(f"{scope['path']}?{scope['query_string'].decode()}")
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(noting, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield api
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving_dashboard(api_url: str, folder: Path) -> Iterator[str]:
    """Serve the dashboard by its own command; give its address."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ML_PIPELINE_")}
    command = [sys.executable, "-m", "app_dashboard", "--port", str(port)]
    with (folder / f"dashboard-{port}.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment | {"ML_PIPELINE_API_URL": api_url}, stdout=log, stderr=log, cwd=folder
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/_stcore/health"))
            yield address
        finally:
            process.terminate()
            process.wait()


def answers(address: str) -> bool:
    """Whether the address gives a successful answer."""
    try:
        return httpx.get(address, trust_env=False, timeout=PATIENCE_S).is_success
    except httpx.HTTPError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    """Return when the condition is true."""
    while not true():
        sleep(0.05)


def settled(page: Page) -> Page:
    """Return a page when Streamlit has drawn all of it."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=PATIENCE_MS)
    page.wait_for_selector("h1", timeout=PATIENCE_MS)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')", timeout=PATIENCE_MS
    )
    return page


def figures(page: Page) -> dict[str, str]:
    """Return the large figures of a page by their label."""
    found: dict[str, str] = {}
    for metric in page.get_by_test_id("stMetric").all():
        label = metric.get_by_test_id("stMetricLabel").inner_text().strip()
        found[label] = metric.get_by_test_id("stMetricValue").inner_text().strip()
    return found
