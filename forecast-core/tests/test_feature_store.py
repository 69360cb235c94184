"""The feature store: refused input, feature views, training datasets, and errors of a damaged or full store."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from forecast_core import stores
from forecast_core.contracts.errors import FormatError, InvalidArgument, NotFoundError, StorageError, WindowError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore, IngestCounts, TrainingDataset

START = datetime(2023, 1, 1, 22, tzinfo=UTC)
WINDOW = Window(START, START + 4 * HOUR)
KNOWN_AT = START + timedelta(days=15)


def frame(*, first: float = 1.0, hours: int = 4, start: datetime = START) -> pl.DataFrame:
    rows = [(area, "111", start + step * HOUR, first + step) for area in ("DK1", "DK2") for step in range(hours)]
    return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(Settings(root_dir=tmp_path))


def ingest(store: FeatureStore, given: pl.DataFrame, **changes: Any) -> IngestCounts:
    arguments: dict[str, Any] = {
        "dataset": "demo",
        "feature_group_version": 1,
        "window": WINDOW,
        "reference_datetime": KNOWN_AT,
        "url": "demo://denmark",
        "record": {"rows": given.height},
    }
    return store.ingest(given, **(arguments | changes))


def view_of_ingested(store: FeatureStore) -> int:
    ingest(store, frame())
    return store.create_feature_view(dataset="demo", feature_group_version=1)


def dataset_as_known_at(store: FeatureStore, known_at: datetime, view: int = 1) -> TrainingDataset:
    return store.create_training_dataset(feature_view_version=view, window=WINDOW, reference_datetime=known_at)


VALUE = pl.col("energy_consumption")
BAD_FRAMES = {
    "NaN": (frame().with_columns(VALUE * float("nan")), "finite"),
    "infinite": (frame().with_columns(VALUE * float("inf")), "finite"),
    "missing value": (frame().with_columns(pl.lit(None, pl.Float64).alias("energy_consumption")), "energy_consumption"),
    "duplicate": (pl.concat([frame(), frame(first=9.0)]), "share their key"),
    "off the hour": (frame().with_columns(pl.col("datetime_utc") + timedelta(minutes=1)), "full hour"),
    "outside": (frame(hours=5), "2 rows"),
    "column order": (frame().select(reversed(OBSERVATIONS.names())), "expected the columns"),
    "type": (frame().with_columns(VALUE.cast(pl.Int64)), "expected the columns"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_frame_that_is_not_exactly_observations_is_refused_and_nothing_stored(store: FeatureStore, case: str) -> None:
    bad, message = BAD_FRAMES[case]
    with pytest.raises(InvalidArgument, match=message):
        ingest(store, bad)
    assert store.feature_group_versions() == []


@pytest.mark.parametrize("change", [{"dataset": "../demo"}, {"feature_group_version": 0}, {"record": {"at": KNOWN_AT}}])
def test_bad_names_versions_and_records_are_refused_and_nothing_stored(
    store: FeatureStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument):
        ingest(store, frame(), **change)
    assert not list(tmp_path.iterdir())


def test_an_unknown_feature_group_is_named_with_those_that_exist(store: FeatureStore) -> None:
    ingest(store, frame())
    ingest(store, frame(), dataset="other", feature_group_version=2)
    with pytest.raises(NotFoundError, match=r"'demo' version 3.*\('demo', 1\), \('other', 2\)"):
        store.read(dataset="demo", feature_group_version=3, window=WINDOW, reference_datetime=KNOWN_AT)
    assert store.feature_group_versions("other") == [("other", 2)]


def test_the_latest_ingest_is_the_one_known_last_not_the_one_written_last(store: FeatureStore) -> None:
    assert store.latest_ingest(feature_group_version=1) is None
    later = Window(WINDOW.start + HOUR, WINDOW.end + HOUR)
    ingest(store, frame(start=later.start), window=later, reference_datetime=KNOWN_AT + HOUR, record={"note": "later"})
    ingest(store, frame())
    latest = store.latest_ingest(feature_group_version=1, dataset="demo")
    assert latest is not None
    assert (latest.known_at, latest.window, latest.record) == (KNOWN_AT + HOUR, later, {"note": "later"})
    of_window = store.latest_ingest(feature_group_version=1, window_end=WINDOW.end)
    assert of_window is not None
    assert (of_window.known_at, of_window.counts) == (KNOWN_AT, IngestCounts(8, 8, 0, 0, 0))
    assert store.latest_ingest(feature_group_version=2) is None


def test_ingests_are_listed_between_two_reference_times_both_included(store: FeatureStore) -> None:
    times = [KNOWN_AT + each * HOUR for each in range(4)]
    for time in times:
        ingest(store, frame(), reference_datetime=time)
    group: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
    found = store.ingests(**group, known_from=times[1], known_until=times[2])
    assert [each.known_at for each in found] == times[1:3]
    assert [each.known_at for each in store.ingests(known_from=times[3])] == times[3:]
    latest = store.latest_ingest(**group, known_until=times[2])
    assert latest is not None
    assert latest.known_at == times[2]
    assert store.latest_ingest(**group, known_until=times[0] - HOUR) is None


def test_of_two_datasets_known_at_the_same_time_the_latest_is_the_one_written_last(store: FeatureStore) -> None:
    for dataset in ("b", "c", "a"):
        ingest(store, frame(), dataset=dataset)
    latest = store.latest_ingest(feature_group_version=1)
    assert latest is not None
    assert latest.dataset == "a"


def test_the_facts_of_a_repeated_ingest_replace_the_earlier_ones(store: FeatureStore, tmp_path: Path) -> None:
    for run in (1, 2):
        ingest(store, frame(), record={"run": run})
    facts = pl.read_delta(str(tmp_path / "store" / "ingests"))
    assert facts["record"].to_list() == ['{"run": 2}']


def test_a_view_has_one_version_per_definition(store: FeatureStore) -> None:
    assert view_of_ingested(store) == 1
    ingest(store, frame(), feature_group_version=2)
    assert store.create_feature_view(dataset="demo", feature_group_version=2) == 2
    assert store.create_feature_view(dataset="demo", feature_group_version=1) == 1
    view = store.feature_view(2)
    assert (view.dataset, view.feature_group_version, view.definition["unit"]) == ("demo", 2, "kWh")
    with pytest.raises(NotFoundError, match=r"version 3; there are \[1, 2\]"):
        store.feature_view(3)


def test_a_view_of_nothing_is_refused(store: FeatureStore) -> None:
    with pytest.raises(NotFoundError, match="none yet"):
        store.create_feature_view(dataset="demo", feature_group_version=1)


def test_a_training_dataset_is_identified_by_content_not_by_arrival(tmp_path: Path) -> None:
    forwards, backwards = (FeatureStore(Settings(root_dir=tmp_path / name)) for name in ("forwards", "backwards"))
    parts = [(frame(), KNOWN_AT), (frame(first=5.0), KNOWN_AT + HOUR), (frame(), KNOWN_AT + 2 * HOUR)]
    for part, known_at in parts:
        ingest(forwards, part, reference_datetime=known_at)
    for part, known_at in reversed(parts):
        ingest(backwards, part.reverse(), reference_datetime=known_at + timedelta(minutes=1))
    datasets = {}
    for store, later in ((forwards, timedelta(0)), (backwards, timedelta(minutes=1))):
        store.create_feature_view(dataset="demo", feature_group_version=1)
        datasets[store] = [dataset_as_known_at(store, known_at + later) for _, known_at in parts]
        assert [dataset.version for dataset in datasets[store]] == [1, 2, 1]
        assert store.read_training_dataset(2).equals(frame(first=5.0))
    hashes = [[dataset.content_hash for dataset in made] for made in datasets.values()]
    assert hashes[0] == hashes[1]


def test_the_hash_of_a_training_dataset_is_pinned(store: FeatureStore) -> None:
    # A change of this number makes every stored training dataset unreadable: write a new format instead.
    view_of_ingested(store)
    dataset = dataset_as_known_at(store, KNOWN_AT)
    assert dataset.content_hash == "271deb4653bd6008346f2f387faa943adf31ee8ed211f5de33fe848667a568cd"
    assert (dataset.rows, dataset.series, dataset.window) == (8, 2, WINDOW)
    assert store.training_dataset(1) == dataset


def test_a_training_dataset_does_not_change_when_values_are_revised(store: FeatureStore) -> None:
    view_of_ingested(store)
    dataset = dataset_as_known_at(store, KNOWN_AT)
    ingest(store, frame(first=7.0), reference_datetime=KNOWN_AT + HOUR)
    assert store.read_training_dataset(dataset.version).equals(frame())
    assert dataset_as_known_at(store, KNOWN_AT + HOUR).version == 2


def training_file(root: Path) -> Path:
    (file,) = root.rglob(f"{'[0-9a-f]' * 64}.parquet")
    return file


def test_a_changed_training_dataset_is_found_out(store: FeatureStore, tmp_path: Path) -> None:
    view_of_ingested(store)
    version = dataset_as_known_at(store, KNOWN_AT).version
    file = training_file(tmp_path)
    pl.read_parquet(file).with_columns(VALUE.replace(2.0, 2.5)).write_parquet(file)
    with pytest.raises(FormatError, match="not what was registered"):
        store.read_training_dataset(version)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FormatError, match="damaged"):
        store.read_training_dataset(version)


def test_a_lost_training_dataset_says_how_to_make_it_again(store: FeatureStore, tmp_path: Path) -> None:
    view_of_ingested(store)
    dataset = dataset_as_known_at(store, KNOWN_AT)
    training_file(tmp_path).unlink()
    with pytest.raises(NotFoundError, match="create the dataset again"):
        store.read_training_dataset(dataset.version)
    assert dataset_as_known_at(store, dataset.known_at) == dataset
    assert store.read_training_dataset(dataset.version).equals(frame())


def test_a_training_dataset_of_nothing_says_which_hours_there_are(store: FeatureStore) -> None:
    view = view_of_ingested(store)
    elsewhere = Window(WINDOW.end, WINDOW.end + HOUR)
    with pytest.raises(WindowError, match="2023-01-01 22:00 to 2023-01-02 01:00"):
        store.create_training_dataset(feature_view_version=view, window=elsewhere, reference_datetime=KNOWN_AT)
    with pytest.raises(WindowError, match="no hour at all"):
        dataset_as_known_at(store, KNOWN_AT - HOUR)


def test_unknown_training_datasets_are_named_with_those_that_exist(store: FeatureStore) -> None:
    with pytest.raises(NotFoundError, match="none yet"):
        store.training_dataset(1)
    view_of_ingested(store)
    dataset_as_known_at(store, KNOWN_AT)
    with pytest.raises(NotFoundError, match=r"\[1\]"):
        store.read_training_dataset(2)


def test_creating_the_tables_twice_changes_nothing(store: FeatureStore, tmp_path: Path) -> None:
    stores.create(store.settings)
    stores.create(store.settings)
    names = ("ingests", "feature_views", "training_datasets")
    assert [DeltaTable(str(tmp_path / "store" / name)).version() for name in names] == [0, 0, 0]


@pytest.mark.parametrize(("found", "remedy"), [("1", "or a newer one"), ("3", "or a newer one"), ("x", "no table of")])
def test_a_table_of_a_format_that_is_not_known_is_refused_by_name(
    store: FeatureStore, tmp_path: Path, found: str, remedy: str
) -> None:
    ingest(store, frame())
    table = DeltaTable(str(tmp_path / "store" / "observations" / "demo" / "v1"))
    table.alter.set_table_properties({"forecast_core.format": found}, raise_if_not_exists=False)
    with pytest.raises(FormatError, match=f"has format {found}: .*{remedy}"):
        store.read(dataset="demo", feature_group_version=1, window=WINDOW, reference_datetime=KNOWN_AT)
    with pytest.raises(FormatError):
        ingest(store, frame(first=2.0), reference_datetime=KNOWN_AT + HOUR)


def test_a_store_may_be_named_by_a_file_uri(tmp_path: Path) -> None:
    store = FeatureStore(Settings(store_uri=(tmp_path / "a store").as_uri()))
    assert view_of_ingested(store) == 1
    dataset_as_known_at(store, KNOWN_AT)
    assert FeatureStore(Settings(store_uri=str(tmp_path / "a store"))).read_training_dataset(1).equals(frame())


@pytest.mark.parametrize("folder", ["a store", "Søren's", "50*(2+2)"])
def test_a_store_may_be_in_any_usual_folder(tmp_path: Path, folder: str) -> None:
    store = FeatureStore(Settings(root_dir=tmp_path / folder))
    view_of_ingested(store)
    assert store.read_training_dataset(dataset_as_known_at(store, KNOWN_AT).version).equals(frame())


@pytest.mark.parametrize("folder", ["a=b", "a%20b", "a[b]"])
def test_a_store_in_a_folder_that_delta_tables_cannot_be_in_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InvalidArgument, match="set ML_PIPELINE_ROOT_DIR"):
        FeatureStore(Settings(root_dir=tmp_path / folder))


def test_a_store_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be"):
        ingest(FeatureStore(Settings(root_dir=tmp_path / "file")), frame())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield disk
    finally:
        # Lazily: a thread of delta-rs whose write has failed may hold the file for a moment longer.
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_said_to_be_full_and_after_making_room_all_is_well(small_disk: Path) -> None:
    store = FeatureStore(Settings(root_dir=small_disk))
    ingest(store, frame())
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(StorageError, match=r"disk that holds .* is full"):
        ingest(store, frame(first=2.0), reference_datetime=KNOWN_AT + HOUR)
    as_before = store.read(dataset="demo", feature_group_version=1, window=WINDOW, reference_datetime=KNOWN_AT + HOUR)
    assert as_before.equals(frame())
    ballast.unlink()
    assert ingest(store, frame(first=2.0), reference_datetime=KNOWN_AT + HOUR).revised == 8
