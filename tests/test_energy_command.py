"""The command ``energy`` after `make run`: on the stack's data, with the deployed wheels."""

import json
import subprocess
from typing import Any

import pytest

from tests.stack import REPOSITORY, Stack

pytestmark = pytest.mark.stack


def energy(stack: Stack, *arguments: str) -> Any:
    """Run the command by the link that the README names, from a folder that is not the repository."""
    command = [str(stack.root / "bin" / "energy"), *arguments, "--json"]
    done = subprocess.run(command, env=stack.environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_doctor_finds_a_running_stack_sound(stack: Stack) -> None:
    checks = {each["name"]: each for each in energy(stack, "doctor")}
    assert {name: each["state"] for name, each in checks.items() if each["state"] != "ok"} == {}
    assert {"port of index", "port of api-server", "package index", "versions"} < set(checks)


def test_status_sees_the_dags_run_and_every_process(stack: Stack) -> None:
    state = energy(stack, "status")
    assert {each["state"] for each in state["processes"]} == {"running"}
    assert {"index", "scheduler"} < {each["name"] for each in state["processes"]}
    assert state["last_run"]["dag_run_id"].startswith(("manual__", "scheduled__"))


def test_a_forecast_of_the_dag_is_shown(stack: Stack) -> None:
    facts = energy(stack, "forecast", "DK1", "111")
    assert len(facts["forecasts"]) == 24
    assert len(facts["observations"]) >= 40


def test_the_command_asks_for_its_installation_where_there_is_none(stack: Stack, tmp_path: Any) -> None:
    bare = tmp_path / "deploy"
    bare.mkdir()
    for name in ("energy", "environment.sh"):
        (bare / name).write_bytes((REPOSITORY / "deploy" / name).read_bytes())
    environment = stack.environment | {"ML_PIPELINE_ROOT_DIR": str(tmp_path / "root")}
    done = subprocess.run(["bash", bare / "energy"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "make shell" in done.stderr) == (1, True)
