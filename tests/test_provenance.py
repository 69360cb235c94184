"""Tracing a forecast to its source, and computing it again, after three hours that ran out of order."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch_prediction_pipeline import batch, lineage
from feature_pipeline import demo, feature_view, maintenance, pipeline
from forecast_core import stores
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.recreate import recreate
from forecast_core.provenance.trace import trace
from training_pipeline import train

FIRST = datetime(2024, 4, 12, 5, tzinfo=UTC)
HOURS = [FIRST + offset * HOUR for offset in range(3)]
DAYS = 12
KINDS = ("111", "121", "215")
SERIES = {"area": "DK1", "consumer_type": "121"}
ARCHIVE = "ConsumptionDE35Hour.parquet"


def published(folder: Path, reference: datetime) -> str:
    """The source's values at a reference time, as a file: a few hours are unpublished, some are restated later."""
    window = Window.before(reference, days_delay=1, days_export=DAYS)
    frame = demo.observations(window.start, window.end, known_at=reference).filter(pl.col("consumer_type").is_in(KINDS))
    # One hour of every series is restated with each reference time.
    restated = pl.col("datetime_utc") == window.end - timedelta(hours=30)
    frame = frame.with_columns(
        pl.when(restated)
        .then(pl.col("energy_consumption") + reference.hour)
        .otherwise("energy_consumption")
        .round(0)
        .alias("energy_consumption")
    )
    path = folder / f"{reference:%H}" / ARCHIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.select(
        pl.col("datetime_utc").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"),
        pl.col("area").alias("PriceArea"),
        pl.col("consumer_type").alias("ConsumerType_DE35"),
        pl.col("energy_consumption").cast(pl.Int64).alias("TotalCon"),
    ).write_parquet(path)
    return str(path)


def live(settings: Settings, reference: datetime, url: str, dag_run_id: str) -> batch.Predicted:
    """Do what the DAG does in one run; return what the forecast task returns."""
    features = pipeline.run(reference, 1, DAYS, url, dag_run_id=dag_run_id, settings=settings)
    window: dict[str, Any] = {
        "start_datetime": features["export_datetime_utc_start"],
        "end_datetime": features["export_datetime_utc_end"],
    }
    at: dict[str, Any] = {"reference_datetime": features["reference_datetime"], "settings": settings}
    view = feature_view.create(1, **window, dataset=features["dataset"], **at)
    versions = (view["feature_view_version"], view["training_dataset_version"])
    model = train.from_best_config(24, *versions, dag_run_id=dag_run_id, **at)
    return batch.predict(
        24, view["feature_view_version"], model["model_version"], **window, dag_run_id=dag_run_id, **at
    )


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Settings:
    """A system in which the second hour ran first, then the first, the third, and the second again."""
    root = tmp_path_factory.mktemp("lived")
    (root / "root").mkdir()
    settings = Settings(root_dir=root / "root", threads=2)
    Path(settings.root / "mlflow.db").write_bytes(tracking_template.read_bytes())
    _own_artifacts(settings)
    for name, hour in (("second", 1), ("first", 0), ("third", 2), ("again", 1)):
        live(settings, HOURS[hour], published(root / "source", HOURS[hour]), f"manual__{name}")
    return settings


def _own_artifacts(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.root / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (settings.artifacts,))


@pytest.fixture
def copied(system: Settings, tmp_path: Path) -> Settings:
    """The same stores, for a test that writes into them."""
    shutil.copytree(system.root, tmp_path / "root")
    return system.model_copy(update={"root_dir": tmp_path / "root"})


def of(reference: datetime, **more: Any) -> dict[str, Any]:
    return {**SERIES, "datetime_utc": reference - timedelta(days=1) + 3 * HOUR, "reference_datetime": reference, **more}


def test_a_trace_names_everything_that_a_forecast_came_from(system: Settings) -> None:
    found = trace(system, **of(HOURS[1]))
    assert json.loads(json.dumps(found)) == found
    archived = ForecastArchive(system).read(reference_from=HOURS[1], reference_until=HOURS[1] + HOUR)
    [row] = archived.filter(
        pl.col("area") == "DK1", pl.col("consumer_type") == "121", pl.col("datetime_utc") == HOURS[0] - 20 * HOUR
    ).to_dicts()
    assert found["forecast"] == row | {"reference_datetime": "2024-04-12 06:00", "datetime_utc": "2024-04-11 09:00"}
    store = FeatureStore(system)
    dataset = store.training_dataset(row["training_dataset_version"])
    assert found["training_dataset"]["content_hash"] == dataset.content_hash == found["run"]["history_hash"]
    assert found["feature_view"]["definition_hash"] == store.feature_view(1).definition_hash
    assert found["model"]["version"] == row["model_version"]
    assert set(found["model"]["files"]) == {"model.json", "ridge.npz", "trees-0.txt"}
    assert found["configuration"]["source"] == "default"
    assert found["configuration"]["values"]["trees"] == 100
    assert {"forecast-core", "load-forecaster", "batch-prediction-pipeline"} == set(found["run"]["code"]["packages"])
    assert {"forecast-core", "load-forecaster", "training-pipeline"} == set(found["model"]["code"]["packages"])


def test_a_trace_shows_each_observation_with_the_ingest_that_made_it_known(system: Settings) -> None:
    found = trace(system, **of(HOURS[1]))
    window = Window.before(HOURS[1], days_delay=1, days_export=DAYS)
    seen = FeatureStore(system).read(
        with_known_at=True,
        dataset="ConsumptionDE35Hour",
        feature_group_version=1,
        window=window,
        reference_datetime=HOURS[1],
        series=[("DK1", "121")],
    )
    observations, ingests = found["observations"], found["ingests"]
    assert observations["count"] == seen.height
    newest = seen.row(-1, named=True)
    assert observations["latest"][0] == {
        "datetime_utc": newest["datetime_utc"].strftime("%Y-%m-%d %H:%M"),
        "energy_consumption": newest["energy_consumption"],
        "known_at": newest["known_at"].strftime("%Y-%m-%d %H:%M"),
    }
    # Known since the first hour, though that was run later; nothing of the third is seen.
    times = {ingest["known_at"]: ingest for ingest in ingests["latest"]}
    assert set(times) == {"2024-04-12 05:00", "2024-04-12 06:00"}
    assert sum(ingest["values"] for ingest in times.values()) == seen.height
    assert times["2024-04-12 05:00"]["dag_run_id"] == "manual__first"
    assert times["2024-04-12 05:00"]["url"].endswith(ARCHIVE)
    assert Path(times["2024-04-12 05:00"]["validation_result"]).is_file()
    assert (ingests["of_run"] or {})["rows"] > 0


def test_the_dag_run_is_the_one_that_made_it_first_and_another_changes_nothing(system: Settings) -> None:
    found = trace(system, **of(HOURS[1]))
    assert found["run"]["dag_run_id"] == "manual__second"
    assert found["model"]["dag_run_id"] == "manual__second"
    assert (found["ingests"]["of_run"] or {})["dag_run_id"] == "manual__second"
    assert found["run"]["forecasts_are_as_recorded"]


@pytest.mark.parametrize(("reference", "threads"), [(HOURS[0], 1), (HOURS[1], 1), (HOURS[2], 3)])
def test_every_run_is_made_again_bit_for_bit(system: Settings, reference: datetime, threads: int) -> None:
    before = _contents(system)
    found = recreate(system.model_copy(update={"threads": threads}), reference_datetime=reference)
    assert found["same"]
    assert found["forecasts"]["different_rows"] == 0
    assert found["code"] == {"model": [], "forecasts": []}
    assert _contents(system) == before, "nothing is written"


def test_revisions_that_come_later_change_nothing_of_what_is_made_again(copied: Settings, tmp_path: Path) -> None:
    recorded = trace(copied, **of(HOURS[2]))
    later = HOURS[2] + timedelta(days=20)
    frame = pl.read_parquet(published(tmp_path, HOURS[2])).with_columns(pl.col("TotalCon") + 1000)
    frame.write_parquet(tmp_path / ARCHIVE)
    features = pipeline.run(later, 21, DAYS, str(tmp_path / ARCHIVE), settings=copied)
    assert features["revised"] > 1000
    assert recreate(copied, reference_datetime=HOURS[2])["same"]
    assert trace(copied, **of(HOURS[2])) == recorded


def test_maintenance_changes_nothing_of_what_is_made_again(copied: Settings) -> None:
    recorded = trace(copied, **of(HOURS[2]))
    # Once more, so that what the first one took out of the tables is seen to be of no use.
    reports = [maintenance.run(keep_days=1, settings=copied) for _ in range(2)]
    assert reports[0]["tables"]["forecast_runs"]["files_after"] < reports[0]["tables"]["forecast_runs"]["files_before"]
    assert stores.maintain(copied, keep=HOUR)
    assert recreate(copied, reference_datetime=HOURS[2])["same"]
    assert trace(copied, **of(HOURS[2])) == recorded


def _contents(settings: Settings) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (settings.root / "store").rglob("*") if path.is_file()}


@contextmanager
def tampered(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(change(before))
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_training_file_with_another_value_is_found(copied: Settings) -> None:
    content = trace(copied, **of(HOURS[0]))["training_dataset"]["content_hash"]
    path = copied.root / "store" / "training_dataset_files" / f"{content}.parquet"
    other = pl.read_parquet(path).with_columns(pl.col("energy_consumption") + 1)

    other.write_parquet(path)
    found = recreate(copied, reference_datetime=HOURS[0])
    assert not found["same"]
    assert not found["training_dataset"]["same"]
    assert "is not what was registered" in found["training_dataset"]["file"]
    assert found["forecasts"]["same"], "the observations still give the same"


def test_a_model_file_with_another_split_is_found(system: Settings) -> None:
    source = trace(system, **of(HOURS[0]))["model"]["source"]
    path = Path(source.removeprefix("file://")) / "trees-0.txt"
    with tampered(path, lambda text: text.replace(b"leaf_value=", b"leaf_value=1", 1)):
        found = recreate(system, reference_datetime=HOURS[0])
    assert not found["model"]["same"]
    digests = found["model"]["files"]["trees-0.txt"]
    assert digests["recreated"] == digests["recorded"] != digests["kept"]


def test_an_archived_forecast_with_another_value_is_found(copied: Settings) -> None:
    archive = ForecastArchive(copied)
    rows = archive.read(feature_view_version=1, reference_from=HOURS[2], reference_until=HOURS[2] + HOUR)
    one = pl.int_range(pl.len()) == 7
    raised = pl.when(one).then(pl.col("energy_consumption") + 0.001).otherwise("energy_consumption")
    archive.write(rows.with_columns(raised.alias("energy_consumption")))
    found = recreate(copied, reference_datetime=HOURS[2])
    assert not found["same"]
    assert found["forecasts"]["different_rows"] == 1
    assert not trace(copied, **of(HOURS[2]))["run"]["forecasts_are_as_recorded"]


def test_what_is_not_there_is_an_error_that_says_what_is(system: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"made from 2024-04-12 05:00 to 2024-04-12 07:00 \(3 in all\)"):
        trace(system, **of(HOURS[0] - HOUR))
    with pytest.raises(NotFoundError, match="DK1 has no consumer type '999'; it has 111, 121, 215"):
        trace(system, **of(HOURS[0], consumer_type="999"))
    with pytest.raises(NotFoundError, match="it has 2024-04-11 05:00 to 2024-04-12 04:00"):
        trace(system, **of(HOURS[0], datetime_utc="2024-04-13 05:00"))
    with pytest.raises(NotFoundError, match="no forecasts of feature view 7"):
        trace(system, **of(HOURS[0], feature_view_version=7))
    with pytest.raises(InvalidArgument, match="reference_datetime must be a time"):
        trace(system, **of(HOURS[0], reference_datetime="soon"))


def test_forecasts_of_two_views_at_one_time_need_the_view(copied: Settings) -> None:
    archive = ForecastArchive(copied)
    [run] = archive.read_runs(reference_from=HOURS[0], reference_until=HOURS[0] + HOUR).to_dicts()
    assert run["feature_view_version"] == 1
    archive.write_run(pl.DataFrame([run | {"feature_view_version": 2}], schema=archive.read_runs().schema))
    rows = archive.read(reference_from=HOURS[0], reference_until=HOURS[0] + HOUR)
    archive.write(rows.with_columns(feature_view_version=pl.lit(2, pl.Int64)))
    with pytest.raises(InvalidArgument, match=r"feature views \[1, 2\] have forecasts of 2024-04-12 05:00"):
        trace(copied, **of(HOURS[0]))
    assert trace(copied, **of(HOURS[0], feature_view_version=1))["run"]["feature_view_version"] == 1


def command(settings: Settings, *more: str) -> subprocess.CompletedProcess[str]:
    options = [
        "--area",
        "DK1",
        "--consumer-type",
        "121",
        "--hour",
        "2024-04-11T10:00",
        "--reference",
        "2024-04-12T06:00",
    ]
    return subprocess.run(
        [sys.executable, "-m", "batch_prediction_pipeline", "lineage", *options, *more],
        env={"ML_PIPELINE_ROOT_DIR": str(settings.root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_shows_the_tree_and_that_all_is_identical(system: Settings) -> None:
    done = command(system, "--recreate")
    assert done.returncode == 0, done.stderr
    for text in ("forecast DK1/121 of 2024-04-11 10:00", "DAG run      manual__second", "known at 2024-04-12 05:00"):
        assert text in done.stdout
    assert "made again: identical, bit for bit" in done.stdout


def test_the_command_as_json_is_the_trace(system: Settings) -> None:
    assert json.loads(command(system, "--json").stdout) == trace(
        system, **of(HOURS[1], datetime_utc="2024-04-11 10:00")
    )


def test_the_command_ends_with_1_if_something_differs(system: Settings) -> None:
    source = trace(system, **of(HOURS[1]))["model"]["source"]
    with tampered(Path(source.removeprefix("file://")) / "model.json", lambda text: text + b" "):
        done = command(system, "--recreate")
    assert done.returncode == 1
    assert "made again: DIFFERENT" in done.stdout


def test_a_lineage_of_nothing_made_again_is_not_called_different(system: Settings) -> None:
    assert lineage.is_same(lineage.of_forecast(**of(HOURS[1]), settings=system))
