"""Promises about the code as a whole."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import REPOSITORY

DISTRIBUTIONS = ("forecast-core", "feature-pipeline", "training-pipeline", "batch-prediction-pipeline")
SOURCES = sorted(path for name in DISTRIBUTIONS for path in (REPOSITORY / name / "src").rglob("*.py"))
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_below_the_shell_reads_the_clock_or_unpickles(path: Path) -> None:
    if path.name == "__main__.py":
        return
    for call in calls(path):
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            owner, name = call.func.value.id, call.func.attr
            assert not (owner in {"datetime", "date", "time"} and name in CLOCKS), f"{path}:{call.lineno}"
            assert owner not in {"pickle", "joblib", "cloudpickle", "dill"}, f"{path}:{call.lineno}"
        for keyword in call.keywords:
            allowed = keyword.arg != "allow_pickle" or getattr(keyword.value, "value", None) is False
            assert allowed, f"{path}:{call.lineno}"


def test_importing_a_pipeline_loads_no_heavy_library_and_opens_no_file() -> None:
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
    for name in DISTRIBUTIONS[1:]:
        assert re.search(rf'"forecast-core(\[[a-z,]+\])?=={versions.copy().pop()}"', texts[name])
