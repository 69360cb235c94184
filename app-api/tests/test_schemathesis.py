"""Schemathesis sends requests that the schema allows and forbids, and finds no wrong answer."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

EXAMPLES = 8
"""Per operation and phase: about 1,700 requests in all, in about 20 s of two idle cores."""


def test_schemathesis_finds_nothing_on_the_whole_schema(api: httpx.Client, tmp_path: Path) -> None:
    program = str(Path(sys.executable).parent / "schemathesis")
    command = [program, "run", f"{api.base_url}/api/v1/openapi.json", "--checks", "all", "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "1", "--workers", "2"]
    # On a busy machine an answer takes longer than the ten seconds that it would wait by itself.
    command += ["--request-timeout", "1800"]
    # What it keeps of failures is to be the test's own.
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    operations = len(api.get("/api/v1/openapi.json").json()["paths"])
    assert f"Tested: {operations}" in done.stdout
