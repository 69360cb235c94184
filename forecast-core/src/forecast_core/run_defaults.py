"""What a step means that is told no version or time: what its own DAG run got, otherwise what was written last.

The newest reference time is never meant. A DAG run of a past hour would be trained on data of later hours, and a store
with two datasets would give it the other one.
"""

from datetime import datetime
from typing import TypedDict

from forecast_core import step_log, tracking
from forecast_core.contracts.dag_run import DagRun
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest, TrainingDataset
from forecast_core.tracking import ModelVersion


class _Asking(TypedDict):
    dataset: str | None
    reference_datetime: datetime | None
    dag_run: DagRun | None


def last_ingest(store: FeatureStore, view: FeatureView, *, dag_run: DagRun | None = None) -> Ingest:
    """Return the ingest of the DAG run into the feature group of a view, or else the one written last.

    Raises:
        NotFoundError: If nothing was ever ingested.
        StorageError: If the store cannot be read now.
    """
    return ingest_meant(store, view.feature_group_version, dataset=view.dataset, dag_run=dag_run)


def ingest_meant(
    store: FeatureStore,
    feature_group_version: int,
    *,
    dataset: str | None,
    start: datetime | None = None,
    end: datetime | None = None,
    reference_datetime: datetime | None = None,
    dag_run: DagRun | None = None,
) -> Ingest:
    """Return the ingest whose window, dataset and time stand for those that were not given.

    Args:
        store: Where the ingests are.
        feature_group_version: Only ingests into this version of a feature group.
        dataset: Only ingests of this dataset.
        start: First hour of the window, if it was given.
        end: The hour after the last; then an ingest whose window ends there.
        reference_datetime: An ingest of this reference time is preferred.
        dag_run: The run that asks; None from a shell.

    Raises:
        NotFoundError: If there is no such feature group, or ``end`` alone is given and no window ends there.
        StorageError: If the store cannot be read now.
    """
    asking: _Asking = {"dataset": dataset, "reference_datetime": reference_datetime, "dag_run": dag_run}
    last = store.last_ingest(feature_group_version=feature_group_version, **asking)
    if last is None:
        raise _nothing_ingested(store, feature_group_version, dataset)
    if end is None:
        return last
    ending = store.last_ingest(feature_group_version=feature_group_version, window_end=end, **asking)
    if ending is None and start is None:
        raise NotFoundError(
            f"no ingest into feature group version {feature_group_version} has a window that ends at "
            f"{end:{DATETIME_FORMAT}}; the last one ends at {last.window.end:{DATETIME_FORMAT}}: give start_datetime "
            "too, or run the feature pipeline for that window first",
            end_datetime=end,
        )
    return ending or last


def known_at(store: FeatureStore, view: FeatureView, window_end: datetime, *, dag_run: DagRun | None) -> datetime:
    """Return the reference time of an ingest whose window ends at ``window_end``, or else of ``last_ingest``."""
    ending = store.last_ingest(
        feature_group_version=view.feature_group_version,
        dataset=view.dataset,
        window_end=window_end,
        dag_run=dag_run,
    )
    return (ending or last_ingest(store, view, dag_run=dag_run)).known_at


def created_for(settings: Settings, dataset: TrainingDataset, *, dag_run: DagRun | None) -> datetime:
    """Return the reference time for which ``feature_view.create`` returned a training dataset to the run, or last."""
    created = step_log.entries(settings, "training_dataset", dag_run=dag_run, version=dataset.version)
    return next((each.reference_datetime for each in created), dataset.known_at)


def model_meant(
    settings: Settings,
    feature_view_version: int | None,
    *,
    reference_datetime: datetime | None = None,
    dag_run: DagRun | None = None,
) -> ModelVersion:
    """Return the model that training returned to the DAG run, or else last.

    In a store of version 1.0.0, which has no log of that, it is the highest version.

    Args:
        settings: Where the log and the registry are.
        feature_view_version: Only models of this feature view.
        reference_datetime: A model of a run of this reference time is preferred.
        dag_run: The run that asks; None from a shell.

    Raises:
        NotFoundError: If there is no model.
        StorageError: If the log cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    trained = step_log.entries(
        settings,
        "model",
        dag_run=dag_run,
        reference_datetime=reference_datetime,
        feature_view_version=feature_view_version,
    )
    for each in trained:
        try:
            return tracking.model_version(settings, each.version)
        except NotFoundError:  # It was deleted from the registry.
            continue
    wanted = {} if feature_view_version is None else {"feature_view_version": str(feature_view_version)}
    registered = tracking.find_model_versions(settings, wanted)
    if not registered:
        raise NotFoundError("there is no model yet: run training_pipeline.train.from_best_config first")
    return registered[-1]


def _nothing_ingested(store: FeatureStore, feature_group_version: int, dataset: str | None) -> NotFoundError:
    existing = [f"{name} version {number}" for name, number in store.feature_group_versions()]
    return NotFoundError(
        f"there is no feature group {dataset + ' ' if dataset else ''}version {feature_group_version}; "
        f"there are {', '.join(existing) or 'none yet'}: run the feature pipeline first",
        feature_group_version=feature_group_version,
        existing=existing,
    )
