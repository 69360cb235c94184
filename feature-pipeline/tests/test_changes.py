"""The report of values that changed between two reference times."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_pipeline import changes
from feature_pipeline.__main__ import main
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

START = datetime(2023, 1, 1, tzinfo=UTC)
WINDOW = Window(START, START + 3 * HOUR)
KNOWN_AT = START + timedelta(days=15)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = FeatureStore(Settings(root_dir=tmp_path))
    said = {KNOWN_AT: {"111": [1.0, 2.0], "112": [5.0, 5.0, 5.0]}, KNOWN_AT + HOUR: {"111": [1.5, 0.0, 3.0]}}
    for known_at, values in said.items():
        rows = [
            ("DK1", kind, START + step * HOUR, each) for kind, row in values.items() for step, each in enumerate(row)
        ]
        store.ingest(
            pl.DataFrame(rows, schema=OBSERVATIONS, orient="row"),
            dataset="demo",
            feature_group_version=1,
            window=WINDOW,
            reference_datetime=known_at,
            url="demo://denmark",
            record={},
        )
    return tmp_path


SERIES = {
    "area": "DK1",
    "consumer_type": "111",
    "arrived": 1,
    "restated": 2,
    "first_hour": "2023-01-01 00:00",
    "last_hour": "2023-01-01 02:00",
    "restated_by_kwh": -1.5,
    "largest_change_kwh": -2.0,
}


def test_the_report_names_the_series_that_changed_and_by_how_much(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(root))
    times = ["--from", KNOWN_AT.isoformat(), "--to", (KNOWN_AT + HOUR).isoformat()]
    assert main(["changes", "--dataset", "demo", *times]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["arrived"], report["restated"], report["series"]) == (1, 2, [SERIES])
    assert (report["start_datetime"], report["end_datetime"]) == ("2023-01-01 00:00", "2023-01-01 03:00")


def test_between_a_time_and_itself_nothing_changed(root: Path) -> None:
    report = changes.report("demo", KNOWN_AT, KNOWN_AT, settings=Settings(root_dir=root))
    assert (report["arrived"], report["restated"], report["series"]) == (0, 0, [])


def test_a_window_may_be_given(root: Path) -> None:
    report = changes.report(
        "demo",
        KNOWN_AT,
        KNOWN_AT + HOUR,
        start_datetime=START + 2 * HOUR,
        end_datetime=START + 3 * HOUR,
        settings=Settings(root_dir=root),
    )
    assert (report["arrived"], report["restated"]) == (1, 0)
    assert report["series"][0]["largest_change_kwh"] is None


def test_an_unknown_dataset_is_named_with_those_that_exist(root: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'other' version 1; there are \[\('demo', 1\)\]"):
        changes.report("other", KNOWN_AT, KNOWN_AT, settings=Settings(root_dir=root))
