import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from forecast_core import forecaster, tracking
from training_pipeline.__main__ import main

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)


@pytest.fixture
def environment(system: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a shell that works on ``system``."""
    variables = {
        "ML_PIPELINE_ROOT_DIR": str(system.settings.root),
        "ML_PIPELINE_TRACKING_URI": system.settings.tracking,
        "ML_PIPELINE_THREADS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **variables}


def test_training_killed_anywhere_and_called_again_registers_exactly_one_version(
    system: Any, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    system.ingest(REFERENCE)
    command = [sys.executable, "-m", "training_pipeline", "train"]
    begun = time.monotonic()
    subprocess.run([*command, "--fh", "23"], env=environment, check=True, capture_output=True)
    whole = time.monotonic() - begun
    # The last third is where files are written and things are registered.
    for share in (0.6, 0.85, 0.95):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(whole * share)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for version in tracking.find_model_versions(system.settings, {"fh": "24"}):
            # Whatever is visible is whole.
            assert forecaster.load(tracking.download_model(system.settings, version)).fh == 24
    assert main(["train"]) == 0
    assert main(["train"]) == 0
    [version] = tracking.find_model_versions(system.settings, {"fh": "24"})
    runs = tracking.find_runs(system.settings, {"fingerprint": version.tags["fingerprint"]})
    assert [run.status for run in runs] == ["FINISHED"]
    assert '"model_version": ' in capsys.readouterr().out


def test_an_error_is_one_line_and_the_exit_code_is_not_zero(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment["ML_PIPELINE_ROOT_DIR"]
    assert main(["upload-best-config", "--sweep-id", "abc"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("NotFoundError: there is no finished sweep 'abc'")
