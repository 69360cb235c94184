"""Airflow's processes on one machine: the scheduler starts no task before the API server answers; all end at once."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.stack import PATIENCE_S, REPOSITORY

# In place of Airflow: its command line says that it was called, and with what.
AIRFLOW = {
    "__init__.py": "",
    "__main__.py": "import sys; print('STARTED', *sys.argv[1:], flush=True)",
    "cli/__init__.py": "",
    "cli/commands/__init__.py": "",
    "cli/commands/scheduler_command.py": "",
    "jobs/__init__.py": "",
    "jobs/scheduler_job_runner.py": "print('IMPORTED', flush=True)",
}


class ApiServer(BaseHTTPRequestHandler):
    """Refuses a few requests, as while it starts, and then answers."""

    statuses: ClassVar[list[int]] = []
    asked: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.send_response(self.statuses.pop(0) if self.statuses else 200)
        self.end_headers()
        self.asked.set()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def fake_airflow(tmp_path: Path) -> Path:
    for name, text in AIRFLOW.items():
        path = tmp_path / "airflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_scheduler_is_imported_at_once_and_starts_when_the_api_server_answers(fake_airflow: Path) -> None:
    ApiServer.statuses[:] = [503, 503, 404]
    ApiServer.asked.clear()
    # It has its port, and does not listen yet.
    server = HTTPServer(("127.0.0.1", 0), ApiServer, bind_and_activate=False)
    server.server_bind()
    address = f"http://127.0.0.1:{server.server_port}/api/v2/version"
    command = [
        sys.executable,
        str(REPOSITORY / "airflow" / "process.py"),
        "--after",
        address,
        "scheduler",
        "--skip-serve-logs",
    ]
    environment = {**os.environ, "PYTHONPATH": str(fake_airflow)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    try:
        assert process.stdout.readline() == "IMPORTED\n"
        server.server_activate()
        serving.start()
        assert process.stdout.readline() == "STARTED scheduler --skip-serve-logs\n"
        # It was started by the first answer that was no error.
        assert ApiServer.asked.is_set()
        assert ApiServer.statuses == []
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.stdout.close()
        if serving.is_alive():
            server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [("pass", 0, ""), ("sys.exit(3)", 3, ""), ("sys.exit('no database')", 1, "no database\n")],
)
def test_the_process_ends_with_the_status_of_its_command_and_without_a_teardown(
    fake_airflow: Path, ending: str, status: int, said: str
) -> None:
    (fake_airflow / "airflow" / "__main__.py").write_text(
        "import atexit, sys\n"
        "class Held:\n"
        "    def __del__(self): print('TORN DOWN')\n"
        "sys.held = Held()\n"
        "atexit.register(print, 'EXIT FUNCTION')\n" + ending
    )
    command = [sys.executable, str(REPOSITORY / "airflow" / "process.py"), "triggerer"]
    environment = {**os.environ, "PYTHONPATH": str(fake_airflow)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "EXIT FUNCTION\n", said)
