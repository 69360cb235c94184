"""Feature views and training datasets from the shell of the feature store."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_pipeline import feature_view
from forecast_core.alarms import CHECKS, OVERALL, Alarms
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

Ingest = Callable[..., None]


@pytest.fixture
def ingest(settings: Settings) -> Ingest:
    """Store one series of which every value is its hour of day, as a run at ``known_at`` would."""

    def store(window: Window, known_at: datetime, *, dataset: str = "ConsumptionDE35Hour", version: int = 1) -> None:
        hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
        frame = pl.DataFrame({"datetime_utc": hours}).select(
            pl.lit("DK1").alias("area"),
            pl.lit("111").alias("consumer_type"),
            "datetime_utc",
            hours.dt.hour().cast(pl.Float64).alias("energy_consumption"),
        )
        FeatureStore(settings).ingest(
            frame,
            dataset=dataset,
            feature_group_version=version,
            window=window,
            reference_datetime=known_at,
            url="x",
            record={},
        )

    return store


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2023, 2, day, hour, tzinfo=UTC)


def test_what_is_not_given_is_that_of_the_last_ingest(ingest: Ingest, settings: Settings) -> None:
    ingest(Window(at(1), at(2)), at(10))
    ingest(Window(at(1, 1), at(2, 1)), at(10, 1))
    created = feature_view.create(1, settings=settings)
    assert json.loads(json.dumps(created)) == created
    assert (created["start_datetime"], created["end_datetime"]) == ("2023-02-01 01:00", "2023-02-02 01:00")
    assert (created["reference_datetime"], created["dataset"]) == ("2023-02-10 01:00", "ConsumptionDE35Hour")
    assert (created["feature_view_version"], created["rows"], created["series"]) == (1, 24, 1)
    stored = FeatureStore(settings).read_training_dataset(created["training_dataset_version"])
    assert stored["datetime_utc"].min() == at(1, 1)


def test_an_end_alone_means_the_last_ingest_that_ends_there(ingest: Ingest, settings: Settings) -> None:
    ingest(Window(at(1), at(2)), at(10))
    ingest(Window(at(1, 1), at(2, 1)), at(10, 1))
    created = feature_view.create("1", end_datetime=at(2).replace(tzinfo=None), settings=settings)
    assert (created["start_datetime"], created["reference_datetime"]) == ("2023-02-01 00:00", "2023-02-10 00:00")
    with pytest.raises(NotFoundError, match="ends at 2023-02-03 00:00; the last one ends at 2023-02-02 01:00"):
        feature_view.create(1, end_datetime=at(3), settings=settings)


def test_a_window_as_text_selects_rows_and_the_same_again_has_the_same_versions(
    ingest: Ingest, settings: Settings
) -> None:
    ingest(Window(at(1), at(3)), at(10))
    created = feature_view.create(1, "2023-02-01 06:00", "2023-02-01T12:00:00+00:00", settings=settings)
    assert created["rows"] == 6
    assert feature_view.create(1, at(1, 6), at(1, 12), settings=settings) == created
    other = feature_view.create(1, at(1, 6), at(1, 13), settings=settings)
    assert other["feature_view_version"] == created["feature_view_version"]
    assert other["training_dataset_version"] != created["training_dataset_version"]


def test_a_given_reference_wins_over_later_ingests(ingest: Ingest, settings: Settings) -> None:
    ingest(Window(at(1), at(2)), at(10))
    given: dict[str, Any] = {"start_datetime": at(1), "end_datetime": at(2), "dataset": "ConsumptionDE35Hour"}
    before = feature_view.create(1, **given, reference_datetime="2023-02-10T00:00", settings=settings)
    ingest(Window(at(1) + HOUR, at(2) + 5 * HOUR), at(10, 5))
    assert feature_view.create(1, **given, reference_datetime=at(10), settings=settings) == before


def test_an_empty_store_says_to_run_the_feature_pipeline(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="none yet: run the feature pipeline first"):
        feature_view.create(settings=settings)


def test_a_version_that_does_not_exist_is_answered_with_those_that_do(ingest: Ingest, settings: Settings) -> None:
    ingest(Window(at(1), at(2)), at(10), version=2)
    with pytest.raises(NotFoundError, match="version 7; there are ConsumptionDE35Hour version 2"):
        feature_view.create(7, settings=settings)


@pytest.mark.parametrize("end", ["tomorrow", "2023-02-01 06:30", "2023-02-01 00:00"])
def test_an_end_that_cannot_be_is_refused(ingest: Ingest, settings: Settings, end: str) -> None:
    ingest(Window(at(1), at(2)), at(10))
    with pytest.raises(InvalidArgument):
        feature_view.create(1, "2023-02-01 00:00", end, settings=settings)


@pytest.mark.parametrize(
    ("asked", "alarm", "run_kind", "tunes"),
    [
        ("False", False, "scheduled", False),
        ("False", True, "scheduled", True),
        (False, True, "manual", True),
        ("False", True, "backfill", False),
        (True, False, "backfill", True),
        (" yes ", False, "scheduled", True),
    ],
)
def test_a_run_tunes_if_it_is_asked_to_or_an_alarm_asks_but_for_no_alarm_in_a_backfill(
    ingest: Ingest, settings: Settings, asked: bool | str, alarm: bool, run_kind: str, tunes: bool
) -> None:
    ingest(Window(at(1), at(2)), at(10))
    level = "tune" if alarm else "ok"
    row = (at(9, 23), 1, "monitoring", "skill", OVERALL, level, 1.6, 1.0, "as a test wants it")
    Alarms(settings).write(pl.DataFrame([row], schema=CHECKS, orient="row"))
    created = feature_view.create(1, tune=asked, run_kind=run_kind, settings=settings)
    assert (created["tuning_is_due"], created["tune"]) == (alarm, tunes)


def test_a_word_that_is_neither_yes_nor_no_is_refused(ingest: Ingest, settings: Settings) -> None:
    ingest(Window(at(1), at(2)), at(10))
    with pytest.raises(InvalidArgument, match="tune must be True or False, not 'perhaps'"):
        feature_view.create(1, tune="perhaps", settings=settings)


def test_a_root_folder_with_a_star_in_its_path_reads_its_own_training_dataset(tmp_path: Path) -> None:
    """A pattern in a path names the files of a copy of the root folder, too."""
    settings = Settings(root_dir=tmp_path / "a*b")
    window = Window(at(1), at(2))
    frame = pl.DataFrame([("DK1", "111", window.start, 1.0)], schema=OBSERVATIONS, orient="row")
    FeatureStore(settings).ingest(
        frame,
        dataset="ConsumptionDE35Hour",
        feature_group_version=1,
        window=window,
        reference_datetime=window.end,
        url="x",
        record={},
    )
    version = feature_view.create(1, settings=settings)["training_dataset_version"]
    shutil.copytree(settings.root, tmp_path / "a-copy-b")
    assert FeatureStore(settings).read_training_dataset(version).height == 1
