"""The published data set, as the API gave it."""

import os
from datetime import UTC, datetime

import pytest

from feature_pipeline import feature_view, pipeline
from forecast_core.settings import Settings

REAL_DATA = os.environ.get("ML_PIPELINE_REAL_DATA")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA, reason="ML_PIPELINE_REAL_DATA does not name the published data set")
def test_every_published_row_is_stored(settings: Settings) -> None:
    result = pipeline.run(datetime(2023, 2, 4, 16, tzinfo=UTC), 15, 30, str(REAL_DATA), settings=settings)
    assert (result["rows"], result["new"], result["missing_hours"]) == (54_720, 54_720, 0)
    # Nothing is wrong with these values: what is told is what may be odd about 52 of them.
    assert result["validation_warnings"] == {"level_shift": 2, "spike": 50}
    assert feature_view.create(settings=settings)["rows"] == 54_720
