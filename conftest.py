"""Fixtures of more than one distribution's tests."""

import fcntl
import shutil
import sqlite3
from pathlib import Path

import pytest

from forecast_core import tracking
from forecast_core.settings import Settings


@pytest.fixture(scope="session")
def tracking_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database as deployment makes it; made once for all workers, for it takes eight seconds."""
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
    """Settings of an empty system of the test's own, with its tracking database."""
    root = tmp_path / "root"
    root.mkdir()
    database = shutil.copy(tracking_template, root / "mlflow.db")
    # In a real PostgreSQL or SQLite a lock may last 30 s; a test waits one.
    made = Settings(root_dir=root, tracking_uri=f"sqlite:///{database}?timeout=1", threads=1)
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (made.artifacts,))
    connection.close()
    return made
