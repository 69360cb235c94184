"""The runs of ``ml_pipeline`` as Airflow's REST API tells of them, and an end to those that lie in the future.

A run whose logical date lies in the future is started by Airflow, its tasks wait for that date before any code of ours
runs, and ``max_active_runs`` counts it: no hourly run comes until somebody fails it. So the watch does.
``.airflowignore`` keeps this file from being read as a DAG.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

USER = "watch"
"""Airflow's user who asks; its role must allow to change runs (``user`` of the simple auth manager)."""

NOTE = "failed by ml_pipeline_watch: its logical date lies in the future, and it held the DAG's only slot"
NEWEST = 48
"""Runs that are looked at: two days of hourly ones."""

_FIELDS = ("dag_run_id", "run_type", "state", "logical_date", "run_after", "start_date", "end_date")
_log = logging.getLogger(__name__)


class Observed(TypedDict):
    """What the watch is told: runs with ``_FIELDS``, times as ISO text; ``ended`` and ``not_ended`` are run ids."""

    paused: bool
    runs: list[dict[str, Any]]
    ended: list[str]
    not_ended: list[str]


def observe(url: str, password_file: Path, now: datetime, *, dag: str = "ml_pipeline") -> Observed | None:
    """Return the state of the DAG and of its newest and active runs, after those in the future have been failed.

    Args:
        url: Address of Airflow's API server.
        password_file: File with the password of ``USER``.
        now: Runs with a later logical date lie in the future.
        dag: The DAG.

    Returns:
        None if Airflow cannot be asked; the log says why.
    """
    import httpx

    try:
        password = password_file.read_text(encoding="utf-8").strip()
    except OSError:
        _log.warning("the runs of %s are not looked at: there is no password of the user %s", dag, USER)
        return None
    try:
        # On loopback or in the deployment's network: never by a proxy.
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            login = client.post("/auth/token", json={"username": USER, "password": password}).raise_for_status()
            client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            return _observed(client, f"/api/v2/dags/{dag}", now)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        _log.warning("the runs of %s are not looked at: Airflow's API does not answer as it should (%s)", dag, error)
        return None


def _observed(client: Any, path: str, now: datetime) -> Observed:
    paused = client.get(path).raise_for_status().json()["is_paused"]
    active = _runs(client, path, state=["running", "queued"], order_by="id", limit=NEWEST)
    ended: list[str] = []
    not_ended: list[str] = []
    for run in active:
        if _time(run["logical_date"]) > now:
            body = {"state": "failed", "note": NOTE}
            answer = client.patch(f"{path}/dagRuns/{quote(run['dag_run_id'], safe='')}", json=body)
            (ended if answer.is_success else not_ended).append(run["dag_run_id"])
            _log.warning(
                "%s lies in the future: Airflow answers %d to failing it", run["dag_run_id"], answer.status_code
            )
    newest = _runs(client, path, order_by="-id", limit=NEWEST)
    older = [run for run in active if run["dag_run_id"] not in {each["dag_run_id"] for each in newest}]
    return {"paused": paused, "runs": [*newest, *older], "ended": ended, "not_ended": not_ended}


def _runs(client: Any, path: str, **query: Any) -> list[dict[str, Any]]:
    found = client.get(f"{path}/dagRuns", params=query).raise_for_status().json()["dag_runs"]
    return [{name: run.get(name) for name in _FIELDS} for run in found]


def _time(text: str | None) -> datetime:
    """Return a time; a run without a logical date lies in no future."""
    return datetime.min.replace(tzinfo=UTC) if text is None else datetime.fromisoformat(text)
