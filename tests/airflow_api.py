"""Airflow in small: a server on loopback that answers what is asked of Airflow's REST API about the runs of one DAG.

>>> import json, urllib.request
>>> from tests.airflow_api import Airflow
>>> with Airflow("secret", runs=[]) as airflow:
...     body = json.dumps({"username": "viewer", "password": "secret"}).encode()
...     asked = urllib.request.Request(f"{airflow.url}/auth/token", data=body, method="POST")
...     json.loads(urllib.request.urlopen(asked).read())
{'access_token': 'token of viewer'}
"""

import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from feature_pipeline.testing.loopback import Loopback

Json = dict[str, Any]
_TICKET: Final = "token of viewer"
_MOST: Final = 100


class Airflow(Loopback):
    """A server in a thread, from ``with`` to its end.

    Attributes:
        runs: The DAG's runs, oldest first: fields of ``DAGRunResponse``, and ``tasks``, each of
            ``TaskInstanceResponse``, as Airflow 3 has them.
        paused: Whether the DAG is paused.
        refuses_changes: Whether a change of a run is refused, as for a user without the right.
        status: Answered to everything, if it is not 200.
        requests: Methods and paths so far.
    """

    def __init__(self, password: str, *, runs: Sequence[Json], dag: str = "ml_pipeline") -> None:
        """Open a port."""
        self.runs = list(runs)
        self.paused = False
        self.refuses_changes = False
        self.status = 200
        self.requests: list[str] = []
        self._password = password
        self._dag = f"/api/v2/dags/{dag}"
        super().__init__(_handler(self))

    @property
    def url(self) -> str:
        """Its address."""
        return self.address

    def reply(self, method: str, target: str, *, token: str | None, body: Json) -> tuple[int, Json]:
        """Return status and answer of one request."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {parts.path}")
        if self.status != 200:
            return self.status, {"detail": "as told"}
        if (method, parts.path) == ("POST", "/auth/token"):
            known = body in [{"username": user, "password": self._password} for user in ("viewer", "watch")]
            return (201, {"access_token": _TICKET}) if known else (401, {"detail": "Invalid credentials"})
        if token != f"Bearer {_TICKET}":
            return 401, {"detail": "Not authenticated"}
        if (method, parts.path) == ("GET", self._dag):
            return 200, {"is_paused": self.paused, "next_dagrun_run_after": None}
        if (method, parts.path) == ("GET", f"{self._dag}/dagRuns"):
            states = parse_qs(parts.query).get("state")
            return 200, self._newest(int(query["limit"]), states)
        if method == "PATCH" and parts.path.startswith(f"{self._dag}/dagRuns/"):
            return self._changed(parts.path.rsplit("/", 1)[-1], body)
        if (method, parts.path) == ("POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list"):
            return 200, self._tasks(body)
        return 404, {"detail": "Not Found"}

    def _changed(self, run_id: str, body: Json) -> tuple[int, Json]:
        found = [run for run in self.runs if run["dag_run_id"] == unquote(run_id)]
        if not found:
            return 404, {"detail": "Not Found"}
        if self.refuses_changes:
            return 403, {"detail": "Forbidden"}
        found[0].update(body)
        return 200, found[0]

    def _newest(self, limit: int, states: list[str] | None) -> Json:
        wanted = [run for run in reversed(self.runs) if states is None or run["state"] in states]
        newest = [{name: value for name, value in run.items() if name != "tasks"} for run in wanted]
        return {"dag_runs": newest[: min(limit, _MOST)], "total_entries": len(self.runs)}

    def _tasks(self, body: Mapping[str, Any]) -> Json:
        wanted = [
            {**task, "dag_run_id": run["dag_run_id"]}
            for run in self.runs
            if run["dag_run_id"] in body["dag_run_ids"]
            for task in run["tasks"]
        ]
        first = body["page_offset"]
        page = wanted[first : first + min(body["page_limit"], _MOST)]
        return {"task_instances": page, "total_entries": len(wanted)}


def _handler(service: Airflow) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", {})

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_PATCH(self) -> None:
            self._answer("PATCH", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, method: str, body: Json) -> None:
            status, found = service.reply(method, self.path, token=self.headers.get("Authorization"), body=body)
            sent = json.dumps(found).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
