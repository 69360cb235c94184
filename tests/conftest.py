"""The stack that the tests share: fresh, with its own ports, started by the README's command."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import course
from tests.browser import MISSING, chromium
from tests.stack import REPOSITORY, Stack, free_port


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a browser, skip the tests that need one; in continuous integration, fail."""
    if item.get_closest_marker("browser") and chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the stack first, in the order of their files: each finds it as those before have left it."""
    of_stack = [item for item in items if item.get_closest_marker("stack")]
    of_stack.sort(key=lambda item: (item.path, item.location[1] or 0))
    items[:] = [*of_stack, *(item for item in items if not item.get_closest_marker("stack"))]


@dataclass(frozen=True)
class Started:
    """The stack, and what the commands that brought it up printed."""

    stack: Stack
    first_run: str
    second_run: str
    first_due: str
    left_running: list[str]
    store_after_first: dict[str, int]
    store_after_second: dict[str, int]
    within_one_hour: bool


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    """A fresh stack: ``make run ONCE=1``, and ``make run`` again, which stays up until Ctrl-C."""
    root = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute() / "tests"
    shutil.rmtree(root, ignore_errors=True)
    dags = root / "dags"
    for folder in (REPOSITORY / "airflow" / "dags", REPOSITORY / "tests" / "dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True)
    course.write_dags(dags)
    stack = Stack(root, free_port(), free_port(), free_port(), free_port(), dags)
    try:
        start = datetime.now(UTC)
        first = stack.make("run", "ONCE=1").stdout
        left = command_lines(stack)
        store = files(stack.root / "store")
        again = datetime.now(UTC)
        with stack.running() as second:
            again_stored = files(stack.root / "store")
            is_one_hour = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) > datetime.now(UTC)
            due = first_due(stack, again)
            # Its runs have shown what they are to show, and take a core from the others.
            stack.api.patch("/api/v2/dags/due_at_start", json={"is_paused": True}).raise_for_status()
            yield Started(stack, first, second, due, left, store, again_stored, is_one_hour)
        assert command_lines(stack) == []
    finally:
        stack.close()
        stack.make("down")


def first_due(stack: Stack, start: datetime) -> str:
    """Return the first run of the DAG due_at_start that began after a start of the stack, when it has ended."""
    asked = {"start_date_gte": start.isoformat(), "order_by": "start_date", "limit": "1"}
    while True:
        runs = stack.api.get("/api/v2/dags/due_at_start/dagRuns", params=asked).raise_for_status().json()["dag_runs"]
        if runs and runs[0]["state"] in {"success", "failed"}:
            return str(runs[0]["dag_run_id"])
        time.sleep(0.5)


def command_lines(stack: Stack) -> list[str]:
    """Command lines of the stack's processes that still run."""
    return [" ".join(process.cmdline()) for process in stack.processes()]


def files(folder: Path) -> dict[str, int]:
    """Name and size of every file in a folder."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def stack(started: Started) -> Stack:
    """The running stack of the tests."""
    return started.stack
