"""The calls of a course DAG at a past hour, after later hours ran: every step takes what its own run made.

The class of the fault: a step that is told no version or time took the newest of all runs. Members here: the training
dataset, the reference time of a training dataset whose rows a later run had too, the model, the window and the
reference time of a forecast, the reference time of monitoring.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batch_prediction_pipeline import batch, lineage, monitoring
from feature_pipeline import demo, feature_view, pipeline
from forecast_core import tracking
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.dag_run import DAG_ID, RUN_ID
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.provenance.trace import trace
from training_pipeline import hyperparameter_tuning, train

PAST = datetime(2024, 4, 12, 5, tzinfo=UTC)
LATE = PAST + timedelta(days=2)
DAYS = 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few series of the demonstration, as a file that is never restated."""
    frame = demo.observations(PAST - timedelta(days=DAYS + 2), LATE, known_at=LATE)
    path = tmp_path_factory.mktemp("source") / "ConsumptionDE35Hour.parquet"
    frame.filter(pl.col("consumer_type").is_in(["111", "121", "215"])).select(
        pl.col("datetime_utc").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"),
        pl.col("area").alias("PriceArea"),
        pl.col("consumer_type").alias("ConsumerType_DE35"),
        pl.col("energy_consumption").round(0).cast(pl.Int64).alias("TotalCon"),
    ).write_parquet(path)
    return str(path)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, source: str) -> Settings:
    """A system whose hourly run has run at a late hour."""
    root = tmp_path_factory.mktemp("defaults")
    Path(root / "mlflow.db").write_bytes(tracking_template.read_bytes())
    settings = Settings(root_dir=root, threads=2, tuning_trials=1)
    told(settings, LATE, source)
    return settings


@pytest.fixture
def in_airflow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def belong(dag_id: str, run_id: str) -> None:
        monkeypatch.setenv(DAG_ID, dag_id)
        monkeypatch.setenv(RUN_ID, run_id)

    monkeypatch.delenv(DAG_ID, raising=False)
    monkeypatch.delenv(RUN_ID, raising=False)
    return belong


def told(settings: Settings, reference_datetime: datetime, source: str) -> batch.Predicted:
    """One run of ``ml_pipeline``: every step is told every version and time."""
    features = pipeline.run(reference_datetime, 1, DAYS, source, settings=settings)
    at: dict[str, Any] = {"reference_datetime": features["reference_datetime"], "settings": settings}
    start, end = features["export_datetime_utc_start"], features["export_datetime_utc_end"]
    view = feature_view.create(1, start, end, dataset=features["dataset"], **at)
    versions = (view["feature_view_version"], view["training_dataset_version"])
    model = train.from_best_config(24, *versions, **at)
    return batch.predict(24, versions[0], model["model_version"], start, end, **at)


def as_in_the_course(settings: Settings, reference_datetime: datetime, source: str) -> batch.Predicted:
    """The same run with the arguments of the course's DAG: no reference time, no dataset, no horizon."""
    features = pipeline.run(reference_datetime.replace(tzinfo=None), 1, DAYS, source, settings=settings)
    view = feature_view.create(feature_group_version=features["feature_group_version"], settings=settings)
    versions: dict[str, Any] = {
        "feature_view_version": view["feature_view_version"],
        "training_dataset_version": view["training_dataset_version"],
    }
    model = train.from_best_config(**versions, settings=settings)
    monitored = monitoring.compute(view["feature_view_version"], settings=settings)
    assert monitored["reference_datetime"] == reference_datetime.strftime(DATETIME_FORMAT)
    return batch.predict(
        fh=24,
        feature_view_version=view["feature_view_version"],
        model_version=model["model_version"],
        start_datetime=datetime.strptime(features["export_datetime_utc_start"], features["datetime_format"]),  # noqa: DTZ007
        end_datetime=datetime.strptime(features["export_datetime_utc_end"], features["datetime_format"]),  # noqa: DTZ007
        settings=settings,
    )


def archived(settings: Settings, reference_datetime: datetime) -> pl.DataFrame:
    return ForecastArchive(settings).read(reference_from=reference_datetime, reference_until=reference_datetime + HOUR)


def test_the_calls_of_the_course_at_a_past_hour_give_the_forecasts_of_a_run_that_is_told_everything(
    system: Settings, source: str, in_airflow: Callable[[str, str], None]
) -> None:
    in_airflow("course", "manual__past")
    forecast = as_in_the_course(system, PAST, source)
    assert forecast["reference_datetime"] == PAST.strftime(DATETIME_FORMAT)
    found = archived(system, PAST)
    assert told(system, PAST, source) == forecast
    assert found.equals(archived(system, PAST))
    hour = found["datetime_utc"][0]
    traced = trace(system, area="DK1", consumer_type="111", datetime_utc=hour, reference_datetime=PAST)
    for made in (traced["run"], traced["model"], traced["ingests"]["of_run"]):
        assert made is not None
        assert (made["dag_id"], made["dag_run_id"]) == ("course", "manual__past")
    assert lineage.as_text(traced).count("course manual__past") >= 2


def test_a_task_trains_and_forecasts_by_its_own_run_while_another_run_is_between(
    system: Settings, source: str, in_airflow: Callable[[str, str], None]
) -> None:
    reference_datetime = PAST + HOUR
    in_airflow("course", "manual__slow")
    pipeline.run(reference_datetime, 1, DAYS, source, settings=system)
    view = feature_view.create(settings=system)
    in_airflow("ml_pipeline", "manual__slow")
    told(system, LATE, source)
    in_airflow("course", "manual__slow")
    model = train.from_best_config(settings=system)
    assert model["training_dataset_version"] == view["training_dataset_version"]
    in_airflow("ml_pipeline", "manual__slow")
    told(system, LATE, source)
    in_airflow("course", "manual__slow")
    forecast = batch.predict(settings=system)
    assert forecast["model_version"] == model["model_version"]
    assert forecast["reference_datetime"] == reference_datetime.strftime(DATETIME_FORMAT)


def test_the_same_rows_at_an_earlier_reference_time_are_tuned_and_trained_as_of_that_time(
    system: Settings, source: str, in_airflow: Callable[[str, str], None]
) -> None:
    # The same training dataset, which a later reference time made first: known_at of the dataset is later.
    in_airflow("ml_pipeline", "scheduled__late")
    pipeline.run(LATE + 2 * HOUR, 3, DAYS, source, settings=system)
    late = feature_view.create(settings=system)
    in_airflow("course", "manual__early")
    pipeline.run(LATE + 2 * HOUR - timedelta(days=1), 2, DAYS, source, settings=system)
    early = feature_view.create(settings=system)
    assert early["training_dataset_version"] == late["training_dataset_version"]
    versions = (early["feature_view_version"], early["training_dataset_version"])
    searched = hyperparameter_tuning.run(24, *versions, settings=system)
    assert searched["reference_datetime"] == early["reference_datetime"]
    model = train.from_best_config(24, *versions, settings=system)
    tags = tracking.model_version(system, model["model_version"]).tags
    assert tags["reference_datetime"] == early["reference_datetime"]
