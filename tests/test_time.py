"""Days of 23 and 25 hours, leap day, end of year, and machines in other time zones: no hour is lost or shifted."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_pipeline import feature_view, pipeline
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from tests.local_time import DELAY, SERIES, as_published, pattern, run
from tests.stack import REPOSITORY

# The window ends a day before; the local day of the change is then the last of the window, its first, or inside.
CASES = {
    "the day of 23 hours is the last": datetime(2024, 4, 1, 22, tzinfo=UTC),
    "the clocks go forward in the hours that are forecast": datetime(2024, 3, 31, 20, tzinfo=UTC),
    "the day of 25 hours is the last": datetime(2024, 10, 28, 23, tzinfo=UTC),
    "the hour that comes twice is forecast": datetime(2024, 10, 27, 20, tzinfo=UTC),
    "between the two hours of one name": datetime(2024, 10, 28, 1, tzinfo=UTC),
    "leap day": datetime(2024, 3, 2, 5, tzinfo=UTC),
    "year's end": datetime(2025, 1, 2, 0, tzinfo=UTC),
}


def key_hours(window: Window) -> list[tuple[str, str, datetime]]:
    return [(*series, window.start + lead * HOUR) for series in SERIES for lead in range(window.hours)]


@pytest.mark.parametrize("reference", CASES.values(), ids=list(CASES))
def test_every_hour_comes_through_once_with_its_value_and_the_forecast_keeps_local_time(
    settings: Settings, reference: datetime
) -> None:
    result = run(settings, reference)
    window = Window.before(reference, days_delay=DELAY, days_export=15)
    store = FeatureStore(settings)
    group: dict[str, Any] = {"dataset": "ConsumptionDE35Hour", "feature_group_version": 1}
    stored = store.read(**group, window=window, reference_datetime=reference)
    assert stored.select("area", "consumer_type", "datetime_utc").rows() == key_hours(window)
    assert stored.equals(pattern(window))
    assert result["features"]["num_unique_samples_per_time_series"] == window.hours
    assert store.read_training_dataset(result["view"]["training_dataset_version"]).equals(stored)

    ahead = Window(window.end, window.end + timedelta(days=1))
    forecasts = ForecastArchive(settings).read(feature_view_version=1)
    assert forecasts.select("area", "consumer_type", "datetime_utc").rows() == key_hours(ahead)
    came = pattern(ahead)["energy_consumption"]
    error = (forecasts["energy_consumption"] - came).abs().to_numpy().sum() / came.to_numpy().sum()
    # Two per cent are chance; an hour beside would be 0.17.
    assert error < 0.05


def test_a_window_across_both_changes_has_each_hour_once(settings: Settings) -> None:
    reference = datetime(2024, 12, 1, tzinfo=UTC)
    window = Window.before(reference, days_delay=DELAY, days_export=300)
    url = as_published(pattern(window), settings.root / "source.csv")
    features = pipeline.run(reference, DELAY, 300, url, settings=settings)
    assert (features["rows"], features["num_unique_samples_per_time_series"]) == (2 * 7200, 7200)
    view = feature_view.create(settings=settings)
    frame = FeatureStore(settings).read_training_dataset(view["training_dataset_version"])
    assert frame.equals(pattern(window))
    lengths = frame.group_by(pl.col("datetime_utc").dt.convert_time_zone("Europe/Copenhagen").dt.date()).len()
    whole = lengths.sort("datetime_utc")["len"].to_list()[1:-1]
    assert sorted({hours // 2 for hours in whole}) == [23, 24, 25]


def test_the_zone_of_the_machine_changes_no_byte(tmp_path: Path, tracking_template: Path) -> None:
    started = {}
    for zone in ("UTC", "Europe/Copenhagen", "Pacific/Apia"):
        root = tmp_path / zone.replace("/", "-")
        root.mkdir()
        shutil.copy(tracking_template, root / "mlflow.db")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PIPELINE_")}
        started[zone] = subprocess.Popen(
            [sys.executable, "-m", "tests.local_time", root],
            cwd=REPOSITORY,
            env=environment | {"TZ": zone},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    printed = {}
    for zone, process in started.items():
        printed[zone], log = process.communicate()
        assert process.returncode == 0, log.decode()
    assert b'"forecasts"' in printed["UTC"]
    assert printed["UTC"] == printed["Europe/Copenhagen"] == printed["Pacific/Apia"]
