"""Rules for the code as a whole."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import DISTRIBUTIONS, REPOSITORY

SOURCES = sorted(path for name in DISTRIBUTIONS for path in (REPOSITORY / name / "src").rglob("*.py"))
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}
# A file taken out of a table is stamped with the machine's time, from which a vacuum counts; no data depend on it.
STAMPS_REMOVALS = "forecast-core/src/forecast_core/tables/files.py"
UNSAFE = {"pickle", "joblib", "cloudpickle", "dill"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_below_the_shell_reads_the_clock_or_unpickles(path: Path) -> None:
    if path.name == "__main__.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            stamp = node.attr == "time_ns" and str(path.relative_to(REPOSITORY)) == STAMPS_REMOVALS
            assert not (owner in {"datetime", "date", "time"} and node.attr in CLOCKS) or stamp, where
            assert owner not in UNSAFE, where
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            assert not (node.module == "time" and names & CLOCKS), where
            assert node.module not in UNSAFE, where
        if isinstance(node, ast.Call):
            flags = [keyword.value for keyword in node.keywords if keyword.arg == "allow_pickle"]
            assert all(isinstance(flag, ast.Constant) and flag.value is False for flag in flags), where


def test_importing_a_pipeline_loads_no_heavy_library() -> None:
    heavy = {"lightgbm", "mlflow", "great_expectations", "pandas", "optuna", "sklearn", "matplotlib"}
    modules = "feature_pipeline.pipeline, feature_pipeline.feature_view, training_pipeline.train, "
    modules += (
        "training_pipeline.hyperparameter_tuning, batch_prediction_pipeline.batch, batch_prediction_pipeline.monitoring"
    )
    code = f"import sys, {modules}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy & set(loaded) == set()


def test_all_packages_share_one_version_and_pin_core_to_it() -> None:
    texts = {name: (REPOSITORY / name / "pyproject.toml").read_text() for name in DISTRIBUTIONS}
    versions = {re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1] for text in texts.values()}  # type: ignore[index]
    assert len(versions) == 1
    # The dashboard knows the API alone.
    for name in set(DISTRIBUTIONS) - {"load-forecaster", "forecast-core", "app-dashboard"}:
        assert re.search(rf'"forecast-core(\[[a-z,]+\])?=={versions.copy().pop()}"', texts[name])
