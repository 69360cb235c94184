import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import load_forecaster
from forecast_core import tracking
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore


@pytest.fixture
def register(system: Any, tmp_path: Path) -> Any:
    """A function that fits a model on a training dataset, as the training pipeline does, and registers it."""

    def register(
        training_dataset_version: int, *, at: datetime, gap: int = 0, backtest: dict[str, Any] | None = None
    ) -> int:
        store = FeatureStore(system.settings)
        dataset = store.training_dataset(training_dataset_version)
        config = replace(load_forecaster.DEFAULT, trees_weight=0.0)
        history = store.read_training_dataset(training_dataset_version)
        folder = tmp_path / "model"
        fitted = load_forecaster.fit(history, end=dataset.window.end, gap=gap, config=config)
        load_forecaster.save(fitted, folder)
        tags = {
            "feature_view_version": str(dataset.feature_view_version),
            "training_dataset_version": str(training_dataset_version),
            "reference_datetime": f"{at:{DATETIME_FORMAT}}",
            "gap": str(gap),
            "metrics": json.dumps(backtest or {"wape_ratio": 0.5, "wape": 0.04}),
        }
        run_id = tracking.start_run(system.settings, name="train", tags=tags)
        source = tracking.log_files(system.settings, run_id, folder, folder="model")
        tracking.finish_run(system.settings, run_id, reference_datetime=at)
        return tracking.register_model(system.settings, run_id=run_id, source=source, tags=tags)

    return register
