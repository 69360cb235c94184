"""How the system is: data and their age, last run, model, quarantine, open alarms, the stack's processes."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app_shell import stack
from forecast_core import tracking
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

_LATE: Final = timedelta(hours=2)
"""The DAG runs every hour, and a run takes minutes: after this, one is missing."""


def state(settings: Settings, now: datetime) -> dict[str, Any]:
    """Return how the system is at ``now``, as plain JSON; what is not there yet is null or empty.

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
        "model": _model(settings, now, None if last_run is None else last_run["feature_view_version"]),
        "quarantine": _quarantine(settings),
        "open_alarms": _alarms(settings, now),
        "processes": stack.processes(settings),
    }


def _data(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    store = FeatureStore(settings)
    newest = [
        store.latest_ingest(dataset=dataset, feature_group_version=version)
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
        }
        for each in newest
        if each is not None
    ]


def _last_run(settings: Settings, now: datetime) -> dict[str, Any] | None:
    runs = ForecastArchive(settings).read_runs()
    if runs.is_empty():
        return None
    run = runs.row(-1, named=True)
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
    }


def _model(settings: Settings, now: datetime, feature_view_version: int | None) -> dict[str, Any] | None:
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


def _alarms(settings: Settings, now: datetime) -> list[dict[str, Any]]:
    found = Alarms(settings).read(as_of=now, only_open=True)
    times = pl.col(pl.Datetime).dt.strftime(DATETIME_FORMAT)
    shown = found.select("level", "kind", "subject", "opened_at", "value", "threshold", "message")
    return shown.with_columns(times).to_dicts()


def _hours(age: timedelta) -> float:
    return round(age.total_seconds() / 3600, 1)


def drawn(facts: dict[str, Any]) -> Group:
    """Return a page of what ``state`` returned."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for each in facts["data"] or [None]:
        table.add_row("Data", _none("nothing ingested yet") if each is None else _data_line(each))
    run, model = facts["last_run"], facts["model"]
    table.add_row("Last run", _none("none yet: `energy run`") if run is None else _run_line(run))
    table.add_row("Model", _none("none yet") if model is None else _model_line(model))
    pending = [f"{count:,} rows of {severity}s" for severity, count in facts["quarantine"].items()]
    table.add_row("Quarantine", Text(", ".join(pending) or "empty", style="yellow" if pending else ""))
    for alarm in facts["open_alarms"] or [None]:
        table.add_row("Alarms", Text("none open") if alarm is None else _alarm_line(alarm))
    table.add_row("Stack", _stack_line(facts["processes"]))
    return Group(Text(f"{facts['at']} UTC, {facts['root']}", style="dim"), table)


def _none(text: str) -> Text:
    return Text(text, style="yellow")


def _data_line(data: dict[str, Any]) -> str:
    size = f"{data['rows']:,} values of {data['series']} series, {data['missing_hours']:,} missing"
    return (
        f"{data['dataset']}: to {data['last_hour']} UTC, {_age(data['age_hours'])}; "
        f"ingested at {data['ingested_at']}: {size}"
    )


def _run_line(run: dict[str, Any]) -> Text:
    by = f"DAG run {run['dag_run_id']}" if run["dag_run_id"] else "a shell"
    text = Text(f"{run['reference_datetime']} UTC, {_age(run['age_hours'])}")
    if run["late"]:
        text.append(" (late: a run is due every hour)", "yellow")
    return text.append(f"; {run['forecasts']:,} forecasts by {by}; {run['runs']:,} runs kept")


def _model_line(model: dict[str, Any]) -> str:
    facts = f"version {model['version']} of {model['versions']}, configuration: {model['configuration']}"
    if model["wape"] is None or model["naive_wape"] is None:
        return facts
    return f"{facts}; WAPE {model['wape']:.4f}, seasonal naive {model['naive_wape']:.4f}"


def _alarm_line(alarm: dict[str, Any]) -> Text:
    return Text(f"{alarm['kind']} {alarm['subject']} since {alarm['opened_at']}: {alarm['message']}", style="red")


def _stack_line(processes: list[dict[str, Any]] | None) -> Text:
    if processes is None:
        return Text("not running in this root folder (`make run` starts one)", style="dim")
    text = Text()
    for each in processes:
        text.append(f"{each['name']} {each['state']}  ", "green" if each["state"] == "running" else "red")
    return text


def _age(hours: float) -> str:
    return f"{hours:,.0f} h ago" if hours < 72 else f"{hours / 24:,.0f} days ago"
