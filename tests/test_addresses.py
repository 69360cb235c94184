"""Addresses and proxies of the local stack: where its servers are reached, and what is reached without a proxy."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stack import FOREIGN, REPOSITORY, free_port

PYTHON = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute() / "venvs/deploy/bin/python"
OWN = ["127.0.0.1", "localhost", "::1"]

OF_PROCESSES = """
import json
from local_stack.layout import Layout, process_environment
environment = process_environment(Layout.from_environment())
print(environment["NO_PROXY"], environment["no_proxy"])
"""

OF_LAYOUT = """
import json
from local_stack import processes
from local_stack.layout import Layout, SetupError, process_environment
layout = Layout.from_environment()
try:
    processes.check_ports(layout)
    refused = None
except SetupError as error:
    refused = str(error)
environment = process_environment(layout)
print(json.dumps({
    "api": layout.api_url, "dashboard": layout.dashboard_url, "told": environment["ML_PIPELINE_API_URL"],
    "direct": environment["NO_PROXY"].split(","), "command": processes.commands(layout)["api"][2:], "refused": refused,
}))
"""


def run(command: list[str], **variables: str) -> str:
    dropped = ("no_proxy", "NO_PROXY", *FOREIGN)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    own = {"ML_PIPELINE_ENV_FILE": os.devnull, "PYTHONPATH": str(REPOSITORY / "deploy")}
    done = subprocess.run(
        command, env=kept | own | variables, cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def of_shell(**variables: str) -> str:
    return run(["bash", "-euc", '. deploy/environment.sh; echo "$NO_PROXY $no_proxy"'], **variables)


def of_make(**variables: str) -> str:
    show = 'show: ; @echo "$$NO_PROXY $$no_proxy"'
    return run(["make", "--no-print-directory", "--eval", show, "show"], **variables)


def of_processes(**variables: str) -> str:
    return run([str(PYTHON), "-c", OF_PROCESSES], **variables)


@pytest.mark.parametrize("place", [of_shell, of_make, of_processes])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, []),
        ({"NO_PROXY": "intern.example,.lan"}, ["intern.example", ".lan"]),
        # It was overwritten: only the other spelling was read.
        ({"no_proxy": "intern.example, 10.0.0.0/8"}, ["intern.example", "10.0.0.0/8"]),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example,a.example"}, ["a.example", "b.example"]),
        ({"NO_PROXY": "", "no_proxy": "*"}, ["*"]),
        ({"NO_PROXY": "localhost,::1,a.example", "no_proxy": ""}, ["a.example"]),
    ],
)
def test_both_spellings_of_no_proxy_keep_the_users_entries(
    place: Callable[..., str], given: dict[str, str], kept: list[str]
) -> None:
    text = ",".join([*OWN, *kept])
    assert place(**given) == f"{text} {text}"


def layout(**variables: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(run([str(PYTHON), "-c", OF_LAYOUT], **variables))
    return decoded


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - binds nothing
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("::", "[::1]"),
        ("localhost", "localhost"),
        ("192.168.1.5", "192.168.1.5"),
        ("fd00::5", "[fd00::5]"),
    ],
)
def test_the_stack_reaches_the_api_and_the_dashboard_where_they_listen(host: str, reached: str) -> None:
    """The stack asked 127.0.0.1 wherever the API listened, and gave up after five minutes."""
    variables = {"ML_PIPELINE_API_PORT": "8765", "ML_PIPELINE_DASHBOARD_PORT": "8766"}
    found = layout(ML_PIPELINE_API_HOST=host, ML_PIPELINE_DASHBOARD_HOST=host, **variables)
    assert found["api"] == f"http://{reached}:8765/api/v1"
    assert found["dashboard"] == f"http://{reached}:8766"
    assert found["told"] == f"http://{reached}:8765"
    assert found["command"] == ["app_api", "--host", host.strip("[]"), "--port", "8765"]
    # A proxy has nothing to do with it.
    assert host.strip("[]") in found["direct"]


@pytest.mark.parametrize(
    ("setting", "host"),
    [("API_HOST", "203.0.113.7"), ("DASHBOARD_HOST", "2001:db8::7"), ("API_HOST", "no-such-host.invalid")],
)
def test_an_address_that_this_machine_lacks_is_named_with_its_setting(setting: str, host: str) -> None:
    ports = {f"ML_PIPELINE_{name}_PORT": str(free_port()) for name in ("INDEX", "AIRFLOW", "API", "DASHBOARD")}
    refused = layout(**{f"ML_PIPELINE_{setting}": host}, **ports)["refused"]
    assert refused.startswith(f"'{host}' is not an address of this machine")
    assert refused.endswith(f"set ML_PIPELINE_{setting} to one, such as 127.0.0.1")
