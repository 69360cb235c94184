"""A system with a few series, runs, a model, alarms and a validation result, made once; and clients of its API."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import httpx
import polars as pl
import pytest
import uvicorn
from fastapi import FastAPI

from app_api.application import create_app
from feature_pipeline import demo
from forecast_core import provenance, tracking
from forecast_core.alarms import CHECKS, Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import EXPLANATIONS, KEY, METRICS, PREDICTIONS, QUANTILES, SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import FINDINGS, Quarantine
from forecast_core.validations import FindingCount, ValidationRun, Validations

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)
NOW = datetime(2024, 3, 31, 6, 30, tzinfo=UTC)
KINDS = ("111", "121", "215")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Filled:
    """A system with the rows that were stored in it."""

    settings: Settings

    def ingest(self, reference: datetime, *, dataset: str = "demo-denmark") -> int:
        """Do what the feature pipeline does: 8 days up to a day before the reference; return the feature view."""
        window = Window.before(reference, days_delay=1, days_export=8)
        observed = demo.observations(window.start, window.end, known_at=reference)
        store = FeatureStore(self.settings)
        store.ingest(
            observed.filter(pl.col("consumer_type").is_in(KINDS)),
            dataset=dataset,
            feature_group_version=1,
            window=window,
            reference_datetime=reference,
            url="demo://denmark",
            record={
                "missing_hours": 3,
                "warnings": ["a warning"],
                "validation_page": self.page(reference),
                "validation_result": self.page(reference).replace(".html", ".json"),
            },
            made_by={"dag_run_id": f"scheduled__{reference.isoformat()}"},
        )
        view = store.create_feature_view(dataset=dataset, feature_group_version=1)
        store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=reference)
        return view

    def page(self, reference: datetime) -> str:
        """Path of a run's validation page."""
        return str(self.settings.root / "store" / "validation" / "demo-denmark" / f"{reference:%Y-%m-%dT%H}.html")

    def predict(self, reference: datetime, *, shift: float = 0.0, model: int = 1, view: int = 1) -> pl.DataFrame:
        """Archive, for the day after what was ingested, the values of the day before it; return the rows."""
        window = Window.before(reference, days_delay=1, days_export=8)
        return self.archive(reference, predictions(self.history(reference, view), window.end, shift=shift), model, view)

    def history(self, reference: datetime, view: int = 1) -> pl.DataFrame:
        """Return what was ingested."""
        store = FeatureStore(self.settings)
        window = Window.before(reference, days_delay=1, days_export=8)
        dataset = store.feature_view(view).dataset
        return store.read(dataset=dataset, feature_group_version=1, window=window, reference_datetime=reference)

    def archive(
        self, reference: datetime, predicted: pl.DataFrame, model: int = 1, view_version: int = 1
    ) -> pl.DataFrame:
        """Archive a run with some predictions; return its rows."""
        store, archive = FeatureStore(self.settings), ForecastArchive(self.settings)
        view, window = store.feature_view(view_version), Window.before(reference, days_delay=1, days_export=8)
        rows = provenance.forecast_rows(
            predicted,
            run={
                "reference_datetime": reference,
                "feature_view_version": view.version,
                "training_dataset_version": store.newest_training_dataset().version,
                "model_version": model,
            },
        )
        made_by = {"dag_run_id": f"scheduled__{reference.isoformat()}", "code": None}
        history = self.history(reference, view_version)
        archive.write_run(provenance.run_facts(rows, history, view=view, window=window, fh=24, made_by=made_by))
        archive.write(rows)
        return rows


def predictions(history: pl.DataFrame, first: datetime, *, shift: float) -> pl.DataFrame:
    """The seasonal naive forecast (24 hours) with quantiles around it."""
    last = history.filter(pl.col("datetime_utc") >= first - DAY).with_columns(pl.col("datetime_utc") + DAY)
    spread = {name: pl.col("energy_consumption") * (0.5 + share) for name, share in QUANTILES.items()}
    shifted = last.with_columns(pl.col("energy_consumption") + shift)
    return shifted.with_columns(**spread, quality=pl.lit("model")).select(PREDICTIONS.names())


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Filled:
    """A system with four daily runs, shared by tests; do not change it."""
    return fill(tmp_path_factory.mktemp("filled"), tracking_template)


@pytest.fixture
def own(filled: Filled, tmp_path: Path) -> Filled:
    """A copy of the system that a test may change."""
    shutil.copytree(filled.settings.root, tmp_path / "root")
    root = tmp_path / "root"
    return Filled(settings_of(root))


def settings_of(root: Path) -> Settings:
    return Settings(root_dir=root, tracking_uri=f"sqlite:///{root}/mlflow.db?timeout=1800")


def fill(root: Path, tracking_template: Path) -> Filled:
    shutil.copy(tracking_template, root / "mlflow.db?timeout=1800")
    settings = settings_of(root)
    connection = sqlite3.connect(root / "mlflow.db?timeout=1800")
    with connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (settings.artifacts,))
    connection.close()
    system = Filled(settings)
    for back in (3, 2, 1, 0):
        system.ingest(REFERENCE - back * DAY)
        system.predict(REFERENCE - back * DAY)
    archive = ForecastArchive(settings)
    archive.write_metrics(metrics())
    run: dict[str, Any] = {"feature_view_version": 1, "reference_datetime": REFERENCE}
    archive.write_explanations(explanations(archive.read(reference_from=REFERENCE)), **run)
    Alarms(settings).write(checks())
    quarantine(settings)
    register(settings)
    tracking.promote(settings, model_version=1, reference_datetime=REFERENCE, reason="steadier at night")
    validation(settings)
    return system


def metrics() -> pl.DataFrame:
    rows = [
        (REFERENCE, 1, "overall", None, None, None, None, 7, "wape", 0.05, 96),
        (REFERENCE, 1, "overall", None, None, None, None, 7, "naive_wape", None, 96),
        (REFERENCE, 1, "series", "DK1", "111", None, None, 7, "wape", 0.2, 24),
        (REFERENCE, 1, "hour", None, None, REFERENCE - DAY, None, 7, "wape", 0.3, 4),
        (REFERENCE, 1, "lead", None, None, None, 3, 1, "wape", 0.4, 4),
    ]
    return pl.DataFrame(rows, schema=METRICS, orient="row")


def explanations(rows: pl.DataFrame) -> pl.DataFrame:
    parts = [("member", "naive", 0.75), ("member", "ridge", 0.25), ("feature", "calendar", 0.1)]
    facts = rows.select("reference_datetime", "feature_view_version", *KEY, "energy_consumption")
    frames = [
        facts.with_columns(kind=pl.lit(kind), name=pl.lit(name), value=pl.col("energy_consumption") * share)
        for kind, name, share in parts
    ]
    return pl.concat(frames).select(EXPLANATIONS.names())


def checks() -> pl.DataFrame:
    row = (REFERENCE, 1, "monitoring", "coverage", "overall", "notify", 0.63, 0.7, "too few values inside")
    return pl.DataFrame([row], schema=CHECKS, orient="row")


def quarantine(settings: Settings) -> None:
    names = dict(zip(SERIES, ("DK1", "111"), strict=True))
    row = {**names, "datetime_utc": REFERENCE - 2 * DAY, "energy_consumption": 1.0, "factor": None}
    found = pl.DataFrame(
        [{**row, "expectation": "spike", "severity": "warning", "reason": "a jump"}], schema=FINDINGS, orient="row"
    )
    group: dict[str, Any] = {"dataset": "demo-denmark", "feature_group_version": 1}
    Quarantine(settings).write(found, **group, reference_datetime=REFERENCE, window_start=REFERENCE - 9 * DAY)


def register(settings: Settings) -> None:
    tags = {
        "feature_view_version": "1",
        "training_dataset_version": "1",
        "reference_datetime": "2024-03-28 05:00",
        "fh": "24",
        "config_source": "default",
        "config": json.dumps({"seed": 1}),
        "files": json.dumps({"model.json": "0" * 64}),
        "made_by": json.dumps({"dag_run_id": None, "code": None}),
        "metrics": json.dumps({"wape": 0.05, "naive_wape": 0.1}),
    }
    run_id = tracking.start_run(settings, name="train", tags=tags)
    tracking.finish_run(settings, run_id, reference_datetime=REFERENCE)
    tracking.register_model(settings, run_id=run_id, source=f"{settings.artifacts}/{run_id}", tags=tags)


def validation(settings: Settings) -> None:
    """Keep the validation result of the newest run, as the feature pipeline does."""
    name = f"{REFERENCE:%Y-%m-%dT%H}"
    run = ValidationRun(
        dataset="demo-denmark",
        name=name,
        feature_group_version=1,
        reference_datetime=REFERENCE,
        window=Window.before(REFERENCE, days_delay=1, days_export=8),
        outcome="stored with warnings",
        findings=(FindingCount("spike", "warning", 1),),
        rules=22,
        failed_rules=1,
    )
    meta = {"name": "spike", "description": "no value jumps"}
    result = {
        "results": [{"expectation_config": {"meta": meta}, "success": False, "result": {"unexpected_count": 1}}],
    }
    validations = Validations(settings)
    validations.write_file(run.dataset, f"{name}.html", b"<title>Validation of demo-denmark</title>")
    validations.write_file(run.dataset, f"{name}.json", json.dumps(result).encode())
    validations.write_file(run.dataset, "index.html", b"<title>Runs of demo-denmark</title>")
    validations.write(run)


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application on a free port of loopback; give a client of it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, server_header=False))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=1800, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def connect() -> Any:
    """A function that serves an application, and gives a client of it."""
    return serving


@pytest.fixture
def serve() -> Any:
    """A function that serves the system of given settings; the API has read the tables once."""

    @contextmanager
    def serve(settings: Settings, *, now: datetime = NOW, **changes: Any) -> Iterator[httpx.Client]:
        app = create_app(settings.model_copy(update=changes), clock=lambda: now)
        app.state.served.refresh()
        with serving(app) as client:
            yield client

    return serve


@pytest.fixture(scope="session")
def app(filled: Filled) -> FastAPI:
    """The application on the shared system."""
    made = create_app(filled.settings, clock=lambda: NOW)
    made.state.served.refresh()
    return made


@pytest.fixture(scope="session")
def api(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of it."""
    with serving(app) as client:
        yield client
