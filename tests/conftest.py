"""The stack that the tests share: fresh, with ports of its own, brought up by the README's command."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack import REPOSITORY, Stack, free_port


@dataclass(frozen=True)
class Started:
    """The stack, and what the commands that brought it up printed."""

    stack: Stack
    first_run: str
    second_run: str
    failed_run: subprocess.CompletedProcess[str]
    left_running: list[str]


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    """A fresh stack after ``make run ONCE=1``, the same again, a run that must fail, and ``make up``."""
    root = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute() / "tests"
    shutil.rmtree(root, ignore_errors=True)
    dags = root / "dags"
    for folder in (REPOSITORY / "airflow" / "dags", REPOSITORY / "tests" / "dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True)
    stack = Stack(root, free_port(), free_port(), dags)
    try:
        first = stack.make("run", "ONCE=1").stdout
        left = [" ".join(process.cmdline()) for process in stack.processes()]
        second = stack.make("run", "ONCE=1").stdout
        failed = stack.make("run", "ONCE=1", check=False, AIRFLOW_VAR_ML_PIPELINE_URL="nonsense://nowhere")
        stack.make("up")
        yield Started(stack, first, second, failed, left)
    finally:
        stack.make("down")


@pytest.fixture(scope="session")
def stack(started: Started) -> Stack:
    """The running stack of the tests."""
    return started.stack
