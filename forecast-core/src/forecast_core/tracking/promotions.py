"""Which recipe is the champion: decisions, each with its reference time, the reason and the figures behind it.

A recipe is a configuration of the forecaster, fitted anew on every training dataset by the code that is installed.
Where nobody has promoted anything, the champion is the shipped default. A run at a reference time sees the decisions
up to it and no later one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.tracking import models
from forecast_core.tracking.creation import client
from forecast_core.tracking.database import MODEL, reading, writing
from forecast_core.tracking.locks import lock
from forecast_core.tracking.models import ModelVersion
from forecast_core.tracking.runs import Run, find_runs, finish_run, start_run

Action = Literal["promote", "keep", "rollback"]

ALIAS: Final = "champion"
"""The alias in MLflow's registry of the newest model version that is of the champion's recipe."""

_ARTIFACT: Final = "promotion"
_WAIT: Final = 60.0


@dataclass(frozen=True)
class Promotion:
    """One decision about the champion of a feature view and horizon, in force from ``at`` on.

    ``config`` and ``source`` are the champion's afterwards; ``config`` is None for the shipped default. ``candidate``
    is the configuration that was decided on, ``test`` the figures of the comparison (empty for a person's decision).
    """

    action: Action
    at: datetime
    feature_view_version: int
    fh: int
    config: Mapping[str, Any] | None
    source: str
    candidate: Mapping[str, Any] | None
    reason: str
    test: Mapping[str, Any]
    model_version: int | None
    by: Literal["run", "person"]
    code_version: str
    run_id: str


def promotions(
    settings: Settings, *, feature_view_version: int, fh: int = 24, until: datetime | None = None
) -> list[Promotion]:
    """Return the decisions up to ``until``, oldest first; None stands for all that there are.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    tags = {"artifact": _ARTIFACT, "feature_view_version": str(feature_view_version), "fh": str(fh)}
    found = [_promotion(run) for run in find_runs(settings, tags) if run.status == "FINISHED"]
    # Of decisions at one time the one that was recorded last stands: sorting keeps their order.
    return sorted((each for each in found if until is None or each.at <= as_utc(until)), key=lambda each: each.at)


def champion(
    settings: Settings, *, feature_view_version: int, fh: int = 24, at: datetime | None = None
) -> Promotion | None:
    """Return the decision that made the champion of a reference time, or None if that is the shipped default.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    decided = promotions(settings, feature_view_version=feature_view_version, fh=fh, until=at)
    changes = [each for each in decided if each.action != "keep"]
    return changes[-1] if changes and changes[-1].config is not None else None


def promote(settings: Settings, *, model_version: int, at: datetime, reason: str = "by hand") -> Promotion:
    """Make the recipe of a registered model version the champion from ``at`` on, whatever a test would say.

    Raises:
        NotFoundError: If the version is not registered.
        InvalidArgument: If it was registered without its configuration.
        TrackingError: If the database is locked or does not answer.
    """
    model = models.model_version(settings, model_version)
    view, fh = int(model.tags["feature_view_version"]), int(model.tags.get("fh", 24))
    if "config" not in model.tags:
        raise InvalidArgument(
            f"model version {model.version} was registered without its configuration: train again and promote that one",
            version=model.version,
        )
    decision = record_promotion(
        settings,
        action="promote",
        at=at,
        feature_view_version=view,
        fh=fh,
        config=json.loads(model.tags["config"]),
        source=f"model version {model.version}",
        reason=reason,
        model_version=model.version,
        by="person",
        code_version=model.tags.get("code_version", "not recorded"),
    )
    name_champion(settings, model, always=True)
    return decision


def rollback(
    settings: Settings, *, feature_view_version: int, fh: int = 24, at: datetime, reason: str = "by hand"
) -> Promotion:
    """Make the champion before the present one the champion again, from ``at`` on.

    Raises:
        InvalidArgument: If the champion is the shipped default already.
        TrackingError: If the database is locked or does not answer.
    """
    decided = promotions(settings, feature_view_version=feature_view_version, fh=fh, until=at)
    reigned: list[tuple[Mapping[str, Any] | None, str]] = [(None, "default")]
    for each in decided:
        if each.action == "promote" and each.config != reigned[-1][0]:
            reigned.append((each.config, each.source))
        elif each.action == "rollback" and len(reigned) > 1:
            reigned.pop()
    if len(reigned) == 1:
        raise InvalidArgument(
            f"the champion of feature view {feature_view_version} is the shipped default: there is none before it",
            feature_view_version=feature_view_version,
        )
    (left, _), (config, source) = reigned[-1], reigned[-2]
    return record_promotion(
        settings,
        action="rollback",
        at=at,
        feature_view_version=feature_view_version,
        fh=fh,
        config=config,
        source=source,
        candidate=left,
        reason=reason,
        by="person",
    )


def record_promotion(
    settings: Settings,
    *,
    action: Action,
    at: datetime,
    feature_view_version: int,
    fh: int,
    config: Mapping[str, Any] | None,
    source: str,
    reason: str,
    by: Literal["run", "person"],
    candidate: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    model_version: int | None = None,
    code_version: str = "",
) -> Promotion:
    """Record a decision; the same again changes nothing. See ``Promotion`` for the arguments.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    content = {
        "action": action,
        "at": as_utc(at).isoformat(),
        "config": config,
        "source": source,
        "candidate": config if candidate is None and action == "promote" else candidate,
        "reason": reason,
        "test": dict(test or {}),
        "model_version": model_version,
        "by": by,
        "code_version": code_version,
    }
    text = json.dumps(content, sort_keys=True)
    tags = {
        "artifact": _ARTIFACT,
        "feature_view_version": str(feature_view_version),
        "fh": str(fh),
        "decision": hashlib.sha256(text.encode()).hexdigest(),
    }
    with lock(settings, f"promotion-{feature_view_version}-{fh}", wait=_WAIT):
        done = [run for run in find_runs(settings, tags) if run.status == "FINISHED"]
        if not done:
            run_id = start_run(settings, name=f"{action} {as_utc(at):{DATETIME_FORMAT}}", tags=tags)
            finish_run(settings, run_id, at=as_utc(at), tags={"content": text})
            done = [run for run in find_runs(settings, tags) if run.run_id == run_id]
    return _promotion(done[0])


def _promotion(run: Run) -> Promotion:
    content = json.loads(run.tags["content"])
    versions = {name: int(run.tags[name]) for name in ("feature_view_version", "fh")}
    return Promotion(**{**content, **versions, "at": moment("at", content["at"]), "run_id": run.run_id})


def name_champion(settings: Settings, model: ModelVersion, *, always: bool = False) -> None:
    """Give a version MLflow's alias ``champion``; one of an earlier reference time only takes it if ``always``.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    with lock(settings, "register-model", wait=_WAIT):
        named = named_champion(settings)
        if named == model.version:
            return
        if named is not None and not always and _reference(model) < _reference(models.model_version(settings, named)):
            return
        mlflow = client(settings)
        with writing(settings):
            mlflow.set_registered_model_alias(MODEL, ALIAS, str(model.version))


def _reference(model: ModelVersion) -> str:
    # Times as text sort by time.
    return model.tags.get("reference_datetime", "")


def named_champion(settings: Settings) -> int | None:
    """Return the model version that has MLflow's alias ``champion``, or None.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    from sqlalchemy import column, select, table

    aliases = table("registered_model_aliases", column("name"), column("alias"), column("version"))
    query = select(aliases.c.version).where(aliases.c.name == MODEL, aliases.c.alias == ALIAS)
    with reading(settings) as connection:
        found = None if connection is None else connection.scalar(query)
    return None if found is None else int(found)
