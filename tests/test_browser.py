"""The tests on a machine without a browser."""

import os
import subprocess
import sys

import pytest

from tests.browser import MISSING
from tests.stack import REPOSITORY

NEEDS_A_BROWSER = "tests/test_dashboard.py"


@pytest.mark.parametrize(("integration", "code", "outcome"), [("", 0, "skipped"), ("true", 1, "error")])
def test_without_chromium_the_dashboards_tests_are_skipped_in_one_line_and_continuous_integration_fails(
    integration: str, code: int, outcome: str
) -> None:
    environment = os.environ | {"CHROMIUM": "/nowhere", "CI": integration, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", NEEDS_A_BROWSER]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert outcome in last
    assert "passed" not in last
    if outcome == "skipped":
        assert sum(MISSING in line for line in done.stdout.splitlines()) == 1
