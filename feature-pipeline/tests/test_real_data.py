"""The published data set, as the API gave it."""

import os
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from feature_pipeline import feature_view, pipeline
from feature_pipeline.extract import extract
from feature_pipeline.testing import EnergiDataService
from feature_pipeline.transform import transform
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

REAL_DATA = os.environ.get("ML_PIPELINE_REAL_DATA")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="ML_PIPELINE_REAL_DATA does not name the published data set")
def test_every_published_row_is_stored(settings: Settings) -> None:
    result = pipeline.run(datetime(2023, 2, 4, 16, tzinfo=UTC), 15, 30, str(REAL_DATA), settings=settings)
    assert (result["rows"], result["new"], result["missing_hours"]) == (54_720, 54_720, 0)
    # Nothing is wrong with these values: what is told is what may be odd about 52 of them.
    assert result["validation_warnings"] == {"level_shift": 2, "spike": 50}
    assert feature_view.create(settings=settings)["rows"] == 54_720


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="ML_PIPELINE_REAL_DATA does not name the published data set")
def test_the_published_rows_come_from_the_api_as_they_stand_in_the_file(settings: Settings) -> None:
    end = datetime(2023, 1, 20, 16, tzinfo=UTC)
    window = Window(end - timedelta(days=30), end)
    with EnergiDataService({"ConsumptionDE35Hour": pl.read_parquet(str(REAL_DATA))}, page_cap=10_000) as api:
        asked = extract(api.url("ConsumptionDE35Hour"), window, end, settings=settings)
        assert len(api.requests) == 6
    assert transform(asked.frame).equals(transform(extract(str(REAL_DATA), window, end, settings=settings).frame))
