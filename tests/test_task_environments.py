"""Pruning the environments of earlier deployments: by the maintenance DAG, and by the local stack when it starts."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stack import REPOSITORY, Stack

MARKER = "install_complete_marker.json"

# The module alone, as both use it.
PRUNE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import task_environments
task_environments.prune(Path(sys.argv[2]) / "task-environments", deployed="new")
"""

BY_DAG = """
import sys
sys.path.insert(0, sys.argv[1])
import ml_pipeline_maintenance_dag as file
file.ml_pipeline_maintenance().get_task("prune_task_environments").python_callable()
"""

BY_STACK = """
from local_stack import processes
from local_stack.layout import Layout
processes.prune_task_environments(Layout.from_environment())
"""

# Like `kill -9` after the first file of a folder is gone.
DIES_IN_RMTREE = """
import os, shutil, signal
def rmtree(folder, **_):
    os.unlink(os.path.join(folder, "pyvenv.cfg"))
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = rmtree
"""


def environment(root: Path, name: str, marker: str | None) -> Path:
    """Make an environment as Airflow's operator caches it."""
    folder = root / "task-environments" / name
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    (folder / "bin" / "python").touch()
    if marker is not None:
        (folder / MARKER).write_text(marker)
    return folder


def deployment(root: Path) -> None:
    """Make what tells of the deployed version; it was deployed a day ago."""
    variables = root / "deployed" / "variables.json"
    variables.parent.mkdir(parents=True)
    variables.write_text(json.dumps({"python_virtualenv_operator_cache_key": "new"}))
    day_ago = time.time() - 86_400
    os.utime(variables, (day_ago, day_ago))


def prune(stack: Stack | None, root: Path, who: str, before: str = "") -> int:
    """Prune the environments under a root folder; return the exit status."""
    programs = {"module": PRUNE, "dag": BY_DAG, "local stack": BY_STACK}
    python = sys.executable
    variables = dict(os.environ)
    if stack is not None:
        python = stack.program({"dag": "airflow", "local stack": "deploy"}[who], "python")
        variables = stack.worker_environment()
    variables |= {"ML_PIPELINE_ROOT_DIR": str(root), "PYTHONPATH": str(REPOSITORY / "deploy")}
    command = [python, "-c", before + programs[who], str(REPOSITORY / "airflow" / "dags"), str(root)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


@pytest.mark.stack
@pytest.mark.parametrize("who", ["dag", "local stack"])
def test_a_removal_that_is_killed_leaves_nothing_that_a_rollback_would_use(
    stack: Stack, tmp_path: Path, who: str
) -> None:
    deployment(tmp_path)
    old = environment(tmp_path, "venv-old", '{"cache_key": "old"}')
    new = environment(tmp_path, "venv-new", '{"cache_key": "new"}')
    assert prune(stack, tmp_path, who, before=DIES_IN_RMTREE) == -signal.SIGKILL
    assert old.exists()
    assert not (old / "pyvenv.cfg").exists(), "the removal had not begun when it was killed"
    assert not (old / MARKER).exists()
    assert prune(stack, tmp_path, who) == 0
    assert not old.exists()
    assert (new / MARKER).exists()
    assert (new / "pyvenv.cfg").exists()


@pytest.mark.parametrize("marker", [None, '{"cache_ke', "[]", '{"requirements_list": []}'])
def test_what_a_killed_installation_left_is_removed(tmp_path: Path, marker: str | None) -> None:
    remains = environment(tmp_path, "venv-remains", marker)
    assert prune(None, tmp_path, "module") == 0
    assert not remains.exists()


def test_an_environment_that_is_being_installed_is_left_alone(tmp_path: Path) -> None:
    installing = environment(tmp_path, "venv-installing", None)
    with Path(f"{installing}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert prune(None, tmp_path, "module") == 0
        assert (installing / "pyvenv.cfg").exists()
    assert prune(None, tmp_path, "module") == 0
    assert not installing.exists()


def test_a_cache_that_is_not_there_has_nothing_to_prune(tmp_path: Path) -> None:
    assert prune(None, tmp_path, "module") == 0
