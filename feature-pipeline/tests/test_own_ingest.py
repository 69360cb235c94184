"""A step without arguments takes what its own run ingested, or what was written last, and never the newest reference.

The class of the fault: "what is not given" was the ingest of the newest reference time. A run of a past hour then got
data of later hours, or another dataset, and ended green. Members: a past hour after a later one; two datasets in one
store; a rerun that changes nothing; two DAGs with a run of the same id; a given end or reference time.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_pipeline import feature_view, pipeline
from forecast_core import step_log
from forecast_core.contracts.dag_run import DAG_ID, RUN_ID
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.run_removal import remove_run

LATE, PAST = datetime(2024, 4, 2, 5, tzinfo=UTC), datetime(2024, 3, 31, 5, tzinfo=UTC)
DAYS = 2
DEMO, ARCHIVE = "demo-denmark", "ConsumptionDE35Hour"

Ingest = Callable[..., pipeline.RunResult]
InAirflow = Callable[[str | None, str | None], None]


@pytest.fixture
def in_airflow(monkeypatch: pytest.MonkeyPatch) -> InAirflow:
    """Say which DAG run the steps that follow belong to; None: a shell."""

    def belong(dag_id: str | None, run_id: str | None) -> None:
        for name, value in ((DAG_ID, dag_id), (RUN_ID, run_id)):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    belong(None, None)
    return belong


@pytest.fixture
def file_of(tmp_path: Path) -> str:
    """A file with a few series of the dataset ConsumptionDE35Hour, from February to April 2024."""
    hours = pl.datetime_range(datetime(2024, 2, 1), datetime(2024, 4, 2), "1h", closed="left", eager=True)  # noqa: DTZ001
    kinds = pl.DataFrame({"PriceArea": ["DK1", "DK2"], "ConsumerType_DE35": ["111", "111"]})
    frame = pl.DataFrame({"HourUTC": hours.dt.strftime("%Y-%m-%dT%H:%M:%S")}).join(kinds, how="cross")
    path = tmp_path / f"{ARCHIVE}.parquet"
    frame.with_columns(TotalCon=pl.int_range(pl.len(), dtype=pl.Int64) % 24 + 100).write_parquet(path)
    return str(path)


@pytest.fixture
def ingest(settings: Settings, in_airflow: InAirflow) -> Ingest:  # noqa: ARG001 - in a shell at first
    def run(reference_datetime: datetime, url: str = "demo://denmark", **more: Any) -> pipeline.RunResult:
        return pipeline.run(reference_datetime, 15, DAYS, url, settings=settings, **more)

    return run


def created(settings: Settings, **more: Any) -> tuple[str, str]:
    """What ``create`` took: the dataset and the reference time."""
    view = feature_view.create(feature_group_version=1, settings=settings, **more)
    return view["dataset"], view["reference_datetime"]


def text(time: datetime) -> str:
    return time.strftime(DATETIME_FORMAT)


def test_a_past_hour_that_is_ingested_after_a_later_one_is_the_one_that_is_meant(
    ingest: Ingest, settings: Settings
) -> None:
    ingest(LATE)
    past = ingest(PAST)
    view = feature_view.create(feature_group_version=1, settings=settings)
    assert (view["reference_datetime"], view["end_datetime"]) == (text(PAST), past["export_datetime_utc_end"])


def test_of_two_datasets_in_one_store_the_one_written_last_is_meant_and_a_rerun_moves_it(
    ingest: Ingest, settings: Settings, file_of: str
) -> None:
    first = ingest(PAST)
    ingest(LATE, file_of)
    assert created(settings) == (ARCHIVE, text(LATE))
    # Every value is there already: nothing changes but the order.
    assert ingest(PAST) == first
    assert created(settings) == (DEMO, text(PAST))
    ingest(LATE, file_of)
    assert created(settings) == (ARCHIVE, text(LATE))


def test_a_task_of_airflow_takes_the_ingest_of_its_own_dag_run(
    ingest: Ingest, settings: Settings, file_of: str, in_airflow: InAirflow
) -> None:
    in_airflow("course", "manual__1")
    ingest(PAST)
    # The same run id in another DAG, another run of the same DAG, and a shell come in between.
    in_airflow("ml_pipeline", "manual__1")
    ingest(LATE, file_of)
    in_airflow("course", "manual__2")
    ingest(LATE)
    in_airflow(None, None)
    ingest(LATE - timedelta(hours=1), file_of)
    for dag, run, found in (
        ("course", "manual__1", (DEMO, text(PAST))),
        ("ml_pipeline", "manual__1", (ARCHIVE, text(LATE))),
        ("course", "manual__2", (DEMO, text(LATE))),
        (None, None, (ARCHIVE, text(LATE - timedelta(hours=1)))),
        # A run that ingested nothing.
        ("course", "manual__3", (ARCHIVE, text(LATE - timedelta(hours=1)))),
    ):
        in_airflow(dag, run)
        assert created(settings) == found


def test_a_run_whose_values_were_all_there_finds_its_ingest_too(
    ingest: Ingest, settings: Settings, file_of: str, in_airflow: InAirflow
) -> None:
    in_airflow("ml_pipeline", "scheduled__1")
    first = ingest(PAST)
    in_airflow("course", "manual__1")
    assert ingest(PAST) == first
    in_airflow(None, None)
    ingest(LATE, file_of)
    for dag, run in (("course", "manual__1"), ("ml_pipeline", "scheduled__1")):
        in_airflow(dag, run)
        assert created(settings) == (DEMO, text(PAST))


def test_a_given_end_or_reference_time_narrows_the_choice(ingest: Ingest, settings: Settings) -> None:
    ingest(PAST)
    late = ingest(LATE)
    # The same window becomes known a day later, with another delay.
    pipeline.run(LATE + timedelta(days=1), 16, DAYS, settings=settings)
    ingest(LATE)
    ingest(PAST)
    assert created(settings, end_datetime=late["export_datetime_utc_end"]) == (DEMO, text(LATE))
    assert created(settings, reference_datetime=LATE) == (DEMO, text(LATE))
    view = feature_view.create(1, reference_datetime=LATE, settings=settings)
    assert view["end_datetime"] == late["export_datetime_utc_end"]
    with pytest.raises(NotFoundError, match="the last one ends at"):
        feature_view.create(1, end_datetime=PAST, settings=settings)


def test_a_store_without_a_log_and_an_ingest_that_was_removed_fall_back_to_the_order_of_writing(
    ingest: Ingest, settings: Settings, file_of: str
) -> None:
    ingest(LATE)
    ingest(PAST, file_of)
    step_log.TABLE.table(settings).open().delete()  # type: ignore[union-attr]
    assert created(settings) == (ARCHIVE, text(PAST))
    ingest(LATE, file_of)
    ingests = FeatureStore(settings)._ingests.open()
    assert ingests is not None
    ingests.delete(f"dataset = '{ARCHIVE}'")
    assert created(settings) == (DEMO, text(LATE))


def test_the_last_step_again_commits_nothing(ingest: Ingest, settings: Settings) -> None:
    ingest(PAST)
    feature_view.create(1, settings=settings)
    before = step_log.TABLE.table(settings).snapshot()
    ingest(PAST)
    feature_view.create(1, settings=settings)
    after = step_log.TABLE.table(settings).snapshot()
    assert before is not None
    assert after is not None
    assert before.version == after.version


def test_the_ingest_names_the_dag_run_that_airflow_tells(
    ingest: Ingest, settings: Settings, in_airflow: InAirflow
) -> None:
    in_airflow("course", "manual__1")
    ingest(PAST)
    [stored] = FeatureStore(settings).ingests()
    assert (stored.made_by["dag_id"], stored.made_by["dag_run_id"]) == ("course", "manual__1")
    ingest(LATE, dag_run_id="named")
    assert FeatureStore(settings).ingests()[-1].made_by["dag_run_id"] == "named"


def test_a_removed_run_is_taken_by_no_later_step(ingest: Ingest, settings: Settings) -> None:
    ingest(LATE)
    ingest(PAST)
    assert created(settings) == (DEMO, text(PAST))
    remove_run(settings, reference_datetime=PAST)
    assert created(settings) == (DEMO, text(LATE))
    left = step_log.entries(settings, "training_dataset", dag_run=None)
    assert {each.reference_datetime for each in left} == {LATE}
