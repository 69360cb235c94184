"""The environments and databases of the stack: made when absent or changed, else left alone."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from local_stack import airflow_settings, database, publication
from local_stack.layout import ENVIRONMENTS, REPOSITORY, Layout, SetupError, process_environment
from local_stack.progress import say

CREATE_STORES = """
from forecast_core import stores, tracking
from forecast_core.contracts.settings import Settings
settings = Settings()
tracking.create(settings)
stores.create(settings)
stores.migrate(settings)
"""

PLACES = ("ML_PIPELINE_STORE_URI", "ML_PIPELINE_TRACKING_URI", "ML_PIPELINE_ARTIFACTS_URI")
"""Settings that name a store; with another value, it may be one that has nothing yet."""


def install_airflow(layout: Layout) -> None:
    """Install Airflow by its own lock, if the lock changed."""
    layout.interpreter.parent.mkdir(exist_ok=True)
    layout.interpreter.unlink(missing_ok=True)
    layout.interpreter.symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    lock = REPOSITORY / "airflow" / "uv.lock"
    marker = layout.root / "venvs" / "airflow" / "lock.sha256"
    if _is_current(marker, lock.read_bytes()):
        return
    uv = str(layout.executable("deploy", "uv"))
    command = [uv, "sync", "--frozen", "--no-dev", "--project", str(REPOSITORY / "airflow")]
    project = {**process_environment(layout), "UV_PROJECT_ENVIRONMENT": str(layout.root / "venvs" / "airflow")}
    # Airflow comes from the public index by its lock; our own index is not asked, and may not be up yet.
    environment = {key: value for key, value in project.items() if key not in {"UV_INDEX", "UV_CONSTRAINT"}}
    run_logged(layout, "install-airflow", command, environment)
    _mark(marker, lock.read_bytes())


def publish(layout: Layout) -> None:
    """Build, publish and pin the wheels, and say if the deployed version changes; Airflow is not told of them."""
    environment = {**process_environment(layout), "PYTHONPATH": str(REPOSITORY / "deploy")}
    command = [str(layout.executable("deploy", "python")), "-m", "local_stack.publication"]
    log = run_logged(layout, "publish", command, environment)
    for line in log.splitlines():
        if line.startswith("note: "):
            say(f"  {line}")


def install_wheels(layout: Layout, *, stop: Callable[[str], None] = lambda _: None) -> None:
    """Install from the private index, if the deployment changed: the shell with the pipelines, and each server.

    Args:
        layout: Where everything is.
        stop: Called with the name of an environment before that is made anew.
    """
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_install, layout, name, distribution, stop) for name, distribution in ENVIRONMENTS.items()]
    for job in jobs:
        job.result()
    # For the PATH of people: the program just installed, in the stack's settings.
    link = layout.root / "bin" / "energy"
    link.unlink(missing_ok=True)
    link.symlink_to(REPOSITORY / "deploy" / "energy")


def _install(layout: Layout, name: str, distribution: str, stop: Callable[[str], None]) -> None:
    pins = (layout.deployed / "variables.json").read_bytes()
    environment_folder = layout.root / "venvs" / name
    if _is_current(environment_folder / "deployed.sha256", pins):
        return
    stop(name)
    uv = str(layout.executable("deploy", "uv"))
    variables = process_environment(layout)
    python = str(layout.executable("deploy", "python"))
    run_logged(layout, f"{name}-venv", [uv, "venv", "--clear", "--python", python, str(environment_folder)], variables)
    command = [uv, "pip", "install", "--python", str(layout.executable(name, "python"))]
    run_logged(
        layout,
        f"{name}-install",
        [*command, "-c", str(layout.deployed / "constraints.txt"), distribution],
        variables,
    )
    _mark(environment_folder / "deployed.sha256", pins)


def create_airflow_database(layout: Layout) -> None:
    """Create or upgrade Airflow's database, if it or Airflow's lock changed."""
    # Another database is one that has seen nothing of this.
    state = (REPOSITORY / "airflow" / "uv.lock").read_bytes() + database.uri(layout).encode()
    if _is_current(layout.databases_marker, state):
        return
    command = [str(layout.executable("airflow", "airflow")), "db", "migrate"]
    run_logged(layout, "airflow-database", command, airflow_settings.environment(layout))
    publication.announced(layout).unlink(missing_ok=True)
    _mark(layout.databases_marker, state)


def create_stores(layout: Layout) -> None:
    """Create or upgrade the tracking database and the Delta tables."""
    command = [str(layout.executable("pipelines", "python")), "-c", CREATE_STORES]
    run_logged(layout, "stores", command, process_environment(layout))


def create_new_stores(layout: Layout) -> None:
    """Create or upgrade the tracking database and the Delta tables, if the deployment or their places changed."""
    places = "".join(f"{name}={os.environ.get(name, '')}\n" for name in PLACES)
    marker, state = layout.root / "stores.sha256", (layout.deployed / "variables.json").read_bytes() + places.encode()
    if not _is_current(marker, state):
        create_stores(layout)
        _mark(marker, state)


def make_task_environments(layout: Layout) -> None:
    """Make the environments of our DAGs' tasks at the deployed version, if that changed.

    A failure is not one of the set-up: a task makes the environment that it lacks. The log says what failed.
    """
    pins = (layout.deployed / "variables.json").read_bytes()
    marker = layout.root / "task-environments.sha256"
    if _is_current(marker, pins):
        return
    files = sorted(map(str, (REPOSITORY / "airflow" / "dags").glob("ml_pipeline*_dag.py")))
    command = [str(layout.executable("airflow", "python")), str(REPOSITORY / "airflow" / "task_environments_ahead.py")]
    variables = {f"AIRFLOW_VAR_{name.upper()}": str(value) for name, value in json.loads(pins).items()}
    with suppress(SetupError):
        run_logged(layout, "task-environments", [*command, *files], airflow_settings.environment(layout) | variables)
        _mark(marker, pins)


def run_logged(layout: Layout, name: str, command: list[str], environment: dict[str, str]) -> str:
    """Run a set-up command with its output in a log of that name; return the log.

    Raises:
        SetupError: If it fails, with the last lines of its output and the log.
    """
    log = layout.logs / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=layout.root, check=False
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        tail = "\n    ".join(text.splitlines()[-8:])
        raise SetupError(f"{name} failed:\n    {tail}\n  log: {log}")
    return text


def _is_current(marker: Path, content: bytes) -> bool:
    return marker.exists() and marker.read_text(encoding="utf-8") == _digest(content)


def _mark(marker: Path, content: bytes) -> None:
    marker.write_text(_digest(content), encoding="utf-8")


def _digest(content: bytes) -> str:
    # With the interpreter: what was made with one that is gone or another now is made anew.
    interpreter = f"{sys.base_prefix} {sys.version}".encode()
    return hashlib.sha256(interpreter + content).hexdigest()
