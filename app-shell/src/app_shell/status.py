"""The state of the system: data and their age, last run, model, quarantine, open alarms, the stack's processes."""

import json
from datetime import datetime, timedelta
from typing import Final, TypedDict, cast

import polars as pl

from app_shell import stack
from app_shell.airflow import DagState, state_of_dag
from forecast_core import tracking
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

_LATE: Final = timedelta(hours=2)
"""The DAG runs every hour, and a run takes minutes: after this, one is missing."""


class Data(TypedDict):
    """The newest ingest of a dataset; hours of age are counted from the end of its last hour.

    ``not_taken`` counts corrected values that the ingest, repeated after a correction, did not take.
    """

    dataset: str
    feature_group_version: int
    source: str
    ingested_at: str
    last_hour: str
    age_hours: float
    rows: int
    series: int | None
    missing_hours: int | None
    quarantined: int | None
    not_taken: int


class LastRun(TypedDict):
    """The newest archived run that is not in the future, whether the next is overdue, and how many runs there are.

    ``future`` are the reference times of the runs that are to come: a time that was typed wrong.
    """

    reference_datetime: str
    age_hours: float
    late: bool
    feature_view_version: int
    model_version: int
    forecasts: int
    series: int
    dag_run_id: str | None
    runs: int
    future: list[str]


class View(TypedDict):
    """A feature view, what it is of, and its newest run that is not in the future; None if it has none."""

    feature_view_version: int
    dataset: str
    feature_group_version: int
    last_run: str | None


class Model(TypedDict):
    """The model that forecasts now, with its backtest, and how many versions there are."""

    version: int
    versions: int
    reference_datetime: str | None
    configuration: str | None
    wape: float | None
    naive_wape: float | None


class OpenAlarm(TypedDict):
    """An open alarm, and the feature view that it is about."""

    feature_view_version: int
    level: str
    kind: str
    subject: str
    opened_at: str
    value: float | None
    threshold: float
    message: str


class State(TypedDict):
    """The state of the system as plain JSON; times are text in UTC. What does not exist yet is null or empty."""

    at: str
    root: str
    data: list[Data]
    last_run: LastRun | None
    views: list[View]
    model: Model | None
    quarantine: dict[str, int]
    open_alarms: list[OpenAlarm]
    dag: DagState | None
    processes: list[stack.Process] | None


def state(settings: Settings, ports: stack.Ports, now: datetime) -> State:
    """Return the state of the system at ``now``.

    Raises:
        StorageError: If the stores cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    last_run = _last_run(settings, now)
    return {
        "at": now.strftime(DATETIME_FORMAT),
        "root": str(settings.root),
        "data": _data(settings, now),
        "last_run": last_run,
        "views": _views(settings, now),
        "model": _model(settings, now, None if last_run is None else last_run["feature_view_version"]),
        "quarantine": _quarantine(settings),
        "open_alarms": _alarms(settings, now),
        "dag": state_of_dag(settings, ports, now),
        "processes": stack.processes(settings),
    }


def _data(settings: Settings, now: datetime) -> list[Data]:
    store = FeatureStore(settings)
    newest = [
        store.latest_ingest(dataset=dataset, feature_group_version=version, known_until=now)
        for dataset, version in store.feature_group_versions()
    ]
    return [
        {
            "dataset": each.dataset,
            "feature_group_version": each.feature_group_version,
            "source": each.url,
            "ingested_at": each.known_at.strftime(DATETIME_FORMAT),
            "last_hour": (each.window.end - timedelta(hours=1)).strftime(DATETIME_FORMAT),
            "age_hours": _hours(now - each.window.end),
            "rows": each.counts.rows,
            "series": each.record.get("series"),
            "missing_hours": each.record.get("missing_hours"),
            "quarantined": each.record.get("quarantined"),
            "not_taken": each.counts.conflicting,
        }
        for each in newest
        if each is not None
    ]


def _last_run(settings: Settings, now: datetime) -> LastRun | None:
    runs = ForecastArchive(settings).read_runs()
    is_due = pl.col("reference_datetime") <= now
    due, ahead = runs.filter(is_due), runs.filter(~is_due)
    if runs.is_empty():
        return None
    run = (due if due.height else ahead).row(-1 if due.height else 0, named=True)
    return {
        "reference_datetime": run["reference_datetime"].strftime(DATETIME_FORMAT),
        "age_hours": _hours(now - run["reference_datetime"]),
        "late": now - run["reference_datetime"] > _LATE,
        "feature_view_version": run["feature_view_version"],
        "model_version": run["model_version"],
        "forecasts": run["forecasts"],
        "series": run["history_series"],
        "dag_run_id": json.loads(run["made_by"])["dag_run_id"],
        "runs": runs.height,
        "future": [f"{each:{DATETIME_FORMAT}}" for each in ahead["reference_datetime"].unique().sort()],
    }


def _views(settings: Settings, now: datetime) -> list[View]:
    runs = ForecastArchive(settings).read_runs().filter(pl.col("reference_datetime") <= now)
    last = dict(runs.group_by("feature_view_version").agg(pl.col("reference_datetime").max()).iter_rows())
    return [
        {
            "feature_view_version": each.version,
            "dataset": each.dataset,
            "feature_group_version": each.feature_group_version,
            "last_run": f"{last[each.version]:{DATETIME_FORMAT}}" if each.version in last else None,
        }
        for each in FeatureStore(settings).feature_views()
    ]


def _model(settings: Settings, now: datetime, feature_view_version: int | None) -> Model | None:
    """Return the model that forecasts now: of the feature view of the last run, the latest by reference time."""
    newest = tracking.newest_model(settings, feature_view_version=feature_view_version, reference_datetime=now)
    if newest is None:
        return None
    versions = tracking.find_model_versions(settings)
    metrics = json.loads(newest.tags.get("metrics", "{}"))
    return {
        "version": newest.version,
        "versions": len(versions),
        "reference_datetime": newest.tags.get("reference_datetime"),
        "configuration": newest.tags.get("config_source"),
        "wape": metrics.get("wape"),
        "naive_wape": metrics.get("naive_wape"),
    }


def _quarantine(settings: Settings) -> dict[str, int]:
    """Pending rows by severity."""
    pending = Quarantine(settings).read(pending=True)
    return dict(pending.group_by("severity").len().sort("severity").iter_rows())


def _alarms(settings: Settings, now: datetime) -> list[OpenAlarm]:
    found = Alarms(settings).read(as_of=now, only_open=True)
    times = pl.col(pl.Datetime).dt.strftime(DATETIME_FORMAT)
    shown = found.select(
        "feature_view_version", "level", "kind", "subject", "opened_at", "value", "threshold", "message"
    )
    return cast("list[OpenAlarm]", shown.with_columns(times).to_dicts())


def _hours(age: timedelta) -> float:
    return round(age.total_seconds() / 3600, 1)
