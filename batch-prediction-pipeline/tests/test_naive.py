"""The seasonal naive forecast that forecasts are compared with is the forecaster's own, on what each run knew."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest

import load_forecaster
from batch_prediction_pipeline.monitoring import naive
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

START = datetime(2023, 1, 1, tzinfo=UTC)
GROUP: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
KINDS = ("111", "121", "215")


def observations(window: Window, chance: np.random.Generator, *, missing: float) -> pl.DataFrame:
    """Random values of three series; some hours are missing, and the last series is silent for 40 days."""
    hours = pl.datetime_range(window.start, window.end, HOUR, closed="left", time_unit="us", eager=True)
    keys = pl.DataFrame({"area": ["DK1"] * 3, "consumer_type": KINDS}).join(
        hours.cast(UTC_HOUR).to_frame("datetime_utc"), how="cross"
    )
    frame = keys.with_columns(energy_consumption=pl.Series(chance.uniform(1, 9, keys.height)))
    silent = (pl.col("consumer_type") == KINDS[2]) & (pl.col("datetime_utc") >= START + timedelta(days=20))
    kept = pl.Series(chance.random(frame.height) >= missing)
    return frame.filter(kept & ~silent).select(OBSERVATIONS.names()).sort(KEY)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """What a source said at six times about windows of 60 days; later answers restate a tenth of the values."""
    made, chance = FeatureStore(Settings(root_dir=tmp_path_factory.mktemp("naive"))), np.random.default_rng(5)
    for step in range(6):
        window = Window(START, START + timedelta(days=60, hours=7 * step))
        frame = observations(window, chance, missing=0.3)
        known = {**GROUP, "window": window, "reference_datetime": window.end + HOUR}
        made.ingest(frame, **known, url="demo://denmark", record={})
    return made


@pytest.mark.parametrize("gap", [0, 24, 31, 360])
@pytest.mark.parametrize("fh", [24, 48, 168])
def test_it_is_the_forecasters_seasonal_naive_on_the_runs_own_window(store: FeatureStore, gap: int, fh: int) -> None:
    runs: list[dict[str, Any]] = []
    for step in (5, 0, 3):
        end = START + timedelta(days=60, hours=7 * step)
        window = Window(end - timedelta(days=(2, 59, 45)[step % 3]), end)
        facts = (end + HOUR, window.start, window.end, fh, window.end + gap * HOUR)
        runs.append(
            dict(zip(("reference_datetime", "window_start", "window_end", "fh", "first_hour"), facts, strict=True))
        )
    series = pl.DataFrame({"area": ["DK1"] * 3, "consumer_type": KINDS})
    read = partial(store.read_revisions, **GROUP, known_until=START + timedelta(days=90))
    found = naive.of_runs(pl.DataFrame(runs, schema_overrides={"reference_datetime": UTC_HOUR}), series, read)
    assert found.height == 3 * 3 * fh
    for run in runs:
        window = Window(run["window_start"], run["window_end"])
        known = store.read(**GROUP, window=window, reference_datetime=run["reference_datetime"])
        expected = load_forecaster.seasonal_naive(known, end=window.end, fh=fh, gap=gap)
        own = found.filter(pl.col("reference_datetime") == run["reference_datetime"])
        both = own.join(expected, on=KEY, how="left", maintain_order="left")
        assert both["naive"].equals(both["energy_consumption"], check_names=False)
        assert expected["energy_consumption"].null_count() < expected.height
        # The hours of a series of which the run knows nothing have no value to repeat.
        absent = own.join(expected, on=SERIES, how="anti")
        assert absent["naive"].null_count() == absent.height
