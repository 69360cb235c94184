"""Set up, start, watch and stop the local stack: ``python -m local_stack --help``; ``make`` calls this."""

import argparse
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from local_stack import airflow_settings, credentials, database, installation, pipeline_run, processes, publication
from local_stack.airflow_api import AirflowApi
from local_stack.index import Index
from local_stack.layout import Layout, SetupError
from local_stack.progress import say, step


def start(layout: Layout) -> AirflowApi:
    """Make everything that is missing and start all processes; return a session with Airflow when that is healthy.

    API and dashboard may still be starting: ``processes.wait_for_servers``.

    Airflow's own start (its database, then 10 s of imports) and ours (wheels, environments, tables) need nothing of
    each other, and each keeps one core busy. So they go on side by side.
    """
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.packages.mkdir(exist_ok=True)
    processes.check_ports(layout)
    # Before anything else: an older Airflow must not touch the databases of a newer one.
    publication.refuse_older_checkout(layout)
    with step("passwords and keys"):
        credentials.create(layout)
    with step("Airflow's environment"):
        installation.install_airflow(layout)
    with step("package index" if layout.database_uri else "package index and PostgreSQL"):
        _start_what_others_need(layout)
    with ThreadPoolExecutor() as pool:
        airflow = pool.submit(_start_airflow, layout)
        with step("wheels built and published"):
            installation.publish(layout)
        ours = pool.submit(_install, layout)
        airflow.result()
        _start_scheduler(layout)
        ours.result()
    api = AirflowApi(layout)
    with step("Airflow healthy"):
        api.wait_until_healthy()
    return api


def _start_what_others_need(layout: Layout) -> None:
    if not layout.database_uri:
        database.initialise(layout)
    processes.start_supervisor(layout)
    processes.start(layout, [processes.INDEX, *([] if layout.database_uri else [processes.DATABASE])])
    if not layout.database_uri:
        database.create_database(layout)
    Index(layout).wait_until_it_answers()


def _start_airflow(layout: Layout) -> None:
    """Create or upgrade Airflow's database and start what runs on it, except the scheduler."""
    with step("Airflow's database"):
        installation.create_airflow_database(layout)
    processes.start(layout, [name for name in processes.AIRFLOW if name != processes.SCHEDULER])


def _install(layout: Layout) -> None:
    """Install the published wheels, create the stores, and start the servers that need both."""
    with step("pipelines, API and dashboard installed from the index"):
        installation.install_wheels(layout, stop=lambda name: processes.stop_one(layout, name))
    with step("tracking database, tables and task environments"), ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(make, layout) for make in (installation.create_new_stores, installation.make_task_environments)
        ]
    for job in jobs:
        job.result()
    processes.start(layout, processes.SERVERS)


def _start_scheduler(layout: Layout) -> None:
    """Tell Airflow of the deployed version, and only then let it start tasks."""
    if not publication.is_announced(layout):
        with step("Airflow told of the deployed version"):
            processes.wait_until_answers(layout, processes.API_SERVER, f"{layout.airflow_url}/api/v2/version")
            publication.announce(layout)
    if processes.SCHEDULER not in processes.running(layout):
        processes.prune_task_environments(layout)
        processes.start(layout, [processes.SCHEDULER])


def run(layout: Layout, *, once: bool) -> int:
    """Start everything, run the DAG once, sum up; then stay up until interrupted, unless ``once``."""
    started = time.monotonic()
    was_up = processes.is_up(layout)
    try:
        api = start(layout)
        identifier = api.start_run(pipeline_run.current_hour(datetime.now(UTC)))
        say(f"run {identifier} of ml_pipeline:")
        try:
            pipeline_run.watch(layout, api, identifier)
            processes.wait_for_servers(layout)
        except pipeline_run.RunFailed as failure:
            say(f"error: {failure}")
            if once:
                return 1
            say("Airflow stays up for you to look; Ctrl-C stops everything.")
            _stay(layout)
            return 1
        pipeline_run.summarise(layout, api, identifier)
        say(f"Ready after {time.monotonic() - started:.0f} s.")
        if not once:
            say("ml_pipeline goes on every hour. Ctrl-C, or `make down` in another terminal, stops everything.")
            _stay(layout)
    finally:
        # What was up before is not ours to stop, unless the user who watches says so.
        if not (was_up and once):
            stop(layout)
    return 0


def _stay(layout: Layout) -> None:
    while processes.is_up(layout):
        time.sleep(1)


def up(layout: Layout) -> int:
    """Start everything and leave it running; what cannot start completely is stopped again."""
    was_up = processes.is_up(layout)
    try:
        start(layout)
        with step("API and dashboard healthy"):
            processes.wait_for_servers(layout)
    except (SetupError, KeyboardInterrupt):
        if not was_up:
            stop(layout)
        raise
    say(f"The dashboard is at {layout.dashboard_url}, the API at {layout.api_url}, Airflow at {layout.airflow_url}.")
    say("`make down` stops everything.")
    return 0


def stop(layout: Layout) -> None:
    """Stop every process of the stack."""
    if processes.is_up(layout):
        with step("everything stopped"):
            processes.stop(layout)


def airflow(layout: Layout, arguments: list[str]) -> int:
    """Run Airflow's command line in the stack's settings."""
    program = str(layout.executable("airflow", "airflow"))
    return subprocess.run([program, *arguments], env=airflow_settings.environment(layout), check=False).returncode


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="set up, start, run the DAG once, print a summary, and stay up")
    running.add_argument("--once", action="store_true", help="stop after the first run; exit 1 if it failed")
    commands.add_parser("up", help="set up and start everything, and return")
    commands.add_parser("down", help="stop every process of the stack")
    commands.add_parser("airflow", help="Airflow's own command line", add_help=False)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    # Files of ours are for us; PostgreSQL under another user needs to pass through folders only.
    os.umask(0o022)
    try:
        layout = Layout.from_environment()
        if arguments[:1] == ["airflow"]:
            return airflow(layout, arguments[1:])
        options = _parse(arguments)
        if options.command == "run":
            return run(layout, once=options.once)
        if options.command == "up":
            return up(layout)
        stop(layout)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
