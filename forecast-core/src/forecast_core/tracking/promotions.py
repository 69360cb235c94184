"""Which recipe is the champion: the one definition of it, and the decisions of people.

A recipe is a configuration of the forecaster, fitted anew on every training dataset by the code that is installed.
The champion of a reference time is what the decisions in force at that time say (``reigns``). Where nobody has promoted
anything, it is the shipped default.
"""

import json
from datetime import datetime

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc
from forecast_core.tracking import models
from forecast_core.tracking.aliases import name_champion
from forecast_core.tracking.decisions import Decisions, Promotion, config_text
from forecast_core.tracking.reigns import Reign, reign
from forecast_core.tracking.searches import Searches


def reign_at(
    settings: Settings, *, feature_view_version: int, fh: int = 24, reference_datetime: datetime | None = None
) -> Reign:
    """Return the decisions in force at a reference time (None: all that there are), and who is champion by them.

    Raises:
        StorageError: If the store cannot be read now.
    """
    decisions = Decisions(settings).read(feature_view_version=feature_view_version, fh=fh)
    searches = Searches(settings).uploaded(feature_view_version=feature_view_version, fh=fh)
    return reign(decisions, searches, until=reference_datetime)


def promotions(
    settings: Settings, *, feature_view_version: int, fh: int = 24, until: datetime | None = None
) -> list[Promotion]:
    """Return the decisions in force up to ``until``, oldest first; None stands for all that there are.

    Raises:
        StorageError: If the store cannot be read now.
    """
    found = reign_at(settings, feature_view_version=feature_view_version, fh=fh, reference_datetime=until)
    return list(found.decisions)


def champion(
    settings: Settings, *, feature_view_version: int, fh: int = 24, reference_datetime: datetime | None = None
) -> Promotion | None:
    """Return the decision that made the champion of a reference time, or None if that is the shipped default.

    Raises:
        StorageError: If the store cannot be read now.
    """
    return reign_at(
        settings, feature_view_version=feature_view_version, fh=fh, reference_datetime=reference_datetime
    ).champion


def promote(
    settings: Settings, *, model_version: int, reference_datetime: datetime, reason: str = "by hand"
) -> Promotion:
    """Make the recipe of a registered model version the champion from a time on, whatever a test would say.

    Raises:
        NotFoundError: If the version is not registered.
        InvalidArgument: If it was registered without its configuration, or a person has decided otherwise at that time.
        StorageError: If the store cannot be written now.
        TrackingError: If the tracking database is locked or does not answer.
    """
    model = models.model_version(settings, model_version)
    if "config" not in model.tags:
        raise InvalidArgument(
            f"model version {model.version} was registered without its configuration: train again and promote that one",
            version=model.version,
        )
    config = json.loads(model.tags["config"])
    return record_promotion(
        settings,
        Promotion(
            action="promote",
            reference_datetime=as_utc(reference_datetime),
            feature_view_version=int(model.tags["feature_view_version"]),
            fh=int(model.tags.get("fh", 24)),
            config=config,
            source=f"model version {model.version}",
            candidate=config,
            reason=reason,
            test={},
            model_version=model.version,
            by="person",
            code_version=model.tags.get("code_version", "not recorded"),
        ),
    )


def rollback(
    settings: Settings,
    *,
    feature_view_version: int,
    fh: int = 24,
    reference_datetime: datetime,
    reason: str = "by hand",
) -> Promotion:
    """Make the champion before the present one the champion again, from a time on; the same again changes nothing.

    Raises:
        InvalidArgument: If the champion is the shipped default already, or a person has decided otherwise at that time.
        StorageError: If the store cannot be written now.
        TrackingError: If the tracking database is locked or does not answer.
    """
    at = as_utc(reference_datetime)
    now = reign_at(settings, feature_view_version=feature_view_version, fh=fh, reference_datetime=at)
    for done in now.decisions:
        if (done.action, done.reference_datetime, done.reason) == ("rollback", at, reason):
            return done
    try:
        config, source = now.before
    except LookupError as error:
        raise InvalidArgument(
            f"the champion of feature view {feature_view_version} is the shipped default: there is none before it",
            feature_view_version=feature_view_version,
        ) from error
    return record_promotion(
        settings,
        Promotion(
            action="rollback",
            reference_datetime=at,
            feature_view_version=feature_view_version,
            fh=fh,
            config=config,
            source=source,
            candidate=None if now.champion is None else now.champion.config,
            reason=reason,
            test={},
            by="person",
        ),
    )


def record_promotion(settings: Settings, decision: Promotion) -> Promotion:
    """Record a decision, and let MLflow's alias follow it; the same again changes nothing.

    Raises:
        InvalidArgument: If a person decides otherwise at a time at which a person has decided already.
        StorageError: If the store cannot be written now.
        TrackingError: If the tracking database is locked or does not answer.
    """
    kept = Decisions(settings).record(decision)
    follow_champion(settings, feature_view_version=kept.feature_view_version, fh=kept.fh)
    return kept


def follow_champion(settings: Settings, *, feature_view_version: int, fh: int) -> None:
    """Put MLflow's alias of a feature view and horizon on the newest model of the champion's recipe.

    While the shipped default is the champion, or there is no model of the champion's recipe, there is no alias.

    Raises:
        StorageError: If the store cannot be read now.
        TrackingError: If the tracking database is locked or does not answer.
    """
    reigning = champion(settings, feature_view_version=feature_view_version, fh=fh)
    config = None if reigning is None else config_text(reigning.config)
    name_champion(settings, feature_view_version=feature_view_version, fh=fh, config=config)
