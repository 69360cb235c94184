"""What the arguments of an entry point mean: versions and times, resolved once."""

from datetime import datetime

from forecast_core import tracking
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest
from forecast_core.tracking import ModelVersion


def model_for(
    settings: Settings, model_version: int | str | None, feature_view_version: int | str | None
) -> ModelVersion:
    """Return the model version; the newest one, of the feature view if that is given, stands in for None.

    Raises:
        InvalidArgument: If a version cannot be read, or the model was trained with another feature view.
        NotFoundError: If there is no such model version; the message names those that exist.
        TrackingError: If the tracking database cannot be read now.
    """
    view = None if feature_view_version is None else whole_number("feature_view_version", feature_view_version, least=1)
    if model_version is None:
        wanted = {} if view is None else {"feature_view_version": str(view)}
        models = tracking.find_model_versions(settings, wanted)
        if not models:
            raise NotFoundError("there is no model yet: run training_pipeline.train.from_best_config first")
        return models[-1]
    model = tracking.model_version(settings, whole_number("model_version", model_version, least=1))
    trained_with = int(model.tags["feature_view_version"])
    if view not in (None, trained_with):
        raise InvalidArgument(
            f"model version {model.version} was trained with feature view {trained_with}, not with {view}: "
            "give the versions that belong together",
            model_version=model.version,
            feature_view_version=view,
        )
    return model


def reference_for(
    store: FeatureStore, view: FeatureView, reference_datetime: datetime | str | None, *, window_end: datetime | None
) -> datetime:
    """Return the reference time; by default that of the newest ingest whose window ends at ``window_end``, or of any.

    Raises:
        InvalidArgument: If the time cannot be read.
        NotFoundError: If none is given and nothing was ever ingested.
        StorageError: If the feature store cannot be read now.
    """
    if reference_datetime is not None:
        return moment("reference_datetime", reference_datetime)
    ending = None if window_end is None else _ingest(store, view, window_end)
    return (ending or newest_ingest(store, view)).known_at


def newest_ingest(store: FeatureStore, view: FeatureView) -> Ingest:
    """Return the newest ingest into the feature group of a view.

    Raises:
        NotFoundError: If nothing was ever ingested.
        StorageError: If the feature store cannot be read now.
    """
    newest = _ingest(store, view, None)
    if newest is None:
        raise NotFoundError(f"nothing was ever ingested into {view.dataset}: run the feature pipeline first")
    return newest


def _ingest(store: FeatureStore, view: FeatureView, window_end: datetime | None) -> Ingest | None:
    return store.latest_ingest(
        feature_group_version=view.feature_group_version, dataset=view.dataset, window_end=window_end
    )
