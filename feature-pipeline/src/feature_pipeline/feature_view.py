"""Feature views and training datasets: which rows a model is trained on, under numbers that never change meaning."""

import sys
from datetime import datetime
from importlib import import_module
from typing import TypedDict

from forecast_core import step_log
from forecast_core.alarms import tuning_is_due
from forecast_core.contracts.arguments import yes_or_no
from forecast_core.contracts.dag_run import this_dag_run
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore, TrainingDataset
from forecast_core.runs import Run, resolve_run


class Created(TypedDict):
    """What ``create`` returns, as plain JSON; times are text in UTC.

    ``rows`` and ``series`` count what the training dataset has. ``tuning_is_due``: whether an alarm began to ask for
    tuning since the run before. ``tune``: whether this run is to tune.
    """

    feature_view_version: int
    training_dataset_version: int
    dataset: str
    feature_group_version: int
    rows: int
    series: int
    content_hash: str
    start_datetime: str
    end_datetime: str
    reference_datetime: str
    tuning_is_due: bool
    tune: bool


def create(
    feature_group_version: int | str = 1,
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    *,
    dataset: str | None = None,
    reference_datetime: datetime | str | None = None,
    tune: bool | str = False,
    run_kind: str = "manual",
    dag_run_id: str | None = None,
    settings: Settings | None = None,
) -> Created:
    """Return the versions of a feature group's feature view and of the training dataset that it gives for a window.

    What is not given is that of the run's own ingest into the feature group: in Airflow the one of the same DAG run,
    otherwise the one that was written last, which an ingest that is repeated becomes again. If ``end_datetime`` is
    given, only ingests whose window ends there count. The same rows in the same window have the same versions.

    Args:
        feature_group_version: As given to ``pipeline.run``.
        start_datetime: First hour of the window; naive is UTC, text is ISO.
        end_datetime: The hour after the last of the window.
        dataset: Name of the source's dataset, as ``pipeline.run`` returned it.
        reference_datetime: The training dataset is as known at this time.
        tune: Whether somebody asks this run to tune.
        run_kind: ``backfill`` if the run is of a past hour. An alarm does not make such a run tune: an alarm is about
            now, so the forecasts of the backfill would depend on the order of its runs.
        dag_run_id: The orchestrator's name of the run; default that of the task, if Airflow runs this.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If a time cannot be read, is not a full hour, or the window is empty, or ``tune`` is neither
            True nor False.
        NotFoundError: If there is no such feature group, or no ingest to take the window from.
        WindowError: If nothing was known of the window at the reference time.
        StorageError: If the store cannot be read or written now.
    """
    settings = settings or Settings()
    asked, dag_run = yes_or_no("tune", tune), this_dag_run(dag_run_id)
    run = resolve_run(
        settings,
        feature_group_version=feature_group_version,
        dataset=dataset,
        start_datetime=start_datetime,
        end_datetime=end_datetime,
        reference_datetime=reference_datetime,
        dag_run=dag_run,
    )
    store = FeatureStore(settings)
    view = store.create_feature_view(dataset=run.dataset, feature_group_version=run.feature_group_version)
    training = store.create_training_dataset(
        feature_view_version=view, window=run.window, reference_datetime=run.reference_datetime
    )
    entry = step_log.Entry(
        made="training_dataset",
        dataset=run.dataset,
        version=training.version,
        feature_view_version=view,
        reference_datetime=run.reference_datetime,
        window=run.window,
    )
    step_log.write(settings, entry, dag_run=dag_run)
    due = tuning_is_due(settings, feature_view_version=view, reference_datetime=run.reference_datetime)
    return _told(run, training, tuning_is_due=due, tune=asked or (due and run_kind != "backfill"))


def _told(run: Run, training: TrainingDataset, *, tuning_is_due: bool, tune: bool) -> Created:
    return {
        "feature_view_version": training.feature_view_version,
        "training_dataset_version": training.version,
        "dataset": run.dataset,
        "feature_group_version": run.feature_group_version,
        "rows": training.rows,
        "series": training.series,
        "content_hash": training.content_hash,
        "start_datetime": run.window.start.strftime(DATETIME_FORMAT),
        "end_datetime": run.window.end.strftime(DATETIME_FORMAT),
        "reference_datetime": run.reference_datetime.strftime(DATETIME_FORMAT),
        "tuning_is_due": tuning_is_due,
        "tune": tune,
    }


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("feature_pipeline.__main__").main(step="create-feature-view"))
