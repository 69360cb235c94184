"""Remove the record of a run: what it ingested, forecast, explained, measured and raised alarms about.

Decisions, model versions and training datasets stay: others may refer to them. A run at the same time makes the record
again.
"""

from datetime import datetime
from typing import TypedDict

import polars as pl

from forecast_core import step_log, tracking
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine
from forecast_core.validations import Validations

_NAMED = 5


class RunRecord(TypedDict):
    """The record of a run: what is removed with it, and what stays; times are text in UTC.

    ``feature_view_version`` is None if no view was made of its data yet. ``later_runs`` is the number of archived runs
    of the view at later reference times. ``model_versions`` were trained by the run; they stay.
    """

    reference_datetime: str
    dataset: str
    feature_group_version: int
    feature_view_version: int | None
    ingests: int
    ingested_values: int
    sources: list[str]
    forecasts: int
    later_runs: int
    model_versions: list[int]


class RemovedRun(RunRecord):
    """A record that was removed.

    ``rows`` is the number of rows that were removed, by table. Of the values that the run was the first to give,
    ``kept_values`` were given again by a later ingest and are known since then; ``lost_values`` are of hours and series
    that have no value any more.
    """

    rows: dict[str, int]
    removed_values: int
    kept_values: int
    lost_values: int


def record_of_run(
    settings: Settings,
    *,
    reference_datetime: datetime | str,
    feature_view_version: int | str | None = None,
) -> RunRecord:
    """Return what ``remove_run`` would remove.

    Args:
        settings: Where the stores are.
        reference_datetime: Reference time of the run; naive is UTC, text is ISO.
        feature_view_version: Needed only where the runs of several views have this reference time.

    Raises:
        InvalidArgument: If an argument cannot be read, or several views have a run of that time and none is given.
        NotFoundError: If there is no such run; the message names the newest that there are.
        StorageError: If the stores cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    at = moment("reference_datetime", reference_datetime)
    view = None if feature_view_version is None else whole_number("feature_view_version", feature_view_version, least=1)
    store, archive = FeatureStore(settings), ForecastArchive(settings)
    (dataset, version), view = _group_of_run(store, archive, at, view)
    ingests = store.ingests(dataset=dataset, feature_group_version=version, known_from=at, known_until=at)
    runs = archive.read_runs(feature_view_version=view) if view is not None else archive.read_runs().clear()
    return {
        "reference_datetime": f"{at:{DATETIME_FORMAT}}",
        "dataset": dataset,
        "feature_group_version": version,
        "feature_view_version": view,
        "ingests": len(ingests),
        "ingested_values": sum(each.counts.rows for each in ingests),
        "sources": sorted({each.url for each in ingests}),
        "forecasts": 0 if view is None else archive.count_forecasts(feature_view_version=view, reference_datetime=at),
        "later_runs": runs.filter(pl.col("reference_datetime") > at).height,
        "model_versions": [] if view is None else _models(settings, view, at),
    }


def remove_run(
    settings: Settings,
    *,
    reference_datetime: datetime | str,
    feature_view_version: int | str | None = None,
) -> RemovedRun:
    """Remove the record of a run; every read is then as if the run had not been.

    The ingest goes last, so a removal that was killed is ended by calling it again. Files stay on disk until the next
    maintenance vacuums them.

    Args:
        settings: Where the stores are.
        reference_datetime: Reference time of the run; naive is UTC, text is ISO.
        feature_view_version: Needed only where the runs of several views have this reference time.

    Raises:
        InvalidArgument: If an argument cannot be read, or several views have a run of that time and none is given.
        NotFoundError: If there is no such run; the message names the newest that there are.
        StorageError: If the stores cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    record = record_of_run(settings, reference_datetime=reference_datetime, feature_view_version=feature_view_version)
    at = moment("reference_datetime", reference_datetime)
    dataset, version = record["dataset"], record["feature_group_version"]
    rows = {
        "quarantine": Quarantine(settings).remove(
            dataset=dataset, feature_group_version=version, reference_datetime=at
        ),
        "validation_runs": Validations(settings).remove(
            dataset=dataset, feature_group_version=version, reference_datetime=at
        ),
    }
    view = record["feature_view_version"]
    if view is not None:
        rows["alarms"] = Alarms(settings).remove_checks(feature_view_version=view, reference_datetime=at)
        rows |= ForecastArchive(settings).remove_run(feature_view_version=view, reference_datetime=at)
    rows["step_log"] = step_log.remove(settings, dataset=dataset, reference_datetime=at)
    rows["ingests"], values = FeatureStore(settings).remove_ingests(
        dataset=dataset, feature_group_version=version, reference_datetime=at
    )
    return {
        **record,
        "rows": rows,
        "removed_values": values.values,
        "kept_values": values.kept,
        "lost_values": values.lost,
    }


def _group_of_run(
    store: FeatureStore, archive: ForecastArchive, at: datetime, view: int | None
) -> tuple[tuple[str, int], int | None]:
    """Return the feature group (dataset, version) of the run at a time, and its view if there is one."""
    views = {(each.dataset, each.feature_group_version): each.version for each in store.feature_views()}
    ingested = {(each.dataset, each.feature_group_version) for each in store.ingests(known_from=at, known_until=at)}
    archived = set(archive.views_at(at))
    found = {group: views.get(group) for group in ingested}
    found |= {group: number for group, number in views.items() if number in archived}
    if view is not None:
        store.feature_view(view)
        found = {group: number for group, number in found.items() if number == view}
    if not found:
        raise _no_run(store, at, view)
    if len(found) > 1:
        named = ", ".join(
            f"{dataset} version {version} (view {found[dataset, version] or 'none'})"
            for dataset, version in sorted(found)
        )
        raise InvalidArgument(
            f"several runs have the reference time {at:{DATETIME_FORMAT}}: of {named}; say which by its feature view",
            existing=sorted(number for number in found.values() if number),
        )
    [(group, number)] = found.items()
    return group, number


def _no_run(store: FeatureStore, at: datetime, view: int | None) -> NotFoundError:
    of_view = "" if view is None else f" of feature view {view}"
    times = sorted({each.known_at for each in store.ingests()}, reverse=True)
    existing = [f"{each:{DATETIME_FORMAT}}" for each in times]
    more = f" and {len(existing) - _NAMED} earlier" if len(existing) > _NAMED else ""
    return NotFoundError(
        f"there is no run{of_view} at {at:{DATETIME_FORMAT}} UTC; the newest are at "
        f"{', '.join(existing[:_NAMED]) or 'none yet'}{more}",
        reference_datetime=at,
        existing=existing,
    )


def _models(settings: Settings, view: int, at: datetime) -> list[int]:
    tags = {"feature_view_version": str(view), "reference_datetime": f"{at:{DATETIME_FORMAT}}"}
    return [each.version for each in tracking.find_model_versions(settings, tags)]
