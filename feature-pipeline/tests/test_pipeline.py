"""A run from source to store: what it returns, what it refuses, and that a refused run stores nothing."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline import demo, pipeline
from forecast_core.contracts.errors import (
    ForecastingError,
    InvalidArgument,
    SourceError,
    StorageError,
    ValidationError,
    WindowError,
)
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

Archive = Callable[[pl.DataFrame], str]
REFERENCE = datetime(2023, 2, 4, 16, 30, tzinfo=UTC)
HOUR = pl.col("HourUTC")
FIRST = pl.int_range(pl.len()) < 1


def stored(settings: Settings, window: Window, dataset: str = "ConsumptionDE35Hour") -> pl.DataFrame:
    return FeatureStore(settings).read(
        dataset=dataset, feature_group_version=1, window=window, reference_datetime=datetime(2023, 2, 4, 16, tzinfo=UTC)
    )


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_run_stores_every_row_and_returns_plain_json(
    rows: pl.DataFrame, archive: Archive, settings: Settings, window: Window
) -> None:
    url = archive(rows)
    result = pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    assert json.loads(json.dumps(result)) == result
    expected: dict[str, Any] = {
        "days_delay": 15,
        "days_export": 1,
        "url": url,
        "export_datetime_utc_start": "2023-01-19 16:00",
        "export_datetime_utc_end": "2023-01-20 16:00",
        "datetime_format": "%Y-%m-%d %H:%M",
        "num_unique_samples_per_time_series": 24,
        "feature_group_version": 1,
        "reference_datetime": "2023-02-04 16:00",
        "dataset": "ConsumptionDE35Hour",
        "rows": 1824,
        "new": 1824,
        "revised": 0,
        "vanished": 0,
        "series": 76,
        "missing_hours": 0,
        "warnings": [],
    }
    assert {name: value for name, value in result.items() if name in expected} == expected
    validation = json.loads(Path(result["validation_result"]).read_text())
    assert validation["success"] is True
    assert stored(settings, window)["energy_consumption"].sum() == rows["TotalCon"].sum()


def test_the_same_run_again_gives_the_same_and_stores_nothing_more(
    rows: pl.DataFrame, archive: Archive, settings: Settings, window: Window
) -> None:
    url = archive(rows)
    first = pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    before = stored(settings, window)
    observations = Path(settings.store) / "observations"
    written = files(observations)
    assert pipeline.run(REFERENCE, 15, 1, url, settings=settings) == first
    assert_frame_equal(stored(settings, window), before)
    assert files(observations) == written


def test_a_changed_value_is_a_revision_later_and_a_conflict_at_the_same_reference(
    rows: pl.DataFrame, archive: Archive, settings: Settings, window: Window
) -> None:
    pipeline.run(REFERENCE, 15, 1, archive(rows), settings=settings)
    before = stored(settings, window)
    url = archive(rows.with_columns(pl.when(FIRST).then(77).otherwise("TotalCon").alias("TotalCon")))
    again = pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    assert again["conflicting"] == 1
    assert again["not_taken"] == 1
    assert again["warnings"] == [
        "1 value differs from one stored for the same reference time and was not taken, first DK1/111 at 2023-01-20 "
        "15:00 (500 stays, 77 came): what was known at 2023-02-04 16:00 does not change afterwards. The run at "
        "2023-02-04 17:00 or any later one takes it; earlier forecasts stay without it"
    ]
    # An hour later the window has moved by an hour, of which the file has no data.
    later = pipeline.run(REFERENCE + timedelta(hours=1), 15, 1, url, settings=settings)
    assert (later["new"], later["revised"], later["conflicting"]) == (0, 1, 0)
    assert_frame_equal(stored(settings, window), before)


def test_a_time_in_any_form_and_numbers_as_text_give_the_same_run(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    url = archive(rows)
    first = pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    local = REFERENCE.astimezone(timezone(timedelta(hours=2)))
    for moment in (REFERENCE.replace(tzinfo=None), local, "2023-02-04 16:30:00+00:00", "2023-02-04T16:30:00Z"):
        assert pipeline.run(moment, "15", "1", url, "1", settings=settings) == first


def test_the_demonstration_is_stored_as_it_was_known_at_the_reference(settings: Settings, window: Window) -> None:
    result = pipeline.run(REFERENCE, 15, 1, settings=settings)
    assert result["dataset"] == "demo-denmark"
    expected = demo.observations(window.start, window.end, known_at=REFERENCE)
    assert_frame_equal(stored(settings, window, "demo-denmark"), expected)
    assert result["missing_hours"] == 1824 - expected.height


def test_missing_hours_of_one_series_are_a_warning(rows: pl.DataFrame, archive: Archive, settings: Settings) -> None:
    hole = (pl.col("PriceArea") == "DK2") & (pl.col("ConsumerType_DE35") == "999") & (HOUR > "2023-01-20T12")
    lost = (pl.col("PriceArea") == "DK1") & (pl.col("ConsumerType_DE35") == "431")
    result = pipeline.run(REFERENCE, 15, 1, archive(rows.filter(~hole & ~lost)), settings=settings)
    assert result["missing_hours"] == 4 + 24
    assert result["series"] == 75
    assert result["warnings"] == [
        "1 of 76 series have no data: DK1/431",
        "1 series lack hours that others have: DK2/999 4 (first 2023-01-20 12:00)",
    ]


def test_a_window_partly_outside_the_data_is_a_recorded_warning_from_the_least_share_on(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    half = rows.filter(HOUR >= "2023-01-20T04:00:00")
    result = pipeline.run(REFERENCE, 15, 1, archive(half), settings=settings)
    expected = (
        "12 of 24 hours of the window 2023-01-19 16:00 to 2023-01-20 16:00 (exclusive) have no data: "
        "the data are from 2023-01-20 04:00 to 2023-01-20 15:00"
    )
    assert result["warnings"] == [expected]
    assert result["num_unique_samples_per_time_series"] == 12
    ingest = FeatureStore(settings).latest_ingest(feature_group_version=1)
    assert ingest is not None
    assert ingest.record["warnings"] == [expected]


def test_a_window_with_less_than_the_least_share_is_refused(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    less = rows.filter(HOUR >= "2023-01-20T05:00:00")
    with pytest.raises(WindowError, match=r"13 of 24 hours .* At least 50% of the hours are needed"):
        pipeline.run(REFERENCE, 15, 1, archive(less), settings=settings)
    assert files(settings.root) == []


def test_a_window_outside_the_data_is_refused_and_says_which_the_data_have(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    with pytest.raises(WindowError, match=r"no data .* from 2023-01-19 16:00 to 2023-01-20 15:00"):
        pipeline.run(REFERENCE + timedelta(days=60), 15, 1, archive(rows), settings=settings)
    with pytest.raises(WindowError, match="the data are from 2020-01-01 00:00"):
        pipeline.run(datetime(2020, 1, 10, tzinfo=UTC), 15, 1, settings=settings)
    assert files(settings.root) == []


ALTERATIONS: dict[str, tuple[pl.Expr, str]] = {
    "area": (
        pl.when(FIRST).then(pl.lit("DK")).otherwise("PriceArea").alias("PriceArea"),
        r"DK/111 at 2023-01-20 15:00 = 500.0: area must be one of DK1, DK2 \(areas in feature_pipeline.datasets\)",
    ),
    "consumer type": (
        pl.when(FIRST).then(pl.lit("777")).otherwise("ConsumerType_DE35").alias("ConsumerType_DE35"),
        r"DK1/777 at 2023-01-20 15:00 = 500.0: consumer_type must be one of 111, 112, 119 and 35 more",
    ),
    "off the hour": (
        pl.when(FIRST).then(pl.lit("2023-01-20T14:30:00")).otherwise("HourUTC").alias("HourUTC"),
        r"DK1/111 at 2023-01-20 14:30 = 500.0: datetime_utc must be a full hour",
    ),
    "no area": (
        pl.when(FIRST).then(pl.lit("")).otherwise("PriceArea").alias("PriceArea"),
        r"None/111 at 2023-01-20 15:00 = 500.0: area must not be missing",
    ),
    "negative": (
        pl.when(FIRST).then(-1).otherwise("TotalCon").alias("TotalCon"),
        r"DK1/111 at .* = -1.0: a value must be at least 0 kWh \(minimum_kwh in feature_pipeline.datasets\)",
    ),
    "too much": (
        pl.when(FIRST).then(10**8).otherwise("TotalCon").alias("TotalCon"),
        r"= 100000000.0: a value must be within ±10,000,000 kWh \(maximum_kwh",
    ),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_failed_rule_stops_the_load_and_names_the_rows(
    name: str, rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    alteration, message = ALTERATIONS[name]
    with pytest.raises(ValidationError, match=message) as caught:
        pipeline.run(REFERENCE, 15, 1, archive(rows.with_columns(alteration)), settings=settings)
    (kept,) = settings.root.rglob("validation/*/2023-02-04T16.json")
    assert json.loads(kept.read_text())["success"] is False
    assert caught.value.facts["result"] == str(kept)
    assert len(f"ValidationError: {caught.value}") <= 500
    assert not (Path(settings.store) / "observations").exists()


def test_a_bad_cell_outside_the_window_stops_no_run_and_one_inside_does(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    oldest = pl.int_range(pl.len()) == pl.len() - 1
    text = pl.col("TotalCon").cast(pl.String)
    url = archive(rows.with_columns(pl.when(oldest).then(pl.lit("n.v.t.")).otherwise(text).alias("TotalCon")))
    later = pipeline.run(REFERENCE + timedelta(hours=1), 15, 1, url, settings=settings)
    assert later["rows"] == 23 * 76
    with pytest.raises(SourceError, match=r"TotalCon that cannot be read as a number \(row 1824: 'n\.v\.t\.'\)"):
        pipeline.run(REFERENCE, 15, 1, url, settings=settings)


def test_a_row_without_a_value_or_without_a_time_is_missing_and_told(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    second = pl.int_range(pl.len()) == 1
    url = archive(
        rows.with_columns(
            pl.when(FIRST).then(None).otherwise("TotalCon").alias("TotalCon"),
            pl.when(second).then(None).otherwise("HourUTC").alias("HourUTC"),
        )
    )
    result = pipeline.run(REFERENCE, 15, 1, url, settings=settings)
    assert (result["rows"], result["missing_hours"]) == (1822, 2)
    assert result["warnings"][:2] == [
        "1 of 1,824 rows cannot be placed: HourUTC is not a time like 2023-01-20T15:00:00, first in row 2: blank; "
        "they were left out",
        "1 row without a value, which counts as missing, the earliest DK1/111 at 2023-01-20 15:00",
    ]
    # Once the source has both, they are new.
    mended = pipeline.run(REFERENCE + timedelta(hours=1), 15, 1, archive(rows), settings=settings)
    assert (mended["new"], mended["revised"]) == (2, 0)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), pl.exceptions.PanicException("x"), pl.exceptions.ShapeError("x")]
)
def test_no_error_but_those_of_the_tree_leaves_a_run(
    error: BaseException, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: pl.DataFrame) -> pl.DataFrame:
        raise error

    monkeypatch.setattr("feature_pipeline.pipeline.transform", broken)
    with pytest.raises(ForecastingError, match=f"a defect of this software, not of the data: {type(error).__name__}"):
        pipeline.run(REFERENCE, 15, 1, settings=settings)


def test_two_values_for_one_key_stop_the_load_and_both_are_named(
    rows: pl.DataFrame, archive: Archive, settings: Settings
) -> None:
    twice = pl.concat([rows, rows.head(1).with_columns(pl.lit(9, pl.Int64).alias("TotalCon"))])
    message = r"DK1/111 at 2023-01-20 15:00 = 9.0, DK1/111 at .* = 500.0: an area, consumer type and hour must have one"
    with pytest.raises(ValidationError, match=message):
        pipeline.run(REFERENCE, 15, 1, archive(twice), settings=settings)
    assert not (Path(settings.store) / "observations").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days_delay": -1}, "days_delay must be at least 0, not -1"),
        ({"days_export": -30}, "days_export must be at least 1, not -30"),
        ({"days_export": "0"}, "days_export must be at least 1, not 0"),
        ({"days_delay": "soon"}, "days_delay must be a whole number, not 'soon'"),
        ({"days_delay": ""}, "days_delay must be a whole number"),
        ({"days_export": 1.5}, "days_export must be a whole number"),
        ({"feature_group_version": True}, "feature_group_version must be a whole number"),
        ({"feature_group_version": "v1"}, "feature_group_version must be a whole number"),
        ({"feature_group_version": 0}, "feature_group_version must be at least 1"),
        ({"export_end_reference_datetime": None}, "must be a time"),
        ({"export_end_reference_datetime": "None"}, "must be a time"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_by_name(
    arguments: dict[str, Any], message: str, settings: Settings
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        pipeline.run(**{"export_end_reference_datetime": REFERENCE, **arguments}, settings=settings)
    assert files(settings.root) == []


def test_a_source_that_cannot_be_leaves_nothing_behind(settings: Settings) -> None:
    with pytest.raises(SourceError, match="no file"):
        pipeline.run(REFERENCE, url="nowhere.csv", settings=settings)
    assert files(settings.root) == []


def test_a_root_that_cannot_be_written_is_a_storage_error(rows: pl.DataFrame, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=r"cannot be read or written now"):
        pipeline.run(REFERENCE, 15, 1, archive(rows), settings=Settings(root_dir=tmp_path / "occupied"))
