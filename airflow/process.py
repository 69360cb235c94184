"""One of Airflow's long-running processes: ``python process.py [--after URL] COMMAND [OPTION…]``.

With ``--after``, the command begins when the URL answers. The scheduler needs that: a task reports to the API server,
and without it the first try of every task that the scheduler starts fails.

The process ends without tearing the interpreter down. That took 2 s of CPU in each of four processes, and more than the
20 s that they have on a busy machine, where they were then killed.
"""

import argparse
import atexit
import os
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


def run(command: list[str]) -> int:
    """Run a command of Airflow in this process; return its exit status."""
    sys.argv = ["airflow", *command]
    try:
        runpy.run_module("airflow", run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Run the command of the command line, and end with its status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--after", metavar="URL")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.after:
        # While there is nothing else to do: importing the scheduler takes 2 s of CPU.
        import airflow.cli.commands.scheduler_command
        import airflow.jobs.scheduler_job_runner  # noqa: F401 - as above

        wait_until_answers(options.after)
    status = run(options.command)
    # What ends with the process is done first: logs are flushed, connections closed.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
