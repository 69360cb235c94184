"""The command `energy`, and a system in which it has run once on three series."""

import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from app_shell.commands import app
from app_shell.program import Shell
from feature_pipeline import demo
from feature_pipeline.testing import api_rows
from forecast_core.contracts.settings import Settings

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Energy:
    """The command run in this process, with its own settings and time."""

    variables: Mapping[str, str]

    def on(self, **variables: str) -> "Energy":
        """The command with other settings."""
        return Energy({**self.variables, **variables})

    def __call__(self, *arguments: str, code: int = 0, width: int = 80, now: datetime | None = None) -> Any:
        variables = {**self.variables, "COLUMNS": str(width)}
        moment = now or REFERENCE + timedelta(minutes=20)
        result = CliRunner(env=variables).invoke(app, arguments, obj=Shell(now=moment))
        if result.exit_code != code:
            raise AssertionError(f"{result.exit_code}: {result.output}") from result.exception
        return result


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A parquet file in the API's columns: three series of the demo, as published by the reference time."""
    rows = demo.observations(REFERENCE - timedelta(days=40), REFERENCE, known_at=REFERENCE)
    few = rows.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121", "215"]))
    path = tmp_path_factory.mktemp("source") / "ConsumptionDE35Hour.parquet"
    api_rows(few).write_parquet(path)
    return str(path)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, source: str) -> tuple[Energy, str]:
    """A shared system after one `energy run`, and its output; do not change it."""
    root = tmp_path_factory.mktemp("root")
    database = shutil.copy(tracking_template, root / "mlflow.db")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (Settings(root_dir=root).artifacts,))
    connection.close()
    energy = Energy({"ML_PIPELINE_ROOT_DIR": str(root), "ML_PIPELINE_THREADS": "1"})
    result = energy("run", "--url", source, "--delay", "1", "--export", "16")
    return energy, result.output


@pytest.fixture
def energy(first: tuple[Energy, str]) -> Energy:
    """The command on the system that has run once."""
    return first[0]


@pytest.fixture
def energy_copy(energy: Energy, tmp_path: Path) -> Energy:
    """The command on a copy of that system, for tests that change it."""
    root = shutil.copytree(energy.variables["ML_PIPELINE_ROOT_DIR"], tmp_path / "root")
    return energy.on(ML_PIPELINE_ROOT_DIR=str(root))


@pytest.fixture
def empty(tmp_path: Path) -> Energy:
    """The command on an empty root folder."""
    return Energy({"ML_PIPELINE_ROOT_DIR": str(tmp_path / "root")})
