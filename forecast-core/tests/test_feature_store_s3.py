"""The store on S3: the same code, with commits serialised by conditional put."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests import object_store

from forecast_core import stores
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, StorageError
from forecast_core.contracts.schema import HOUR, METRICS, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.tables import blobs, delta

START = datetime(2023, 1, 1, tzinfo=UTC)
HOURS, RUNS = 30, 4
GROUP: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store.running() as address:
        yield address


@pytest.fixture
def settings(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Settings:
    for name, value in object_store.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return Settings(**object_store.bucket(endpoint, f"bucket-{abs(hash(request.node.name))}"))


def ingest(store: FeatureStore, run: int) -> None:
    window = Window(START + run * HOUR, START + (run + HOURS) * HOUR)
    rows = [("DK1", kind, window.start + step * HOUR, float(step % 5)) for kind in "abc" for step in range(HOURS)]
    frame = pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")
    store.ingest(
        frame, **GROUP, window=window, reference_datetime=window.end, url="demo://denmark", record={"run": run}
    )


def states(store: FeatureStore) -> list[pl.DataFrame]:
    window = Window(START, START + (HOURS + RUNS) * HOUR)
    times = [START + (HOURS + run) * HOUR for run in range(RUNS)]
    return [store.read(**GROUP, window=window, reference_datetime=known_at) for known_at in times]


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = FeatureStore(Settings(root_dir=tmp_path_factory.mktemp("disk")))
    for run in range(RUNS):
        ingest(store, run)
    return store


def test_a_store_on_s3_gives_what_one_on_disk_gives(settings: Settings, on_disk: FeatureStore) -> None:
    store = FeatureStore(settings)
    stores.create(store.settings)
    for run in (2, 0, 1, 3, 0):
        ingest(store, run)
    expected = states(on_disk)
    window = Window(START, START + HOURS * HOUR)
    view = store.create_feature_view(**GROUP)
    dataset = store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=window.end)
    report = stores.maintain(store.settings, keep=timedelta(days=1))
    assert report["observations/demo/v1"]["files_after"] == 4
    for mine, theirs in zip(states(store), expected, strict=True):
        assert mine.equals(theirs)
    assert store.read_training_dataset(dataset.version).height == 3 * HOURS
    assert [each.record["run"] for each in store.ingests()] == list(range(RUNS))


def test_writers_in_parallel_on_s3_lose_nothing(settings: Settings, on_disk: FeatureStore) -> None:
    with ThreadPoolExecutor(3) as threads:
        # The tables do not exist yet.
        list(threads.map(lambda run: ingest(FeatureStore(settings), run), reversed(range(RUNS))))
    store = FeatureStore(settings)
    for mine, theirs in zip(states(store), states(on_disk), strict=True):
        assert mine.equals(theirs)
    assert len(store.ingests()) == RUNS


def test_a_commit_on_s3_never_replaces_another(settings: Settings) -> None:
    numbers = pl.Schema({"number": pl.Int64()})
    table = delta.Table(f"{settings.store}/numbers", numbers, storage_options=settings.storage_options)

    def append(number: int) -> None:
        table.commit(lambda _: (None, delta.Change(pl.DataFrame({"number": [number]}, schema=numbers))))

    append(0)
    planned: list[int] = []

    def overtaken(snapshot: delta.Snapshot) -> tuple[None, delta.Change]:
        planned.append(snapshot.rows.collect().height)
        if len(planned) == 1:
            append(1)
        return None, delta.Change(pl.DataFrame({"number": [2]}, schema=numbers))

    table.commit(overtaken)
    assert planned == [1, 2]
    assert sorted(table.collect(lambda rows: rows)["number"]) == [0, 1, 2]


def test_an_archive_on_s3_is_written_maintained_and_read(settings: Settings) -> None:
    archive = ForecastArchive(settings)
    frames = [metrics(START + hour * HOUR) for hour in range(3)]
    for frame in (*frames, frames[0]):
        archive.write_metrics(frame)
    assert stores.maintain(settings, keep=timedelta(days=1))["monitoring"]["files_after"] == 1
    assert archive.read_metrics(feature_view_version=1).equals(pl.concat(frames))


def test_files_on_s3_are_written_replaced_and_read(settings: Settings) -> None:
    uri = blobs.write(settings, "validation", "demo", "x.json", content=b"one")
    assert uri == f"{settings.store}/validation/demo/x.json"
    assert blobs.write(settings, "validation", "demo", "x.json", content=b"two") == uri
    assert blobs.read(settings, "validation", "demo", "x.json") == b"two"
    with pytest.raises(NotFoundError, match=f"there is no file {settings.store}/validation/demo/y.json"):
        blobs.read(settings, "validation", "demo", "y.json")
    nowhere = settings.model_copy(update={"store_uri": "s3://no-such-bucket/store"})
    with pytest.raises(StorageError, match="cannot be read or written now"):
        blobs.write(nowhere, "x.json", content=b"one")


def metrics(reference: datetime) -> pl.DataFrame:
    return pl.DataFrame(
        [(reference, 1, "overall", None, None, None, None, 7, "wape", 0.5, 3)], schema=METRICS, orient="row"
    )


def test_a_store_that_cannot_hold_commits_apart_is_not_written(settings: Settings) -> None:
    options = {**(settings.storage_options or {}), "conditional_put": "disabled"}
    store = FeatureStore(settings.model_copy(update={"storage_options": options}))
    with pytest.raises(StorageError, match="conditional put"):
        ingest(store, 0)


def test_secrets_in_storage_options_are_refused_by_name_and_not_shown(tmp_path: Path) -> None:
    options = {"endpoint_url": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    with pytest.raises(InvalidArgument, match="here are AWS_SECRET_ACCESS_KEY: set them in the environment") as raised:
        FeatureStore(Settings(root_dir=tmp_path, storage_options=options))
    assert "hunter2" not in f"{raised.value}{raised.value.facts}"
