"""Where everything of the local stack is: folders, ports, and the environment of its processes."""

import hashlib
import os
import re
import stat
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY = Path(__file__).resolve().parents[2]
_PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
DISTRIBUTIONS: Final[tuple[str, ...]] = tuple(_PROJECT["tool"]["uv"]["workspace"]["members"])
"""Our distributions in the order in which they are published: each after those that it needs."""
ENVIRONMENTS = {"pipelines": "app-shell", "api": "app-api", "dashboard": "app-dashboard"}
"""The environments that wheels are installed into, with all that they need."""

# A path of a Unix socket holds at most 107 bytes; the longest name that we put behind the folder has 30.
LONGEST_SOCKET_FOLDER = 75

QUIET = {
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}
"""Nothing phones home."""


class SetupError(Exception):
    """The stack cannot be set up or started; the text says why and what to do."""


LOOPBACK = "127.0.0.1"


def reached_at(host: str, port: int) -> str:
    """Return the address at which this machine reaches a server that listens on ``host``.

    >>> reached_at("::", 8000), reached_at("192.168.1.5", 8000)
    ('http://[::1]:8000', 'http://192.168.1.5:8000')
    """
    # On all addresses: on loopback, too.
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - binds nothing
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _host(name: str) -> str:
    return (os.environ.get(name) or LOOPBACK).strip().removeprefix("[").removesuffix("]")


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SetupError(f"{name} must be a port between 1 and 65535, not {text!r}")
    return int(text)


@dataclass(frozen=True)
class Layout:
    """Paths and addresses of one local stack; every path is absolute."""

    root: Path
    index_port: int
    airflow_port: int
    api_port: int
    dashboard_port: int
    database_uri: str | None
    dags: Path
    index_elsewhere: str | None = None
    secrets_elsewhere: Path | None = None
    api_host: str = LOOPBACK
    dashboard_host: str = LOOPBACK

    @classmethod
    def from_environment(cls) -> "Layout":
        """Read ``ML_PIPELINE_ROOT_DIR``, ``…_DATABASE_URI``, ``…_DAGS_DIR``, and ``…_PORT`` of each server.

        ``ML_PIPELINE_API_HOST`` and ``…_DASHBOARD_HOST`` are the addresses on which these two listen.

        Where another host serves the index, as among containers, ``…_INDEX_URL`` is its address and ``…_SECRETS_DIR``
        the folder of its passwords; one machine needs neither.

        Raises:
            SetupError: If a port is not a port.
        """
        root = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").expanduser()
        if any(letter.isspace() for letter in f"{root}{REPOSITORY}"):
            raise SetupError(f"{root} and {REPOSITORY} must have no spaces: uv and Airflow take lists that spaces part")
        return cls(
            root=root if root.is_absolute() else REPOSITORY / root,
            index_port=_port("ML_PIPELINE_INDEX_PORT", 8090),
            airflow_port=_port("ML_PIPELINE_AIRFLOW_PORT", 8080),
            api_port=_port("ML_PIPELINE_API_PORT", 8000),
            dashboard_port=_port("ML_PIPELINE_DASHBOARD_PORT", 8501),
            database_uri=os.environ.get("ML_PIPELINE_DATABASE_URI") or None,
            dags=REPOSITORY / (os.environ.get("ML_PIPELINE_DAGS_DIR") or "airflow/dags"),
            index_elsewhere=os.environ.get("ML_PIPELINE_INDEX_URL") or None,
            api_host=_host("ML_PIPELINE_API_HOST"),
            dashboard_host=_host("ML_PIPELINE_DASHBOARD_HOST"),
            secrets_elsewhere=Path(folder) if (folder := os.environ.get("ML_PIPELINE_SECRETS_DIR")) else None,
        )

    @property
    def secrets(self) -> Path:
        """Folder of passwords and keys, mode 700."""
        return self.secrets_elsewhere or self.root / "secrets"

    @property
    def logs(self) -> Path:
        """Folder of the logs of all processes and set-up steps."""
        return self.root / "logs"

    @property
    def packages(self) -> Path:
        """What the private index serves."""
        return self.root / "index"

    @property
    def deployed(self) -> Path:
        """What the last deployment pinned: constraints and Airflow Variables."""
        return self.root / "deployed"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder, its task logs among it."""
        return self.root / "airflow"

    @property
    def interpreter(self) -> Path:
        """A link named ``python`` to the system's Python: what Airflow asks uv for, and many systems lack."""
        return self.root / "bin" / "python"

    @property
    def databases_marker(self) -> Path:
        """What the databases were made or upgraded for; absent until they are there."""
        return self.root / "databases.sha256"

    @property
    def airflow_is_set_up(self) -> bool:
        """Whether Airflow's database exists."""
        return self.databases_marker.exists()

    @property
    def sockets(self) -> Path:
        """Folder of Unix sockets; elsewhere than the root if the root's path is too long for one."""
        inside = self.root / "run"
        if len(str(inside).encode()) <= LONGEST_SOCKET_FOLDER:
            return inside
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"energy-{digest}"

    def make_socket_folder(self) -> None:
        """Create the folder of Unix sockets.

        Raises:
            SetupError: If it is there and belongs to someone else, who could then put sockets of theirs in it.
        """
        self.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = self.sockets.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            raise SetupError(f"{self.sockets} is not a folder of ours: set ML_PIPELINE_ROOT_DIR to a shorter path")

    @property
    def index_url(self) -> str:
        """Address of the private index, without credentials."""
        return self.index_elsewhere or f"http://127.0.0.1:{self.index_port}"

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's pages and API."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"{reached_at(self.api_host, self.api_port)}/api/v1"

    @property
    def dashboard_url(self) -> str:
        """Address of the dashboard."""
        return reached_at(self.dashboard_host, self.dashboard_port)

    def executable(self, environment: str, name: str) -> Path:
        """Return the path of a program in one of the stack's virtual environments; ``deploy`` is the running one."""
        if environment == "deploy":
            return Path(sys.prefix) / "bin" / name
        return self.root / "venvs" / environment / "bin" / name


def installer_environment(layout: Layout) -> dict[str, str]:
    """Return the variables under which uv finds our packages in the private index and nowhere else.

    Our index stands before the public one, and uv looks no further than the first index that knows a name. Our names
    are also constrained to the deployed version and the SHA-256 of its files, so that an index without them is no
    reason to take a stranger's. The password is in the netrc file, so it is in no URL, log or marker of a cache.
    """
    return {
        "NETRC": str(layout.secrets / "netrc"),
        "UV_INDEX": f"{layout.index_url}/simple/",
        "UV_INDEX_STRATEGY": "first-index",
        "UV_CONSTRAINT": str(layout.deployed / "our-packages.txt"),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(layout.root / "cache" / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
    }


def process_environment(layout: Layout) -> dict[str, str]:
    """Return what every process of the stack has in its environment beside the caller's own."""
    inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    direct = ",".join(_without_proxy(layout))
    return {
        **inherited,
        "NO_PROXY": direct,
        "no_proxy": direct,
        **QUIET,
        **installer_environment(layout),
        "ML_PIPELINE_ROOT_DIR": str(layout.root),
        "ML_PIPELINE_AIRFLOW_URL": os.environ.get("ML_PIPELINE_AIRFLOW_URL") or layout.airflow_url,
        "ML_PIPELINE_AIRFLOW_API_URL": os.environ.get("ML_PIPELINE_AIRFLOW_API_URL") or layout.airflow_url,
        "ML_PIPELINE_API_URL": os.environ.get("ML_PIPELINE_API_URL") or reached_at(layout.api_host, layout.api_port),
    }


def _without_proxy(layout: Layout) -> list[str]:
    """Return the hosts that are reached without a proxy: those of the stack, and the caller's in either spelling.

    The stack talks to itself; a proxy has nothing to do with that, and must not see its passwords.
    """
    own = [LOOPBACK, "localhost", "::1", layout.api_host, layout.dashboard_host]
    callers = [each for name in ("NO_PROXY", "no_proxy") for each in re.split(r"[,\s]+", os.environ.get(name, ""))]
    # Each once: a stack that is started from within another's environment has them already.
    return list(dict.fromkeys(filter(None, [*own, *callers])))


# Would make every import compile again; would put other indexes beside ours; would name the caller's environment.
_NOT_INHERITED = frozenset(
    {
        "PYTHONDONTWRITEBYTECODE",
        "UV_EXTRA_INDEX_URL",
        "UV_PROJECT_ENVIRONMENT",
        "VIRTUAL_ENV",
        "PYTHONPATH",
    }
)
