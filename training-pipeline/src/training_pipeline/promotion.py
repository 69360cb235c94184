"""The champion by hand: promote, roll back, and see what was decided."""

from datetime import datetime
from typing import Any, Literal, TypedDict

from forecast_core import tracking
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.tracking import Promotion


class Decision(TypedDict):
    """A decision about the champion as plain JSON: ``at`` is its reference time; for the others see ``Promotion``."""

    action: Literal["promote", "keep", "rollback"]
    at: str
    feature_view_version: int
    fh: int
    config: dict[str, Any] | None
    source: str
    candidate: dict[str, Any] | None
    reason: str
    test: dict[str, Any]
    model_version: int | None
    by: Literal["run", "person"]
    code_version: str
    decision_id: str


class History(TypedDict):
    """The champion (None: the shipped default) and the decisions that led to it, oldest first."""

    feature_view_version: int
    fh: int
    champion: Decision | None
    decisions: list[Decision]


def promote(
    model_version: int | str,
    *,
    reference_datetime: datetime | str,
    reason: str = "by hand",
    settings: Settings | None = None,
) -> Decision:
    """Make the recipe of a model version the champion from a reference time on; return the decision as plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read, or the version has no configuration.
        NotFoundError: If the version is not registered.
        TrackingError: If the tracking database cannot be used now.
    """
    version = whole_number("model_version", model_version, least=1)
    reference = moment("reference_datetime", reference_datetime)
    settings = settings or Settings()
    return as_json(tracking.promote(settings, model_version=version, reference_datetime=reference, reason=reason))


def rollback(
    feature_view_version: int | str | None = None,
    fh: int | str = 24,
    *,
    reference_datetime: datetime | str,
    reason: str = "by hand",
    settings: Settings | None = None,
) -> Decision:
    """Make the champion before the present one the champion again; return the decision as plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read, or the champion is the shipped default.
        NotFoundError: If there is no training dataset to name the feature view.
        TrackingError: If the tracking database cannot be used now.
    """
    settings = settings or Settings()
    reference = moment("reference_datetime", reference_datetime)
    view, hours = _scope(settings, feature_view_version, fh, reference)
    return as_json(
        tracking.rollback(settings, feature_view_version=view, fh=hours, reference_datetime=reference, reason=reason)
    )


def promotions(
    feature_view_version: int | str | None = None,
    fh: int | str = 24,
    *,
    reference_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> History:
    """Return the champion (None: the shipped default) and every decision that led to it, oldest first, as plain JSON.

    Args:
        feature_view_version: Default: that of the newest training dataset.
        fh: Hours that the models forecast.
        reference_datetime: Decisions of later reference times do not count; None: all count.
        settings: Where things are; default from the environment.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no training dataset to name the feature view.
        StorageError: If the store cannot be read now.
    """
    settings = settings or Settings()
    until = None if reference_datetime is None else moment("reference_datetime", reference_datetime)
    view, hours = _scope(settings, feature_view_version, fh, until)
    found = tracking.reign_at(settings, feature_view_version=view, fh=hours, reference_datetime=until)
    return History(
        feature_view_version=view,
        fh=hours,
        champion=None if found.champion is None else as_json(found.champion),
        decisions=[as_json(each) for each in found.decisions],
    )


def as_json(decision: Promotion) -> Decision:
    """Return a decision as JSON can hold it."""
    return Decision(
        action=decision.action,
        at=decision.reference_datetime.strftime(DATETIME_FORMAT),
        feature_view_version=decision.feature_view_version,
        fh=decision.fh,
        config=None if decision.config is None else dict(decision.config),
        source=decision.source,
        candidate=None if decision.candidate is None else dict(decision.candidate),
        reason=decision.reason,
        test=dict(decision.test),
        model_version=decision.model_version,
        by=decision.by,
        code_version=decision.code_version,
        decision_id=decision.decision_id,
    )


def _scope(
    settings: Settings, feature_view_version: int | str | None, fh: int | str, until: datetime | None
) -> tuple[int, int]:
    if feature_view_version is None:
        newest = FeatureStore(settings).newest_training_dataset(known_until=until)
        feature_view_version = newest.feature_view_version
    return whole_number("feature_view_version", feature_view_version, least=1), whole_number("fh", fh, least=1)
