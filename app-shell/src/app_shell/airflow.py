"""What Airflow says about the runs of the DAG: whether it is paused, what failed, what holds the slot of the others."""

import json
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.error import HTTPError

from app_shell.ml_pipeline_steps import STEPS
from app_shell.stack import Ports
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc

DAG: Final = "ml_pipeline"
_RUNS: Final = 48
"""Two days of hourly runs are looked at."""
_LONGEST: Final = timedelta(minutes=sum(step.minutes for step in STEPS))
"""No run takes longer than its steps may together."""
_SECONDS: Final = 5.0
_DONE: Final = ("success", "failed")


class DagRun(TypedDict):
    """A run of the DAG: its name, its hour in UTC, its state, and what is wrong with it."""

    dag_run_id: str
    reference_datetime: str | None
    state: str
    why: str


class DagState(TypedDict):
    """The DAG and its newest runs.

    ``error`` says why Airflow could not be asked; the rest is empty then. ``failed`` are the runs that failed since the
    last one that succeeded, newest first. ``blocking`` are the runs that hold the slot of the hourly runs: of an hour
    in the future, or running for longer than all steps together may.
    """

    error: str | None
    paused: bool
    failed: list[DagRun]
    blocking: list[DagRun]
    queued: int
    last_success: str | None


def state_of_dag(settings: Settings, ports: Ports, now: datetime) -> DagState | None:
    """Return what Airflow says, or None if nobody has said where it is and it does not run in this root folder."""
    password = Path(settings.airflow_password_file or settings.root / "secrets" / "airflow-viewer-password")
    address = settings.airflow_api_url or settings.airflow_url or f"http://127.0.0.1:{ports.airflow_port}"
    if not password.is_file():
        return None
    try:
        paused, runs = _asked(address.rstrip("/"), settings.airflow_user, password.read_text(encoding="utf-8").strip())
    except HTTPError as error:
        return _unknown(f"Airflow at {address} refuses ({error.code})")
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return _unknown(f"Airflow at {address} does not answer ({type(error).__name__})")
    return _state(runs, paused=paused, now=now)


def _unknown(error: str) -> DagState:
    return DagState(error=error, paused=False, failed=[], blocking=[], queued=0, last_success=None)


def _asked(address: str, user: str, password: str) -> tuple[bool, list[dict[str, Any]]]:
    login = json.dumps({"username": user, "password": password}).encode()
    token = _json(f"{address}/auth/token", body=login)["access_token"]
    dag = _json(f"{address}/api/v2/dags/{DAG}", token=token)
    found = _json(f"{address}/api/v2/dags/{DAG}/dagRuns?order_by=-id&limit={_RUNS}", token=token)
    runs: list[dict[str, Any]] = found["dag_runs"]
    return bool(dag["is_paused"]), runs


def _json(address: str, *, body: bytes | None = None, token: str | None = None) -> dict[str, Any]:
    request = urllib.request.Request(address, data=body)  # noqa: S310 - the address of the settings
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    # Directly: a proxy has nothing to do with our own Airflow, and must not see the password.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=_SECONDS) as answer:
        decoded: dict[str, Any] = json.loads(answer.read())
    return decoded


def _state(runs: list[dict[str, Any]], *, paused: bool, now: datetime) -> DagState:
    """Return the state; ``runs`` are Airflow's, the newest made first.

    A run of the future that has ended, as by the watch, says nothing of those that are due. A backfill is looked after
    by whoever started it.
    """
    due = [run for run in runs if (_hour(run) or now) <= now and run.get("run_type") != "backfill"]
    due.sort(key=lambda run: (_hour(run) or now, run["dag_run_id"]), reverse=True)
    failed: list[DagRun] = []
    succeeded: str | None = None
    for run in due:
        if run["state"] == "success":
            succeeded = _text(_hour(run))
            break
        if run["state"] == "failed":
            failed.append(_run(run, "failed"))
    blocking = [_run(run, why) for run in runs if (why := _why_blocking(run, now))]
    queued = sum(run["state"] == "queued" for run in runs)
    return DagState(error=None, paused=paused, failed=failed, blocking=blocking, queued=queued, last_success=succeeded)


def _why_blocking(run: Mapping[str, Any], now: datetime) -> str | None:
    hour, begun = _hour(run), _time(run.get("start_date"))
    if run["state"] in _DONE:
        return None
    if hour is not None and hour > now:
        return "its hour is in the future"
    if run["state"] == "running" and begun is not None and now - begun > _LONGEST:
        return f"running for {(now - begun) / timedelta(hours=1):.0f} hours"
    return None


def _run(run: Mapping[str, Any], why: str) -> DagRun:
    return {
        "dag_run_id": run["dag_run_id"],
        "reference_datetime": _text(_hour(run)),
        "state": run["state"],
        "why": why,
    }


def _hour(run: Mapping[str, Any]) -> datetime | None:
    """Return the time of a run; one that was triggered without a logical date is of the time of its trigger."""
    return _time(run.get("logical_date") or run.get("run_after"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else as_utc(datetime.fromisoformat(text))


def _text(time: datetime | None) -> str | None:
    return None if time is None else f"{time:{DATETIME_FORMAT}}"


def sentences(state: DagState) -> list[tuple[str, bool]]:
    """Return what to say of a state, and for each sentence whether it is bad news."""
    if state["error"] is not None:
        return [(state["error"], True)]
    said: list[tuple[str, bool]] = []
    for run in state["blocking"]:
        said.append(
            (
                f"{run['dag_run_id']} holds the slot of the hourly runs: {run['why']}; mark it failed on Airflow's "
                "page of the run",
                True,
            )
        )
    if state["failed"]:
        hours = [run["reference_datetime"] or run["dag_run_id"] for run in state["failed"]]
        more = f" and {len(hours) - 4} earlier" if len(hours) > 4 else ""
        since = f"since {state['last_success']}" if state["last_success"] else "and none has succeeded"
        runs = "1 run has" if len(hours) == 1 else f"{len(hours)} runs in a row have"
        said.append((f"{runs} failed {since}: {', '.join(hours[:4])}{more} (logs: Airflow's page of the run)", True))
    if state["paused"]:
        said.append((f"the DAG is paused: no run starts by itself; `deploy/airflow dags unpause {DAG}`", True))
    if not said:
        last = state["last_success"]
        said.append((f"the last run that succeeded is of {last} UTC" if last else "no run has ended yet", False))
    return said
