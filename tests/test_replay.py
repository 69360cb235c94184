"""A backtest gives the same rows as live runs, to the last bit."""

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from batch_prediction_pipeline import batch
from feature_pipeline import demo, feature_view
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import OBSERVATIONS, PREDICTIONS
from forecast_core.contracts.window import Window
from load_forecaster import DEFAULT
from training_pipeline import train

FIRST = datetime(2024, 3, 30, 21, tzinfo=UTC)
REFERENCES = (FIRST, FIRST + timedelta(hours=25))
"""The clocks go forward between them."""


def _benchmark(monkeypatch: Any) -> Any:
    folder = Path(__file__).parent.parent / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("skill", folder / "skill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "skill", module)
    spec.loader.exec_module(module)
    return module


def _live(system: Any, reference: datetime) -> batch.Predicted:
    """Do what the DAG does at ``reference``, from the feature store on."""
    window = Window.before(reference, days_delay=1, days_export=16)
    system.ingest_window(window.start, window.end, known_at=reference)
    view = feature_view.create(1, window.start, window.end, reference_datetime=reference, settings=system.settings)
    versions = (view["feature_view_version"], view["training_dataset_version"])
    model = train.from_best_config(24, *versions, reference_datetime=reference, settings=system.settings)
    return batch.predict(
        24, versions[0], model["model_version"], window.start, window.end,
        reference_datetime=reference, settings=system.settings,
    )  # fmt: skip


def test_a_backtest_replayed_as_live_runs_gives_identical_rows(system: Any, monkeypatch: Any) -> None:
    skill = _benchmark(monkeypatch)
    # Out of order: what a later run left must not be seen by an earlier one.
    for reference in reversed(REFERENCES):
        _live(system, reference)
    archived = ForecastArchive(system.settings).read(feature_view_version=1)
    assert archived["reference_datetime"].unique().sort().to_list() == list(REFERENCES)
    for reference in REFERENCES:
        window = Window.before(reference, days_delay=1, days_export=16)
        known = demo.observations(window.start, window.end, known_at=reference)
        some = known.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121", "215"]))
        made = skill.run_origin(some.select(OBSERVATIONS.names()), window.end, DEFAULT, skill.Stopwatch())["forecaster"]
        live = archived.filter(reference_datetime=reference).select(PREDICTIONS.names())
        assert live.height == 72
        assert_frame_equal(live, made.select(PREDICTIONS.names()), check_exact=True)
