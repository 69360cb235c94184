"""A real stack for the tests: its root folder, ports, programs and calls."""

import json
import os
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
DISTRIBUTIONS: tuple[str, ...] = tuple(
    tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
)
# What the caller's make and the caller's own stack have set is not for this one.
FOREIGN = ("ML_PIPELINE_", "MAKE", "MFLAGS", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV")

PATIENCE_S = 1800.0
"""Longest wait for an answer, as long as for a whole test: only what hangs meets it."""


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Stack:
    """A local stack under a root folder of its own, as ``make`` starts it."""

    root: Path
    index_port: int
    airflow_port: int
    api_port: int
    dashboard_port: int
    dags: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a user works with this stack."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)},
            "ML_PIPELINE_ENV_FILE": os.devnull,
            "ML_PIPELINE_ROOT_DIR": str(self.root),
            "ML_PIPELINE_INDEX_PORT": str(self.index_port),
            "ML_PIPELINE_AIRFLOW_PORT": str(self.airflow_port),
            "ML_PIPELINE_API_PORT": str(self.api_port),
            "ML_PIPELINE_DASHBOARD_PORT": str(self.dashboard_port),
            "ML_PIPELINE_DAGS_DIR": str(self.dags),
            "ML_PIPELINE_TUNING_TRIALS": "2",
        }

    @property
    def index_url(self) -> str:
        """Address of the private index."""
        return f"http://127.0.0.1:{self.index_port}"

    @property
    def version(self) -> str:
        """The deployed version."""
        variables: dict[str, str] = json.loads((self.root / "deployed" / "variables.json").read_text())
        return variables["ml_pipeline_version"]

    def make(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make in the repository for this stack, with further environment variables."""
        command = ["make", "--no-print-directory", *arguments]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    @contextmanager
    def running(self) -> Iterator[str]:
        """Keep ``make run`` up meanwhile; give what it printed until it was ready; end it with Ctrl-C."""
        command = ["make", "--no-print-directory", "run"]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        printed: list[str] = []
        try:
            for line in process.stdout:
                printed.append(line)
                if line.startswith("ml_pipeline goes on every hour"):
                    break
            assert process.poll() is None, "".join(printed)
            yield "".join(printed)
        finally:
            # As a terminal does it: to the whole group.
            os.killpg(process.pid, signal.SIGINT)
            process.stdout.read()
            process.stdout.close()
            process.wait()

    def airflow(self, *arguments: str) -> str:
        """Run Airflow's command line."""
        command = [str(REPOSITORY / "deploy" / "airflow"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Begin when no run of ml_pipeline goes on, and let none start meanwhile: one is due at every full hour."""
        dag = "/api/v2/dags/ml_pipeline"
        while True:
            self.api.patch(dag, json={"is_paused": True}).raise_for_status()
            if not self.api.get(f"{dag}/dagRuns", params={"state": ["queued", "running"]}).json()["dag_runs"]:
                break
            self.api.patch(dag, json={"is_paused": False}).raise_for_status()
            time.sleep(1)
        try:
            yield
        finally:
            self.api.patch(dag, json={"is_paused": False}).raise_for_status()

    def program(self, environment: str, name: str) -> str:
        """Return the path of a program in one of the stack's environments."""
        return str(self.root / "venvs" / environment / "bin" / name)

    def secret(self, name: str) -> str:
        """Return a generated secret."""
        return (self.root / "secrets" / name).read_text().strip()

    def worker_environment(self) -> dict[str, str]:
        """Return the environment in which Airflow's tasks run."""
        code = (
            "import json; from local_stack import airflow_settings; from local_stack.layout import Layout; "
            "print(json.dumps(airflow_settings.environment(Layout.from_environment())))"
        )
        environment = self.environment | {"PYTHONPATH": str(REPOSITORY / "deploy")}
        done = subprocess.run(
            [self.program("deploy", "python"), "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        decoded: dict[str, str] = json.loads(done.stdout)
        return decoded

    def processes(self) -> list[psutil.Process]:
        """Return every process that belongs to this stack, by its environment or command line."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("ML_PIPELINE_ROOT_DIR") == str(self.root)
                if process.pid != os.getpid() and (ours or str(self.root) in " ".join(process.cmdline())):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        """Close the session with Airflow's API, if there was one."""
        if "api" in self.__dict__:
            self.api.close()

    @cached_property
    def api(self) -> Any:
        """A session with Airflow's API."""
        import httpx

        client = httpx.Client(base_url=f"http://127.0.0.1:{self.airflow_port}", timeout=PATIENCE_S)
        passwords = json.loads(self.secret("airflow-passwords.json"))
        login = {"username": "admin", "password": passwords["admin"]}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client
