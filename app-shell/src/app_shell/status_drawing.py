"""The state of the system for a terminal."""

from datetime import datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app_shell.airflow import sentences
from app_shell.stack import Process
from app_shell.status import Data, LastRun, Model, OpenAlarm, State, View
from forecast_core import reruns


def drawn(facts: State) -> Group:
    """Return a page of what ``status.state`` returned."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    data = [_data_text(each) for each in facts["data"]] or [_none("nothing ingested yet")]
    for line in data:
        table.add_row("Data", line)
    run, model = facts["last_run"], facts["model"]
    table.add_row("Last run", _none("none yet: `energy run`") if run is None else _run_line(run))
    for view in facts["views"] if len(facts["views"]) > 1 else []:
        table.add_row("View", _view_line(view))
    table.add_row("Model", _none("none yet") if model is None else _model_line(model))
    pending = [f"{count:,} rows of {severity}s" for severity, count in facts["quarantine"].items()]
    table.add_row("Quarantine", Text(_quarantine_line(pending), style="yellow" if pending else ""))
    for line in [_alarm_line(each) for each in facts["open_alarms"]] or [Text("none open")]:
        table.add_row("Alarms", line)
    for sentence, is_bad in [] if facts["dag"] is None else sentences(facts["dag"]):
        table.add_row("Airflow", Text(sentence, "red" if is_bad else ""))
    table.add_row("Stack", _stack_line(facts["processes"]))
    return Group(Text(f"{facts['at']} UTC, {facts['root']}", style="dim"), table)


def _none(text: str) -> Text:
    return Text(text, style="yellow")


def _data_text(data: Data) -> Text:
    text = Text(_data_line(data))
    if data["not_taken"]:
        text.append(f"; {reruns.told(data['not_taken'], datetime.fromisoformat(data['ingested_at']))}", "yellow")
    return text


def _data_line(data: Data) -> str:
    size = f"{data['rows']:,} values of {data['series']} series, {data['missing_hours']:,} missing"
    return (
        f"{data['dataset']} (feature group version {data['feature_group_version']}): "
        f"to {data['last_hour']} UTC, {_age(data['age_hours'])}; "
        f"ingested at {data['ingested_at']}: {size}"
    )


def _quarantine_line(pending: list[str]) -> str:
    if not pending:
        return "empty"
    return f"{', '.join(pending)}, not accepted yet (list: python -m feature_pipeline quarantine list)"


def _view_line(view: View) -> str:
    of = f"{view['dataset']}, feature group version {view['feature_group_version']}"
    return f"{view['feature_view_version']}: {of}; last run {view['last_run'] or 'none'}"


def _run_line(run: LastRun) -> Text:
    by = f"DAG run {run['dag_run_id']}" if run["dag_run_id"] else "a shell"
    text = Text(f"{run['reference_datetime']} UTC, {_age(run['age_hours'])}")
    if run["late"]:
        text.append(" (late: a run is due every hour)", "yellow")
    text.append(
        f"; {run['forecasts']:,} forecasts by {by}, feature view {run['feature_view_version']}; "
        f"{run['runs']:,} {'run' if run['runs'] == 1 else 'runs'} kept"
    )
    if run["future"]:
        one = f"energy remove-run --reference '{run['future'][0]}'"
        text.append(f"; {len(run['future'])} in the future, not counted as newest (remove: {one})", "yellow")
    return text


def _model_line(model: Model) -> str:
    facts = f"version {model['version']} of {model['versions']}, configuration: {model['configuration']}"
    if model["wape"] is None or model["naive_wape"] is None:
        return facts
    return f"{facts}; WAPE {model['wape']:.4f}, seasonal naive {model['naive_wape']:.4f}"


def _alarm_line(alarm: OpenAlarm) -> Text:
    of = f"view {alarm['feature_view_version']}"
    return Text(
        f"{alarm['kind']} {alarm['subject']} ({of}) since {alarm['opened_at']}: {alarm['message']}", style="red"
    )


def _stack_line(processes: list[Process] | None) -> Text:
    if processes is None:
        return Text("not running in this root folder (`make run` starts one)", style="dim")
    text = Text()
    for each in processes:
        text.append(f"{each['name']} {each['state']}  ", "green" if each["state"] == "running" else "red")
    return text


def _age(hours: float) -> str:
    if hours < 0:
        return f"in {-hours:,.0f} h" if hours > -72 else f"in {-hours / 24:,.0f} days"
    return f"{hours:,.0f} h ago" if hours < 72 else f"{hours / 24:,.0f} days ago"
