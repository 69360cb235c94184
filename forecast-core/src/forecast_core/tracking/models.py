"""The model registry: versions of one model, each with the tags that say what made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.tracking.creation import client
from forecast_core.tracking.database import MODEL, reading, writing
from forecast_core.tracking.locks import lock

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

_NAMED_VERSIONS: Final = 20
_DELETED: Final = "Deleted_Internal"
"""MLflow's stage of a deleted version, which stays in the table."""
_REGISTRATION_WAIT: Final = 60.0


@dataclass(frozen=True)
class ModelVersion:
    """One registered version: what made it is in ``tags``, its files are at ``source``."""

    version: int
    run_id: str
    source: str
    tags: Mapping[str, str]


def find_model_versions(
    settings: Settings, tags: Mapping[str, str] | None = None, *, first: int = 1
) -> list[ModelVersion]:
    """Return the versions from ``first`` on that carry all of ``tags``, lowest first; none if there is no database.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    with reading(settings) as connection:
        return [] if connection is None else _select(connection, tags or {}, first=first)


def model_version(settings: Settings, version: int) -> ModelVersion:
    """Return one version.

    Raises:
        NotFoundError: If it is not registered; the message names the versions that are.
        TrackingError: If the database is locked or does not answer.
    """
    with reading(settings) as connection:
        found = [] if connection is None else _select(connection, {}, version)
    if found:
        return found[0]
    existing = [each.version for each in find_model_versions(settings)]
    listed = ", ".join(map(str, existing[-_NAMED_VERSIONS:])) or "none yet: train one first"
    older = f", and {len(existing) - _NAMED_VERSIONS} older" if len(existing) > _NAMED_VERSIONS else ""
    raise NotFoundError(f"there is no model version {version}; registered: {listed}{older}", version=version)


def newest_model(
    settings: Settings,
    *,
    feature_view_version: int | None = None,
    fh: int | None = None,
    config: str | None = None,
    reference_datetime: datetime | None = None,
) -> ModelVersion | None:
    """Return the model of the latest reference time, the highest version among several; None if there is none.

    The highest version of all may be that of a past hour, trained by a backfill.

    Args:
        settings: Where the database is.
        feature_view_version: Only models of this feature view.
        fh: Only models that forecast so many hours.
        config: Only models of this configuration, as JSON with sorted keys.
        reference_datetime: Only models of this reference time or an earlier one.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    from sqlalchemy import and_, column, func, select, table

    wanted = {"feature_view_version": feature_view_version, "fh": fh, "config": config}
    tags = {name: str(value) for name, value in wanted.items() if value is not None}
    versions = table("model_versions", *map(column, ("name", "version", "current_stage")))
    carried = table("model_version_tags", *map(column, ("name", "version", "key", "value"))).alias("reference")
    is_reference = and_(
        carried.c.name == versions.c.name,
        carried.c.version == versions.c.version,
        carried.c.key == "reference_datetime",
    )
    # Texts of DATETIME_FORMAT sort by time. A version without the tag sorts first.
    reference = func.coalesce(carried.c.value, "")
    query = select(versions.c.version).select_from(versions.outerjoin(carried, is_reference))
    query = query.where(versions.c.name == MODEL, versions.c.current_stage.is_distinct_from(_DELETED))
    query = query.where(*(versions.c.version.in_(_carrying(name, value)) for name, value in tags.items()))
    if reference_datetime is not None:
        query = query.where(reference <= as_utc(reference_datetime).strftime(DATETIME_FORMAT))
    with reading(settings) as connection:
        if connection is None:
            return None
        version = connection.scalar(query.order_by(reference.desc(), versions.c.version.desc()).limit(1))
        return None if version is None else _select(connection, {}, version)[0]


def _carrying(key: str, value: str) -> "Select[Any]":
    """Select the versions that carry a tag."""
    from sqlalchemy import column, select, table

    carried = table("model_version_tags", *map(column, ("name", "version", "key", "value")))
    return select(carried.c.version).where(carried.c.name == MODEL, carried.c.key == key, carried.c.value == value)


def _select(
    connection: "Connection", tags: Mapping[str, str], version: int | None = None, *, first: int = 1
) -> list[ModelVersion]:
    from sqlalchemy import column, select, table

    # MLflow's tables; the version of MLflow is pinned, and a test compares these reads with its client's.
    versions = table("model_versions", *map(column, ("name", "version", "run_id", "source", "current_stage")))
    carried = table("model_version_tags", *map(column, ("name", "version", "key", "value")))
    query = select(versions).where(versions.c.name == MODEL, versions.c.version >= first).order_by(versions.c.version)
    query = query.where(versions.c.current_stage.is_distinct_from(_DELETED))
    if version is not None:
        query = query.where(versions.c.version == version)
    query = query.where(*(versions.c.version.in_(_carrying(key, value)) for key, value in tags.items()))
    found = connection.execute(query).all()
    pairs = select(carried).where(carried.c.name == MODEL, carried.c.version.in_([row.version for row in found]))
    by_version: dict[int, dict[str, str]] = {}
    for row in connection.execute(pairs):
        by_version.setdefault(row.version, {})[row.key] = row.value
    return [ModelVersion(row.version, row.run_id, row.source, by_version.get(row.version, {})) for row in found]


def register_model(settings: Settings, *, run_id: str, source: str, tags: Mapping[str, str]) -> int:
    """Register the files at ``source`` as the next version of the model; return the version.

    A version becomes visible with its tags in one transaction: call this last, when the files are complete.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    mlflow = client(settings)
    # Two registrations at once would try for the same number.
    with lock(settings, "register-model", wait=_REGISTRATION_WAIT), writing(settings):
        registered = mlflow.create_model_version(MODEL, source=source, run_id=run_id, tags=dict(tags))
        return int(registered.version)
