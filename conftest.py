"""Fixtures that tests of several distributions use."""

import fcntl
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_pipeline import demo
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore


@pytest.fixture(scope="session")
def tracking_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database as deployment creates it; created once for all workers, because it takes eight seconds."""
    base = tmp_path_factory.getbasetemp()
    # With pytest-xdist, a worker's folder is inside that of the whole run.
    shared = base.parent if base.name.startswith("popen-") else base
    with (shared / "tracking.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        settings = Settings(root_dir=shared / "tracking-template")
        tracking.create(settings)
    return settings.root / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, tracking_template: Path) -> Settings:
    """Settings of an empty system for one test, with a tracking database."""
    root = tmp_path / "root"
    root.mkdir()
    database = shutil.copy(tracking_template, root / "mlflow.db")
    made = Settings(root_dir=root, tracking_uri=f"sqlite:///{database}?timeout=1800", threads=1)
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (made.artifacts,))
    connection.close()
    return made


@dataclass(frozen=True)
class System:
    """A system with a few series of the demo in its feature store."""

    settings: Settings

    def ingest(self, reference: datetime, *, days: int = 16) -> dict[str, Any]:
        """Do what the feature pipeline does at ``reference``; return what the tasks after it are given."""
        window = Window.before(reference, days_delay=1, days_export=days)
        self.ingest_window(window.start, window.end, known_at=reference)
        store = FeatureStore(self.settings)
        view = store.create_feature_view(dataset="demo", feature_group_version=1)
        dataset = store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=reference)
        return {
            "feature_view_version": view,
            "training_dataset_version": dataset.version,
            "start_datetime": f"{window.start:{DATETIME_FORMAT}}",
            "end_datetime": f"{window.end:{DATETIME_FORMAT}}",
        }

    def ingest_window(self, start: datetime, end: datetime, *, known_at: datetime) -> None:
        """Store what the demo says of a window at ``known_at``."""
        frame = demo.observations(start, end, known_at=known_at)
        FeatureStore(self.settings).ingest(
            frame.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121", "215"])),
            dataset="demo",
            feature_group_version=1,
            window=Window(start, end),
            reference_datetime=known_at,
            url="demo://denmark",
            record={},
        )


@pytest.fixture
def system(settings: Settings) -> System:
    """A system in which nothing has been ingested yet."""
    return System(settings)
