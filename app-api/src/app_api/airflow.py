"""Runs of the pipeline's DAG, read from Airflow's REST API as a user with the role viewer."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from app_api.models import DagRuns
from app_api.problems import RETRY_SECONDS, Refused
from forecast_core.contracts.settings import Settings

DAG: Final = "ml_pipeline"
MOST_RUNS: Final = 48
FRESH_SECONDS: Final = 5.0
"""Airflow is asked at most once in this time, however many requests come in."""
_TIMEOUT: Final = httpx.Timeout(3)
_PAGE: Final = 100
"""Most task instances that Airflow returns in one answer."""
_LOG: Final = logging.getLogger(__name__)


class Airflow:
    """One Airflow; its last answer, or refusal, holds for ``FRESH_SECONDS``."""

    def __init__(
        self, settings: Settings, *, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._known: tuple[float, DagRuns | Refused] | None = None

    async def runs(self) -> DagRuns:
        """Return the newest runs of the DAG, with their tasks.

        Raises:
            Refused: 404 if the settings do not say where Airflow is and who asks, 503 if it does not answer.
        """
        async with self._lock:
            if self._known is None or self._monotonic() - self._known[0] >= FRESH_SECONDS:
                known = await self._asked()
                self._known = (self._monotonic(), known)
        if isinstance(self._known[1], Refused):
            raise self._known[1]
        return self._known[1]

    async def _asked(self) -> DagRuns | Refused:
        try:
            url, password = self._access()
            async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
                login = {"username": self._settings.airflow_user, "password": password}
                token = (await _json(client.post("/auth/token", json=login)))["access_token"]
                client.headers["Authorization"] = f"Bearer {token}"
                return await self._read(client)
        except Refused as refusal:
            return refusal
        except httpx.HTTPStatusError as error:
            return _unavailable(f"refuses ({error.response.status_code})", error)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            return _unavailable(f"does not answer as it should ({type(error).__name__})", error)

    def _access(self) -> tuple[str, str]:
        """Return the address of Airflow's API, and the password for it."""
        url = self._settings.airflow_api_url or self._settings.airflow_url
        if url is None:
            raise _unset("the address of Airflow: set ML_PIPELINE_AIRFLOW_URL")
        path = self._settings.airflow_password_file or self._settings.root / "secrets" / "airflow-viewer-password"
        try:
            return url.rstrip("/"), Path(path).read_text(encoding="utf-8").strip()
        except OSError:
            raise _unset(
                "Airflow's password: ML_PIPELINE_AIRFLOW_PASSWORD_FILE must name a file that it can read"
            ) from None

    async def _read(self, client: httpx.AsyncClient) -> DagRuns:
        dag = await _json(client.get(f"/api/v2/dags/{DAG}"))
        # By id: the newest made, a backfill's of past hours too.
        newest: dict[str, str | int] = {"order_by": "-id", "limit": MOST_RUNS}
        found = await _json(client.get(f"/api/v2/dags/{DAG}/dagRuns", params=newest))
        tasks = await _tasks(client, [run["dag_run_id"] for run in found["dag_runs"]])
        for run in found["dag_runs"]:
            own = [task for task in tasks if task["dag_run_id"] == run["dag_run_id"]]
            run["tasks"] = sorted(own, key=lambda task: (task["start_date"] or "~", task["task_id"]))
            run["airflow_url"] = page_of(self._settings, run["dag_run_id"])
        return DagRuns.model_validate(
            {
                "as_of": self._clock(),
                "paused": dag["is_paused"],
                "next_run_after": dag["next_dagrun_run_after"],
                "items": found["dag_runs"],
                "total": found["total_entries"],
            }
        )


def page_of(settings: Settings, dag_run: str | None, *, dag: str = DAG) -> str | None:
    """Return the address of a DAG run's page, if Airflow's is set."""
    base = settings.airflow_url
    return None if base is None or dag_run is None else f"{base.rstrip('/')}/dags/{quote(dag)}/runs/{quote(dag_run)}"


async def _tasks(client: httpx.AsyncClient, runs: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while runs:
        asked = {
            "dag_ids": [DAG],
            "dag_run_ids": runs,
            "page_limit": _PAGE,
            "page_offset": len(found),
            "order_by": "id",
        }
        part = await _json(client.post("/api/v2/dags/~/dagRuns/~/taskInstances/list", json=asked))
        found += part["task_instances"]
        if not part["task_instances"] or len(found) >= part["total_entries"]:
            break
    return found


async def _json(request: Any) -> dict[str, Any]:
    answer: httpx.Response = await request
    decoded: dict[str, Any] = answer.raise_for_status().json()
    return decoded


def _unset(what: str) -> Refused:
    return Refused(404, f"this API does not know {what}", allowed=[])


def _unavailable(how: str, error: Exception) -> Refused:
    _LOG.warning("Airflow %s: %s", how, error)
    return Refused(503, f"Airflow {how} now: try again in a moment", headers={"Retry-After": str(RETRY_SECONDS)})
