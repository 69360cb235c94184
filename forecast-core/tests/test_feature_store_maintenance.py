"""Maintenance compacts files and deletes unreachable ones, without harm to readers, writers and training datasets."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from forecast_core import stores
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import FORECASTS, HOUR, OBSERVATIONS, QUANTILES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore, observations
from forecast_core.tables import delta, upkeep

START = datetime(2023, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
EVERYTHING = Window(START, START + WEEK)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(Settings(root_dir=tmp_path))


def run(store: FeatureStore, hour: int) -> None:
    window = Window(START + hour * HOUR, START + (hour + 24) * HOUR)
    rows = [("DK1", "111", window.start + step * HOUR, float(step % 3)) for step in range(24)]
    frame = pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")
    store.ingest(
        frame,
        dataset="demo",
        feature_group_version=1,
        window=window,
        reference_datetime=window.end,
        url="demo://denmark",
        record={},
    )
    view = store.create_feature_view(dataset="demo", feature_group_version=1)
    store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=window.end)


def state(store: FeatureStore) -> pl.DataFrame:
    return store.read(dataset="demo", feature_group_version=1, window=EVERYTHING, reference_datetime=START + 2 * WEEK)


def grow_old(folder: Path) -> None:
    for file in folder.rglob("*"):
        if "_delta_log" not in file.parts and file.is_file():
            os.utime(file, (0, 0))


def test_after_maintenance_every_table_has_few_files_and_the_same_rows(store: FeatureStore, tmp_path: Path) -> None:
    for hour in range(8):
        run(store, hour)
    before, ingests = state(store), store.ingests()
    report = stores.maintain(store.settings, keep=WEEK)
    assert {name: each["files_after"] for name, each in report.items()} == {
        "ingests": 1,
        "feature_views": 1,
        "training_datasets": 1,
        "observations/demo/v1": 4,
        "step_log": 1,
    }
    assert state(store).equals(before)
    assert store.ingests() == ingests
    assert store.newest_training_dataset().version == 8
    again = stores.maintain(store.settings, keep=WEEK)
    assert all(each["files_before"] == each["files_after"] for each in again.values())
    assert report["observations/demo/v1"]["files_before"] == len(list(observation_files(tmp_path))) - 4
    run(store, 8)
    assert store.newest_training_dataset().version == 9
    run(store, -1)
    assert store.training_dataset(10).known_at < store.newest_training_dataset().known_at
    assert store.newest_training_dataset().version == 9


def test_files_of_many_rows_have_one_block_each_and_are_left_alone_when_others_come(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "ROW_GROUP", 20)
    for hour in (0, 200, 230, 250, 480):
        run(store, hour)
    before = everything(store)
    stores.maintain(store.settings, keep=WEEK)
    assert everything(store).equals(before)
    assert blocks_of_files(tmp_path) == [[0], [1], [2]]
    paths = set(files_of_first(tmp_path)["path"])
    run(store, 500)
    stores.maintain(store.settings, keep=WEEK)
    assert blocks_of_files(tmp_path) == [[0], [1], [2]]
    assert len(paths & set(files_of_first(tmp_path)["path"])) == 2


def test_merging_ends_where_not_all_of_what_belongs_together_fits_a_file(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "ROW_GROUP", 20)
    monkeypatch.setattr(observations, "FILE_ROWS", 60)
    for hour in range(0, 480, 12):
        run(store, hour)
    before = everything(store)
    stores.maintain(store.settings, keep=WEEK)
    assert everything(store).equals(before)
    assert len(blocks_of_files(tmp_path)) <= 504 * 2 // 60 + 3


def everything(store: FeatureStore) -> pl.DataFrame:
    window = Window(START, START + 6 * WEEK)
    return store.read_revisions(dataset="demo", feature_group_version=1, window=window)


def files_of_first(root: Path) -> pl.DataFrame:
    schema = observations.STORED
    table = delta.Table(str(root / "store" / "observations" / "demo" / "v1"), schema)
    snapshot = table.snapshot()
    assert snapshot is not None
    return observations.files_of(snapshot.files(), "first").sort("min_datetime_utc")


def blocks_of_files(root: Path) -> list[list[int]]:
    number = {each: observations.block(f"{each}_datetime_utc").alias(each) for each in ("min", "max")}
    bounds = (
        files_of_first(root).select(*number.values())
        - pl.select(pl.lit(START).alias("s")).select(observations.block("s")).item()
    )
    return [[*range(low, high + 1)] for low, high in bounds.rows()]


def observation_files(root: Path) -> list[Path]:
    return [*(root / "store" / "observations" / "demo" / "v1").rglob("*.parquet")]


def test_a_reader_of_an_earlier_version_goes_on_reading(store: FeatureStore, tmp_path: Path) -> None:
    for hour in range(3):
        run(store, hour)
    expected = state(store)
    table = delta.Table(str(tmp_path / "store" / "observations" / "demo" / "v1"), pl.Schema())
    snapshot = table.snapshot()
    assert snapshot is not None
    grow_old(tmp_path)
    stores.maintain(store.settings, keep=HOUR)
    assert snapshot.rows.filter(pl.col("kind") == "first").collect().height == expected.height
    # Without the time to keep them, the same vacuum takes them away.
    upkeep.vacuum(table, keep=timedelta(0))
    with pytest.raises(FileNotFoundError):
        snapshot.rows.collect()
    assert state(store).equals(expected)


def test_files_of_killed_writers_go_and_those_of_living_ones_stay(store: FeatureStore, tmp_path: Path) -> None:
    run(store, 0)
    folder = tmp_path / "store" / "observations" / "demo" / "v1" / "kind=first"
    (orphan := folder / "killed.parquet").touch()
    os.utime(orphan, (0, 0))
    (living := folder / "living.parquet").touch()
    assert stores.maintain(store.settings, keep=WEEK)["observations/demo/v1"]["files_deleted"] == 1
    assert (orphan.exists(), living.exists()) == (False, True)


def test_training_datasets_are_read_after_every_maintenance(store: FeatureStore, tmp_path: Path) -> None:
    for hour in range(3):
        run(store, hour)
    expected = [store.read_training_dataset(version) for version in (1, 2, 3)]
    grow_old(tmp_path)
    stores.maintain(store.settings, keep=HOUR)
    tables = [path.parent for path in (tmp_path / "store").rglob("_delta_log")]
    assert len(tables) == 5
    for table in tables:
        upkeep.vacuum(delta.Table(str(table), pl.Schema()), keep=timedelta(0))
    assert all(
        store.read_training_dataset(version).equals(frame) for version, frame in zip((1, 2, 3), expected, strict=True)
    )


def test_files_are_kept_for_an_hour_at_least(store: FeatureStore) -> None:
    with pytest.raises(InvalidArgument, match="an hour at least"):
        stores.maintain(store.settings, keep=timedelta(minutes=59))
    assert stores.maintain(store.settings, keep=HOUR) == {}


def test_the_archive_is_maintained_partition_by_partition(tmp_path: Path) -> None:
    archive = ForecastArchive(Settings(root_dir=tmp_path))
    frames = [forecast(START + hour * HOUR) for hour in (0, 1, 2, 24)]
    for frame in frames:
        archive.write(frame)
    report = stores.maintain(Settings(root_dir=tmp_path), keep=WEEK)
    assert report == {"forecasts": {"files_before": 4, "files_after": 2, "files_deleted": 0}}
    assert archive.read(feature_view_version=1).equals(pl.concat(frames))
    archive.write(frames[1].with_columns(energy_consumption=2.0))
    assert archive.read(feature_view_version=1)["energy_consumption"].to_list() == [1.0, 2.0, 1.0, 1.0]


def forecast(reference: datetime) -> pl.DataFrame:
    row: dict[str, Any] = dict.fromkeys((*QUANTILES, "energy_consumption"), 1.0) | dict.fromkeys(
        FORECASTS.names()[-3:], 1
    )
    row |= {"reference_datetime": reference, "area": "DK1", "consumer_type": "111", "datetime_utc": reference}
    return pl.DataFrame([row | {"quality": "model"}], schema=FORECASTS)


def test_the_log_is_shortened_to_what_the_newest_version_needs(store: FeatureStore, tmp_path: Path) -> None:
    for hour in range(3):
        run(store, hour)
    stores.maintain(store.settings, keep=WEEK)
    table = DeltaTable(str(tmp_path / "store" / "ingests"))
    log = tmp_path / "store" / "ingests" / "_delta_log"
    assert (log / f"{table.version():020}.checkpoint.parquet").exists()
