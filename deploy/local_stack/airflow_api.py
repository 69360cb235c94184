"""The few calls of Airflow's REST API that starting, watching and summing up a run need."""

import json
import time
from datetime import datetime
from typing import Any

import httpx

from local_stack import credentials, processes
from local_stack.layout import Layout, SetupError


class AirflowApi:
    """A session with the API server of the local stack."""

    def __init__(self, layout: Layout, dag: str = "ml_pipeline") -> None:
        self._layout = layout
        self._dag = dag
        self._client = httpx.Client(base_url=layout.airflow_url, timeout=120, trust_env=False)

    def wait_until_healthy(self, *, seconds: float = 300) -> None:
        """Return when API server, scheduler, dag-processor and triggerer are healthy and the DAG is known.

        Raises:
            SetupError: If that takes longer, with what is not healthy, or a process has ended.
        """
        deadline = time.monotonic() + seconds
        while unhealthy := self._unhealthy():
            processes.check(self._layout)
            if time.monotonic() > deadline:
                raise SetupError(
                    f"Airflow is not healthy after {seconds:.0f} s: {unhealthy}; logs are in {self._layout.logs}"
                )
            time.sleep(processes.POLL_SECONDS)

    def answers(self) -> bool:
        """Tell whether the API server answers."""
        try:
            return self._client.get("/api/v2/version", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def set_variables(self, variables: dict[str, str]) -> None:
        """Create or change Airflow Variables."""
        self._login()
        entities = [{"key": key, "value": value} for key, value in variables.items()]
        action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
        self._send("PATCH", "/variables", {"actions": [action]})

    def start_run(self, logical_date: datetime) -> str:
        """Trigger the run of that hour, or run it again if it is there; unpause the DAG; return the run's id."""
        path = f"/dags/{self._dag}/dagRuns"
        run = self._run_of(logical_date)
        if run is None:
            answer = self._client.post(f"/api/v2{path}", json={"logical_date": _text(logical_date)})
            # The scheduler of an unpaused DAG may have been first.
            run = self._run_of(logical_date) if answer.status_code == httpx.codes.CONFLICT else _checked(answer)
        elif run["state"] in {"success", "failed"}:
            self._send("POST", f"{path}/{run['dag_run_id']}/clear", {"dry_run": False})
        self.unpause()
        if run is None:
            raise SetupError(f"Airflow neither makes nor shows a run of {self._dag} at {logical_date}")
        return str(run["dag_run_id"])

    def _run_of(self, logical_date: datetime) -> dict[str, Any] | None:
        hour = _text(logical_date)
        found = self._get(f"/dags/{self._dag}/dagRuns", logical_date_gte=hour, logical_date_lte=hour)["dag_runs"]
        return found[0] if found else None

    def unpause(self) -> None:
        """Let the scheduler run the DAG's runs; a new DAG is paused."""
        self._send("PATCH", f"/dags/{self._dag}", {"is_paused": False})

    def backfills_running(self) -> bool:
        """Tell whether a backfill of the DAG is not completed yet."""
        backfills = self._get("/backfills", dag_id=self._dag)["backfills"]
        return any(backfill["completed_at"] is None for backfill in backfills)

    def run(self, run: str) -> dict[str, Any]:
        """Return a run: its ``state``, ``start_date``, ``end_date``."""
        return self._get(f"/dags/{self._dag}/dagRuns/{run}")

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run: ``task_id``, ``state``, ``duration``, ``try_number``."""
        instances: list[dict[str, Any]] = self._get(f"/dags/{self._dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return instances

    def result(self, run: str, task: str) -> dict[str, Any]:
        """Return what a task returned."""
        entry = self._get(
            f"/dags/{self._dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value", deserialize="true"
        )
        value = entry["value"]
        decoded: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return decoded

    def _unhealthy(self) -> str:
        try:
            health = self._client.get("/api/v2/monitor/health").json()
            bad = [name for name, part in health.items() if part["status"] != "healthy"]
            if not bad:
                self._login()
                found = self._client.get(f"/api/v2/dags/{self._dag}")
                return "" if found.is_success else f"the DAG {self._dag} is not parsed yet"
        except (httpx.HTTPError, ValueError) as error:
            return f"the API server does not answer ({error})"
        return ", ".join(bad)

    def _login(self) -> None:
        body = {"username": credentials.AIRFLOW_USER, "password": credentials.airflow_password(self._layout)}
        answer = self._client.post("/auth/token", json=body).raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        for _ in range(3):
            try:
                return _checked(self._client.get(f"/api/v2{path}", params=parameters))
            except httpx.TransportError as error:
                # A busy machine; asking again changes nothing.
                failure = error
        raise SetupError(f"Airflow's API does not answer ({failure}); its log is {self._layout.logs}/api-server.log")

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(self._client.request(method, f"/api/v2{path}", json=body))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SetupError(
            f"Airflow refuses {answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
        )
    decoded: dict[str, Any] = answer.json()
    return decoded


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
