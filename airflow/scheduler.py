"""Airflow's scheduler, started when the API server answers: ``python scheduler.py URL scheduler [OPTION…]``.

A task reports to the API server. Without it, the first try of every task that the scheduler starts fails. Airflow's
Python runs this file; it imports the scheduler while it waits, which takes 2 s of CPU.
"""

import runpy
import sys
import time
import urllib.error
import urllib.request


def wait_until_answers(address: str) -> None:
    """Return when a GET of an address has succeeded."""
    # Directly: a proxy has nothing to do with loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)


def main(address: str, command: list[str]) -> None:
    """Wait for the API server, then run a command of Airflow in this process."""
    import airflow.cli.commands.scheduler_command
    import airflow.jobs.scheduler_job_runner  # noqa: F401 - imported while there is nothing else to do

    wait_until_answers(address)
    sys.argv = ["airflow", *command]
    runpy.run_module("airflow", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
