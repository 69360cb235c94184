import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import load_forecaster
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
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


def _begun(settings: Settings) -> bool:
    return any((settings.root / "locks").glob("train-*.lock"))


def _writing_files(settings: Settings) -> bool:
    return any(path.is_file() for path in (settings.root / "artifacts").rglob("*"))


def _about_to_register(settings: Settings) -> bool:
    return any(run.status == "FINISHED" for run in tracking.find_runs(settings, {"artifact": "model"}))


def _kill_when(reached: Callable[[Settings], bool], settings: Settings, environment: dict[str, str]) -> bool:
    """Whether training was killed there; near its end it may finish before the kill."""
    # Slowed down, so that the kill is not too late on a busy machine.
    process = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-m", "training_pipeline", "train"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not reached(settings):
        time.sleep(0.001)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_training_killed_anywhere_and_called_again_registers_exactly_one_version(
    system: Any, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    system.ingest(REFERENCE)
    killed = []
    for reached in (_begun, _writing_files, _about_to_register):
        killed.append(_kill_when(reached, system.settings, environment))
        for version in tracking.find_model_versions(system.settings):
            # Whatever is visible is whole.
            assert load_forecaster.load(tracking.download_model(system.settings, version)).fh == 24
    assert killed[:2] == [True, True]
    assert main(["train"]) == 0
    assert main(["train"]) == 0
    [version] = tracking.find_model_versions(system.settings)
    [run] = tracking.find_runs(system.settings, {"artifact": "model"})
    assert (run.status, run.run_id) == ("FINISHED", version.run_id)
    assert '"model_version": 1,' in capsys.readouterr().out


def test_an_error_is_one_line_and_the_exit_code_is_not_zero(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment["ML_PIPELINE_ROOT_DIR"]
    assert main(["upload-best-config", "--sweep-id", "abc"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("NotFoundError: there is no finished sweep 'abc'")
