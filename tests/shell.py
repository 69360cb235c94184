"""The pipelines without Airflow: each from the shell, in a root folder of its own, with the stack's wheels."""

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast_core.settings import Settings
from tests.stack import Stack


def run_in_shell(stack: Stack, root: Path, *, reference: datetime, url: str = "demo://denmark") -> Settings:
    """Run features, view, training and forecasts for one reference time; return the settings of that root."""
    hour = reference.strftime("%Y-%m-%d %H:%M")

    def call(module: str, command: str, *arguments: str) -> dict[str, Any]:
        program = [stack.program("pipelines", "python"), "-m", module, command, *arguments]
        environment = stack.environment | {"ML_PIPELINE_ROOT_DIR": str(root)}
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    features = call("feature_pipeline", "run", "--reference", hour, "--url", url)
    view = call("feature_pipeline", "create-view", "--reference", hour)
    versions = ["--feature-view-version", str(view["feature_view_version"])]
    dataset = ["--training-dataset-version", str(view["training_dataset_version"])]
    model = call("training_pipeline", "train", *versions, *dataset)
    window = ["--start", features["export_datetime_utc_start"], "--end", features["export_datetime_utc_end"]]
    call(
        "batch_prediction_pipeline",
        "predict",
        *versions,
        "--model-version",
        str(model["model_version"]),
        *window,
        "--reference",
        hour,
    )
    return Settings(root_dir=root)
