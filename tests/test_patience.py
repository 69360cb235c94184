"""No test's verdict depends on how busy the machine is: no test has a time limit that a busy machine exceeds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import DISTRIBUTIONS, REPOSITORY

# By name: the root folder has a folder `tests`, too, that of the tests' stack with its environments.
FOLDERS = [*(REPOSITORY / name / "tests" for name in DISTRIBUTIONS), REPOSITORY / "tests"]
TESTS = sorted([*(path for folder in FOLDERS for path in folder.rglob("*.py")), REPOSITORY / "conftest.py"])
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}
REQUESTS = {"get", "post", "put", "delete", "head", "Client"}
LONG_S = 600
"""A shorter time limit can be exceeded on a busy machine."""
TESTED = {
    "feature-pipeline/tests/test_extract_energi_data_service.py": "the client's time limit, which it may exceed often",
    "training-pipeline/tests/test_tuning.py": "the time limit of a search: zero, or not a number of seconds",
}
"""Files that test a time limit of ours."""


def faults(source: str) -> Iterator[str]:
    """Lines of a test that measure time, or stop waiting before LONG_S seconds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in CLOCKS:
                yield f"line {node.lineno} reads the clock"
        if not isinstance(node, ast.Call):
            continue
        limits = [each.value for each in node.keywords if each.arg == "timeout"]
        of_httpx = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "httpx"
        if of_httpx and ast.unparse(node.func).split(".")[1] in REQUESTS and not limits:
            yield f"line {node.lineno} has httpx' own time limit of five seconds"
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"wait", "join", "timeout"}:
            limits += node.args
        for limit in limits:
            if isinstance(limit, ast.Constant) and isinstance(limit.value, int | float) and limit.value < LONG_S:
                yield f"line {node.lineno} waits {limit.value} seconds"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_test_has_a_time_limit_that_a_busy_machine_exceeds(path: Path) -> None:
    if str(path.relative_to(REPOSITORY)) not in TESTED:
        assert list(faults(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("deadline = time.monotonic() + 10", "line 1 reads the clock"),
        ("process.wait(20)", "line 1 waits 20 seconds"),
        ("process.communicate(timeout=60)", "line 1 waits 60 seconds"),
        ("mark = pytest.mark.timeout(300)", "line 1 waits 300 seconds"),
        ("httpx.get(address)", "line 1 has httpx' own time limit of five seconds"),
    ],
)
def test_time_limits_are_found(source: str, found: str) -> None:
    assert list(faults(source)) == [found]
