"""Ctrl-C, as a terminal sends it to a real process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_an_interrupted_run_ends_with_130_without_a_traceback_or_half_a_run(source: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    environment = os.environ | {"ML_PIPELINE_ROOT_DIR": str(root), "ML_PIPELINE_THREADS": "1"}
    # A process that a script started in the background would ignore it.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "app_shell", "run", "--url", source]
    command += ["--reference", "2024-03-31T05:00", "--delay", "1", "--export", "16"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        while not list(root.glob("store/**/*.json")):
            assert run.poll() is None, run.communicate()[0]
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        said = run.communicate()[0]
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert not list(root.glob("store/forecast_runs/**/*.parquet"))


IN_A_CALLBACK = """
import sys, time, weakref
from app_shell.__main__ import deliver_interrupts

class Thing:
    pass

def callback(_):
    raise KeyboardInterrupt

deliver_interrupts()
thing = Thing()
watched = weakref.ref(thing, callback)
try:
    del thing
    time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupt_that_arrives_in_a_callback_is_not_lost_and_leaves_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_CALLBACK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
