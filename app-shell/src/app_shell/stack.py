"""What the shell can see of a local stack in the root folder: its processes, ports, deployed version and index."""

import base64
import configparser
import http.client
import json
import re
import socket
import urllib.request
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.error import URLError
from xmlrpc.client import Error, ServerProxy, Transport

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from forecast_core.contracts.settings import Settings

INDEX_USER: Final = "ml-pipeline"
_SECONDS: Final = 5.0


class Ports(BaseSettings):
    """The ports of a local stack's servers, as deployment reads them."""

    model_config = SettingsConfigDict(env_prefix="ML_PIPELINE_", frozen=True, extra="ignore")

    index_port: int = Field(8090, gt=0, lt=65536)
    airflow_port: int = Field(8080, gt=0, lt=65536)
    api_port: int = Field(8000, gt=0, lt=65536)
    dashboard_port: int = Field(8501, gt=0, lt=65536)
    api_host: str = "127.0.0.1"
    dashboard_host: str = "127.0.0.1"
    index_url: str | None = None

    def by_process(self) -> dict[str, tuple[str, int]]:
        """By name of a process: the setting that its port is named by, and its port."""
        names = {"index": "index", "api-server": "airflow", "api": "api", "dashboard": "dashboard"}
        return {
            process: (f"ML_PIPELINE_{name.upper()}_PORT", getattr(self, f"{name}_port"))
            for process, name in names.items()
        }

    def host(self, process: str) -> str:
        """Return the address at which this machine reaches a process; on all addresses means on loopback, too."""
        host = {"api": self.api_host, "dashboard": self.dashboard_host}.get(process, "127.0.0.1")
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - binds nothing

    @property
    def index(self) -> str:
        """Address of the package index."""
        return self.index_url or f"http://127.0.0.1:{self.index_port}"


class Process(TypedDict):
    """A process of the stack; ``state`` is supervisord's word in lower case, ``since`` seconds since 1970."""

    name: str
    state: str
    since: int


def processes(settings: Settings) -> list[Process] | None:
    """Return the stack's processes with their state, or None if no process manager runs in the root folder."""
    configuration = configparser.RawConfigParser(strict=False)
    configuration.read(settings.root / "supervisord.conf")
    address = configuration.get("supervisorctl", "serverurl", fallback="")
    if not address.startswith("unix://"):
        return None
    try:
        manager = ServerProxy("http://127.0.0.1", transport=_Socket(address.removeprefix("unix://"))).supervisor
        found: Any = manager.getAllProcessInfo()
    except (OSError, Error, http.client.HTTPException):
        return None
    return [{"name": each["name"], "state": each["statename"].lower(), "since": each["start"]} for each in found]


class _Socket(Transport):
    """XML-RPC over a Unix socket, as supervisord speaks it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - there is but one
        connection = http.client.HTTPConnection("127.0.0.1", timeout=_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_SECONDS)
        connection.sock.connect(self._path)
        return connection


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether anything listens on a port of an address of this machine."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=_SECONDS):
            return True
    except OSError:
        return False


def deployed_version(settings: Settings) -> str | None:
    """Return the version that tasks install, or None if nothing was deployed from here."""
    path = settings.root / "deployed" / "variables.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["ml_pipeline_version"]) if path.is_file() else None


def password(settings: Settings) -> Path:
    """Return the file of the index's password; it is there if a stack was ever set up."""
    return settings.root / "secrets" / "index-password"


def published_versions(settings: Settings, ports: Ports, name: str) -> list[str]:
    """Return the versions of a distribution in the package index, as they were published.

    Raises:
        OSError: If the index does not answer, or not as an index.
    """
    login = f"{INDEX_USER}:{password(settings).read_text(encoding='utf-8').strip()}".encode()
    request = urllib.request.Request(f"{ports.index}/simple/{name}/")  # noqa: S310 - our own index, over http
    request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    # Directly: a proxy has nothing to do with loopback, and must not see the password.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_SECONDS) as answer:
            page = answer.read().decode()
    except (URLError, http.client.HTTPException) as error:
        raise OSError(str(error)) from error
    found = re.findall(rf"{name.replace('-', '_')}-([^-/\"#]+)-py3-none-any\.whl", page)
    return list(dict.fromkeys(found))
