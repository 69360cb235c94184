"""Quarantine: a run that validation stopped, the rows that it kept, and the same run after a release."""

import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from feature_pipeline import pipeline, quarantine
from feature_pipeline.__main__ import main
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, ValidationError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

Archive = Callable[[pl.DataFrame], str]
REFERENCE = "2023-02-04T16:00"
DATASET = "ConsumptionDE35Hour"
FIRST = pl.int_range(pl.len()) < 2


@pytest.fixture
def stopped(rows: pl.DataFrame, archive: Archive, settings: Settings) -> str:
    """The url of a source of which two values are below zero, after the run that they stopped."""
    url = archive(rows.with_columns(pl.when(FIRST).then(-5).otherwise("TotalCon").alias("TotalCon")))
    with pytest.raises(ValidationError, match="2 rows are in quarantine"):
        pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    return url


def accept(settings: Settings, **options: Any) -> quarantine.Released:
    return quarantine.release(DATASET, "feeds in", "2023-02-05T09:00", settings=settings, **options)


@pytest.mark.usefixtures("stopped")
def test_a_list_says_what_is_kept_and_why(settings: Settings) -> None:
    listed = quarantine.show(settings=settings)
    assert listed["rows"] == 2
    assert listed["runs"] == [
        {
            "dataset": DATASET,
            "feature_group_version": 1,
            "known_at": "2023-02-04 16:00",
            "severity": "error",
            "expectation": "negative",
            "rows": 2,
        }
    ]
    first = listed["first"][0]
    assert (first["area"], first["consumer_type"], first["datetime_utc"]) == ("DK1", "111", "2023-01-20 15:00")
    assert (first["energy_consumption"], first["accepted"]) == (-5.0, False)
    assert first["reason"] == "a value must be at least 0 kWh (minimum_kwh in feature_pipeline.datasets)"
    assert json.loads(json.dumps(listed)) == listed


def test_after_a_release_the_same_run_stores_the_same_values(stopped: str, settings: Settings, window: Window) -> None:
    assert accept(settings)["accepted"] == 2
    result = pipeline.run(REFERENCE, 15, 1, stopped, settings=settings)
    assert (result["rows"], result["warnings"], result["quarantined"]) == (1824, [], 0)
    known = FeatureStore(settings).read(
        dataset=DATASET, feature_group_version=1, window=window, reference_datetime=window.end.replace(month=3)
    )
    assert known["energy_consumption"].min() == -5.0


def test_a_part_can_be_released_and_the_rest_still_stops(stopped: str, settings: Settings) -> None:
    assert accept(settings, series=["DK1/111"], expectation="negative")["accepted"] == 1
    assert quarantine.show(settings=settings)["rows"] == 1
    assert quarantine.show(settings=settings, accepted=True)["rows"] == 2
    with pytest.raises(ValidationError, match=r": DK1/112 at 2023-01-20 15:00 = -5.0: a value must"):
        pipeline.run(REFERENCE, 15, 1, stopped, settings=settings)


def test_another_value_of_the_same_hour_is_judged_anew(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    for value in (10**8, 2 * 10**8):
        url = archive(rows.with_columns(pl.when(FIRST).then(value).otherwise("TotalCon").alias("TotalCon")))
        with pytest.raises(ValidationError, match="and 1 more row"):
            pipeline.run(REFERENCE, 15, 1, url, settings=settings)
        assert accept(settings, expectation="range")["accepted"] == 2


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"start_datetime": "2023-01-20T15:00"}, 2),
        ({"start_datetime": "2023-01-20T16:00"}, 0),
        ({"end_datetime": "2023-01-20T15:00"}, 0),
        ({"reference_datetime": REFERENCE}, 2),
        ({"reference_datetime": "2023-02-04T15:00"}, 0),
        ({"feature_group_version": "2"}, 0),
        ({"dataset": "demo-denmark"}, 0),
        ({"expectation": "spike"}, 0),
        ({"series": ["DK1/112", "DK2/999"]}, 1),
    ],
)
@pytest.mark.usefixtures("stopped")
def test_each_argument_narrows_what_is_listed(options: dict[str, Any], count: int, settings: Settings) -> None:
    assert quarantine.show(**options, settings=settings)["rows"] == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expectation": "unique_key"}, "cannot be released, because the store cannot hold them"),
        ({"expectation": "nonsense"}, "Rows that fail one of these can be: .*range"),
        ({"series": ["DK1"]}, "AREA/TYPE"),
        ({"start_datetime": "yesterday"}, "start_datetime must be a time"),
        ({"feature_group_version": 0}, "at least 1"),
    ],
)
@pytest.mark.usefixtures("stopped")
def test_a_release_that_cannot_be_is_refused_by_name(options: dict[str, Any], message: str, settings: Settings) -> None:
    with pytest.raises(InvalidArgument, match=message):
        accept(settings, **options)


@pytest.mark.usefixtures("stopped")
def test_a_release_needs_rows_and_a_reason(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="no such rows"):
        accept(settings, series=["DK2/999"])
    with pytest.raises(InvalidArgument, match="needs a note"):
        quarantine.release(DATASET, "  ", "2023-02-05T09:00", settings=settings)


def test_rows_that_the_store_cannot_hold_are_left_out(rows: pl.DataFrame, archive: Archive, settings: Settings) -> None:
    twice = rows.head(1).with_columns(pl.lit(-9, pl.Int64).alias("TotalCon"))
    with pytest.raises(ValidationError):
        pipeline.run(REFERENCE, 15, 1, archive(pl.concat([rows, twice])), settings=settings)
    released = accept(settings)
    assert (released["accepted"], released["not_acceptable"]) == (1, 2)
    assert released["not_released"] == {"unique_key": 2}


@pytest.mark.usefixtures("stopped")
def test_both_steps_work_from_a_shell(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(settings.root))
    assert main(["quarantine", "list", "--dataset", DATASET, "--reference", REFERENCE]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    options = ["--dataset", DATASET, "--series", "DK1/111", "DK1/112", "--note", "feeds in"]
    assert main(["quarantine", "release", *options]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 2
    assert main(["quarantine", "release", *options, "--expectation", "unique_key"]) == 1
    assert capsys.readouterr().err.startswith("InvalidArgument: rows that fail 'unique_key' cannot be released")
