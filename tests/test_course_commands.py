"""The module commands of the course, as its READMEs give them: each does its step and passes on to the next.

The class of the fault: a command that exits 0 and does nothing. Members: all seven modules, with underscores or hyphens
in the names of options, with a value after a space or an equals sign, and with an option that there is not.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMANDS = (
    ("feature_pipeline.pipeline", ("--export_end_reference_datetime=2024-03-31T05:00", "--days_export", "12")),
    ("feature_pipeline.feature_view", ("--feature_group_version", "1")),
    ("training_pipeline.hyperparameter_tuning", ("--fh=24",)),
    ("training_pipeline.best_config", ()),
    ("training_pipeline.train", ("--fh", "24")),
    ("batch_prediction_pipeline.batch", ()),
    ("batch_prediction_pipeline.monitoring", ()),
)


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    foreign = ("ML_PIPELINE_", "AIRFLOW_CTX_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"ML_PIPELINE_ROOT_DIR": str(root), "ML_PIPELINE_TUNING_TRIALS": "1"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_seven_commands_in_their_order_make_one_run_of_a_past_hour(tmp_path: Path, tracking_template: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(tracking_template.read_bytes())
    # A run of a later hour came before: nothing of it is taken.
    assert python(tmp_path, "feature_pipeline.pipeline", "--reference", "2024-04-02T05:00").returncode == 0
    results: dict[str, Any] = {}
    for module, options in COMMANDS:
        done = python(tmp_path, module, *options)
        assert done.returncode == 0, f"{module}: {done.stderr}"
        results[module] = json.loads(done.stdout)
    past = "2024-03-31 05:00"
    assert {each["reference_datetime"] for each in results.values() if "reference_datetime" in each} == {past}
    assert (
        results["training_pipeline.best_config"]["sweep_id"]
        == (results["training_pipeline.hyperparameter_tuning"]["sweep_id"])
    )
    forecast = results["batch_prediction_pipeline.batch"]
    assert forecast["model_version"] == results["training_pipeline.train"]["model_version"]
    assert forecast["rows"] == 76 * 24


@pytest.mark.parametrize("module", [module for module, _ in COMMANDS])
def test_a_command_says_its_options_and_refuses_others(tmp_path: Path, module: str) -> None:
    shown = python(tmp_path, module, "--help")
    assert shown.returncode == 0
    assert "usage:" in shown.stdout
    refused = python(tmp_path, module, "--no_such_option", "1")
    assert refused.returncode == 2
    assert "--no-such-option" in refused.stderr
    assert not (tmp_path / "store").exists()
