"""The pipelines without Airflow: each from the shell, in a root folder of its own, with the stack's wheels."""

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast_core.contracts.settings import Settings
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
    view = call("feature_pipeline", "create-feature-view")
    training = {name: view[name] for name in ("feature_view_version", "training_dataset_version")}
    model = call("training_pipeline", "train", *_options(training))
    prediction = {
        "feature_view_version": view["feature_view_version"],
        "model_version": model["model_version"],
        "start_datetime": features["export_datetime_utc_start"],
        "end_datetime": features["export_datetime_utc_end"],
        "reference_datetime": hour,
    }
    call("batch_prediction_pipeline", "predict", *_options(prediction))
    return Settings(root_dir=root)


def _options(arguments: dict[str, Any]) -> list[str]:
    return [part for name, value in arguments.items() for part in (f"--{name.replace('_', '-')}", str(value))]
