"""Feature views and training datasets: which rows a model is trained on, under numbers that never change meaning."""

from datetime import datetime
from typing import Any

from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore, Ingest


def create(
    feature_group_version: int | str = 1,
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    *,
    dataset: str | None = None,
    reference_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Return the versions of a feature group's feature view and of the training dataset that it gives for a window.

    What is not given is that of the newest ingest into the feature group; if ``end_datetime`` is given, of the newest
    ingest whose window ends there. The same rows in the same window have the same versions.

    Args:
        feature_group_version: As given to ``pipeline.run``.
        start_datetime: First hour of the window; naive is UTC, text is ISO.
        end_datetime: The hour after the last of the window.
        dataset: Name of the source's dataset, as ``pipeline.run`` returned it.
        reference_datetime: The training dataset is as known at this time.
        settings: Where the store is; default from the environment.

    Returns:
        Plain JSON; times are text in UTC.

    Raises:
        InvalidArgument: If a time cannot be read, is not a full hour, or the window is empty.
        NotFoundError: If there is no such feature group, or no ingest to take the window from.
        WindowError: If nothing was known of the window at the reference time.
        StorageError: If the store cannot be read or written now.
    """
    store = FeatureStore(settings or Settings())
    version = whole_number("feature_group_version", feature_group_version, least=1)
    start = None if start_datetime is None else moment("start_datetime", start_datetime)
    end = None if end_datetime is None else moment("end_datetime", end_datetime)
    known_at = None if reference_datetime is None else moment("reference_datetime", reference_datetime)
    if dataset is None or start is None or end is None or known_at is None:
        ingest = _ingest(store, version, dataset, start, end)
        dataset, known_at = dataset or ingest.dataset, known_at or ingest.known_at
        start, end = start or ingest.window.start, end or ingest.window.end
    view = store.create_feature_view(dataset=dataset, feature_group_version=version)
    training = store.create_training_dataset(feature_view_version=view, window=Window(start, end), known_at=known_at)
    return {
        "feature_view_version": view,
        "training_dataset_version": training.version,
        "dataset": dataset,
        "feature_group_version": version,
        "rows": training.rows,
        "series": training.series,
        "content_hash": training.content_hash,
        "start_datetime": start.strftime(DATETIME_FORMAT),
        "end_datetime": end.strftime(DATETIME_FORMAT),
        "reference_datetime": known_at.strftime(DATETIME_FORMAT),
    }


def _ingest(
    store: FeatureStore, version: int, dataset: str | None, start: datetime | None, end: datetime | None
) -> Ingest:
    """Return the ingest that stands for what was not given."""
    latest = store.latest_ingest(feature_group_version=version, dataset=dataset)
    if latest is None:
        existing = [f"{name} version {number}" for name, number in store.feature_group_versions()]
        raise NotFoundError(
            f"there is no feature group {dataset + ' ' if dataset else ''}version {version}; "
            f"there are {', '.join(existing) or 'none yet'}: run the feature pipeline first",
            feature_group_version=version,
            existing=existing,
        )
    if end is None:
        return latest
    ending = store.latest_ingest(feature_group_version=version, dataset=dataset, window_end=end)
    if ending is None and start is None:
        raise NotFoundError(
            f"no ingest into feature group version {version} has a window that ends at {end:{DATETIME_FORMAT}}; "
            f"the newest ends at {latest.window.end:{DATETIME_FORMAT}}: give start_datetime too, or run the feature "
            "pipeline for that window first",
            end_datetime=end,
        )
    return ending or latest
