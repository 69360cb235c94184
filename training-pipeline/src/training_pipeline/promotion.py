"""The champion by hand: promote, roll back, and see what was decided."""

from datetime import datetime
from typing import Any

from forecast_core import tracking
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.tracking import Promotion


def promote(
    model_version: int | str,
    *,
    reference_datetime: datetime | str,
    reason: str = "by hand",
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Make the recipe of a model version the champion from a reference time on; return the decision as plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read, or the version has no configuration.
        NotFoundError: If the version is not registered.
        TrackingError: If the tracking database cannot be used now.
    """
    version = whole_number("model_version", model_version, least=1)
    at = moment("reference_datetime", reference_datetime)
    return as_json(tracking.promote(settings or Settings(), model_version=version, at=at, reason=reason))


def rollback(
    feature_view_version: int | str | None = None,
    fh: int | str = 24,
    *,
    reference_datetime: datetime | str,
    reason: str = "by hand",
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Make the champion before the present one the champion again; return the decision as plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read, or the champion is the shipped default.
        NotFoundError: If there is no training dataset to name the feature view.
        TrackingError: If the tracking database cannot be used now.
    """
    settings = settings or Settings()
    view, hours = _scope(settings, feature_view_version, fh)
    at = moment("reference_datetime", reference_datetime)
    return as_json(tracking.rollback(settings, feature_view_version=view, fh=hours, at=at, reason=reason))


def promotions(
    feature_view_version: int | str | None = None, fh: int | str = 24, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Return the champion (None: the shipped default) and every decision that led to it, oldest first, as plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no training dataset to name the feature view.
        TrackingError: If the tracking database cannot be used now.
    """
    settings = settings or Settings()
    view, hours = _scope(settings, feature_view_version, fh)
    champion = tracking.champion(settings, feature_view_version=view, fh=hours)
    decisions = tracking.promotions(settings, feature_view_version=view, fh=hours)
    return {
        "feature_view_version": view,
        "fh": hours,
        "champion": None if champion is None else as_json(champion),
        "decisions": [as_json(each) for each in decisions],
    }


def as_json(decision: Promotion) -> dict[str, Any]:
    """Return a decision as JSON can hold it."""
    return {**vars(decision), "at": decision.at.strftime(DATETIME_FORMAT)}


def _scope(settings: Settings, feature_view_version: int | str | None, fh: int | str) -> tuple[int, int]:
    if feature_view_version is None:
        feature_view_version = FeatureStore(settings).newest_training_dataset().feature_view_version
    return whole_number("feature_view_version", feature_view_version, least=1), whole_number("fh", fh, least=1)
