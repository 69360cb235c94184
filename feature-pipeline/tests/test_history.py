"""Long histories in chunks: stored hours are not asked for again, however an import ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline import demo
from feature_pipeline.history import Imported, import_history
from feature_pipeline.testing import EnergiDataService, demo_rows, faults
from forecast_core.contracts.errors import InvalidArgument, SourceUnavailable
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

DATASET = "ConsumptionDE35Hour"
START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 4, 12, tzinfo=UTC)
REFERENCE = datetime(2023, 2, 1, tzinfo=UTC)


@pytest.fixture
def api() -> Iterator[EnergiDataService]:
    with EnergiDataService({DATASET: demo_rows(START, END)}, now=REFERENCE) as service:
        yield service


def bring(api: EnergiDataService, settings: Settings, **changes: Any) -> Imported:
    arguments = {"start_datetime": START, "end_datetime": END, "reference_datetime": REFERENCE, "chunk_days": 1}
    return import_history(api.url(DATASET), **{**arguments, **changes}, settings=settings)


def stored(settings: Settings, known_at: datetime = REFERENCE) -> pl.DataFrame:
    window = Window(START, END)
    return FeatureStore(settings).read(
        dataset=DATASET, feature_group_version=1, window=window, reference_datetime=known_at
    )


def test_a_history_is_stored_chunk_by_chunk_and_asked_for_once(api: EnergiDataService, settings: Settings) -> None:
    result = bring(api, settings)
    assert json.loads(json.dumps(result)) == result
    expected = demo.observations(START, END, known_at=REFERENCE)
    assert (result["chunks"], result["imported"], result["stored_already"], result["without_data"]) == (4, 4, 0, [])
    assert result["rows"] == result["new"] == expected.height
    assert_frame_equal(stored(settings), expected)
    starts = [request.query["start"] for request in api.requests]
    assert starts == ["2023-01-01T00:00", "2023-01-02T00:00", "2023-01-03T00:00", "2023-01-04T00:00"]
    again = bring(api, settings, chunk_days="2")
    assert (again["chunks"], again["imported"], again["stored_already"]) == (2, 0, 2)
    # As known later, all is asked for again.
    assert bring(api, settings, reference_datetime="2023-02-01T01:00", chunk_days=4)["imported"] == 1
    assert len(api.requests) == 5


def test_an_import_that_failed_goes_on_where_it_stopped(api: EnergiDataService, settings: Settings) -> None:
    api.faults = [faults.proper, faults.proper, faults.rate_limited(10_000)]
    with pytest.raises(SourceUnavailable, match="asks to wait"):
        bring(api, settings)
    assert stored(settings)["datetime_utc"].max() == datetime(2023, 1, 2, 23, tzinfo=UTC)
    api.requests.clear()
    result = bring(api, settings)
    assert (result["imported"], result["stored_already"]) == (2, 2)
    assert [request.query["start"] for request in api.requests] == ["2023-01-03T00:00", "2023-01-04T00:00"]
    assert_frame_equal(stored(settings), demo.observations(START, END, known_at=REFERENCE))


def test_an_import_that_was_killed_goes_on_where_it_stopped(api: EnergiDataService, settings: Settings) -> None:
    arguments = ["--url", api.url(DATASET), "--from", f"{START}", "--to", f"{END}", "--reference", f"{REFERENCE}"]
    command = [sys.executable, "-m", "feature_pipeline", "import-history", *arguments, "--chunk-days", "1"]
    variables = {"ML_PIPELINE_ROOT_DIR": str(settings.root), "ML_PIPELINE_SOURCE_SECONDS_BETWEEN_REQUESTS": "0"}
    # The third answer never comes: the process is killed while it waits.
    api.faults = [faults.proper, faults.proper, faults.slow(1.0)]
    process = subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.DEVNULL)
    while len(api.requests) < 3 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(api.requests) == 3
    result = bring(api, settings)
    assert (result["imported"], result["stored_already"]) == (2, 2)
    assert_frame_equal(stored(settings), demo.observations(START, END, known_at=REFERENCE))


def test_a_chunk_without_data_is_named_and_the_import_goes_on(api: EnergiDataService, settings: Settings) -> None:
    result = bring(api, settings, start_datetime=START - timedelta(days=2), chunk_days=2)
    assert (result["chunks"], result["imported"]) == (3, 2)
    (without,) = result["without_data"]
    assert without.startswith("2022-12-30 00:00 to 2023-01-01 00:00: no data in the window")
    assert_frame_equal(stored(settings), demo.observations(START, END, known_at=REFERENCE))


def test_a_window_that_could_not_have_been_known_is_refused(api: EnergiDataService, settings: Settings) -> None:
    with pytest.raises(InvalidArgument, match="after the reference time 2023-01-03 00:00"):
        bring(api, settings, reference_datetime="2023-01-03")
    assert api.requests == []
