"""The stack's processes under supervisord: configuration, start, stop and state."""

import errno
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx
from supervisor.xmlrpc import Faults, SupervisorTransport

from local_stack import airflow_settings, database, task_environments
from local_stack.layout import LOOPBACK, REPOSITORY, Layout, SetupError

DATABASE = "postgres"
INDEX = "index"
API = "api"
DASHBOARD = "dashboard"
SERVERS = (API, DASHBOARD)
POLL_SECONDS = 0.1
"""Between two looks at what starts or stops; a look takes 5 ms."""
API_SERVER = "api-server"
SCHEDULER = "scheduler"
AIRFLOW = (API_SERVER, SCHEDULER, "dag-processor", "triggerer")


def commands(layout: Layout) -> dict[str, list[str]]:
    """Return every process of the stack by name, in the order in which they start."""
    airflow = [str(layout.executable("airflow", "python")), str(REPOSITORY / "airflow" / "process.py")]
    index = [str(layout.executable("deploy", "pypi-server")), "run", "--interface", "127.0.0.1"]
    index += ["--port", str(layout.index_port), "--passwords", str(layout.secrets / "htpasswd")]
    # Reading needs the password too; a name that we lack is not looked for elsewhere.
    index += ["--authenticate", "update,download,list", "--disable-fallback", "--hash-algo", "sha256"]
    api = [str(layout.executable("api", "python")), "-m", "app_api", "--host", layout.api_host]
    dashboard = [str(layout.executable(DASHBOARD, "python")), "-m", "app_dashboard", "--host", layout.dashboard_host]
    return {
        **({} if layout.database_uri else {DATABASE: database.command(layout)}),
        INDEX: [*index, str(layout.packages)],
        API_SERVER: [*airflow, "api-server"],
        SCHEDULER: [*airflow, "--after", f"{layout.airflow_url}/api/v2/version", "scheduler", "--skip-serve-logs"],
        "dag-processor": [*airflow, "dag-processor"],
        "triggerer": [*airflow, "triggerer", "--skip-serve-logs"],
        API: [*api, "--port", str(layout.api_port)],
        DASHBOARD: [*dashboard, "--port", str(layout.dashboard_port)],
    }


def start_supervisor(layout: Layout) -> None:
    """Start the process manager, with every process still stopped; one that runs already is kept.

    Raises:
        SetupError: If it does not come up.
    """
    if is_up(layout):
        return
    layout.make_socket_folder()
    configuration = layout.root / "supervisord.conf"
    configuration.write_text(_configuration(layout), encoding="utf-8")
    daemon = [str(layout.executable("deploy", "supervisord")), "-c", str(configuration)]
    subprocess.run(daemon, env=airflow_settings.environment(layout), check=True, cwd=layout.root)
    for _ in range(100):
        if is_up(layout):
            return
        time.sleep(0.1)
    raise SetupError(f"the process manager does not answer; its log is {layout.logs}/supervisord.log")


def is_up(layout: Layout) -> bool:
    """Tell whether the process manager of this stack runs."""
    try:
        _rpc(layout).getState()
    except OSError:
        return False
    except Fault:
        # It is shutting down, and answers nothing else any more.
        return True
    return True


def running(layout: Layout) -> set[str]:
    """Return the names of the processes that run."""
    try:
        return {info["name"] for info in _rpc(layout).getAllProcessInfo() if info["statename"] == "RUNNING"}
    except (OSError, Fault):
        return set()


def start(layout: Layout, names: Iterable[str]) -> None:
    """Start processes that do not run yet; return at once. ``check`` tells whether they stay up.

    Raises:
        SetupError: If one of them cannot be started.
    """
    for name in names:
        try:
            _rpc(layout).startProcess(name, False)
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise SetupError(
                    f"{name} does not start ({fault.faultString}); its log is {layout.logs}/{name}.log"
                ) from None


def check(layout: Layout) -> None:
    """Raise SetupError if a process that was started has ended."""
    ended = {"BACKOFF", "EXITED", "FATAL"}
    for info in _rpc(layout).getAllProcessInfo():
        if info["statename"] in ended:
            raise SetupError(
                f"{info['name']} has ended ({info['spawnerr'] or info['description']}); "
                f"its log is {layout.logs}/{info['name']}.log"
            )


def wait_for_servers(layout: Layout, *, seconds: float = 300) -> None:
    """Return when API and dashboard answer.

    Raises:
        SetupError: If that takes longer, or one of them has ended.
    """
    for name, address in ((API, f"{layout.api_url}/health"), (DASHBOARD, f"{layout.dashboard_url}/_stcore/health")):
        wait_until_answers(layout, name, address, seconds=seconds)


def wait_until_answers(layout: Layout, name: str, address: str, *, seconds: float = 300) -> None:
    """Return when the server ``name`` answers at an address.

    Raises:
        SetupError: If that takes longer, or a process has ended.
    """
    deadline = time.monotonic() + seconds
    while not _answers(address):
        check(layout)
        if time.monotonic() > deadline:
            raise SetupError(f"the {name} does not answer after {seconds:.0f} s; its log is {layout.logs}/{name}.log")
        time.sleep(POLL_SECONDS)


def _answers(address: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(address, timeout=5, trust_env=False).is_success
    return False


def stop_one(layout: Layout, name: str) -> None:
    """Stop a process if it runs."""
    if name in running(layout):
        _rpc(layout).stopProcess(name)


def stop(layout: Layout, *, seconds: float = 60) -> None:
    """Stop every process and the process manager; return when all have ended, whoever began to stop them.

    Raises:
        SetupError: If the process manager has not ended in time.
    """
    if not is_up(layout):
        return
    pid = int((layout.root / "supervisord.pid").read_text(encoding="utf-8"))
    deadline = time.monotonic() + seconds
    # A fault: it is being shut down already.
    with suppress(Fault, OSError):
        _stop_side_by_side(layout, deadline)
        _rpc(layout).shutdown()
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise SetupError(f"process {pid} (supervisord) has not ended within {seconds:.0f} s")
        # A request wakes supervisord, which forgets one stopped process a second otherwise.
        with suppress(Fault, OSError):
            _rpc(layout).getState()
        time.sleep(POLL_SECONDS)


def _stop_side_by_side(layout: Layout, deadline: float) -> None:
    """Stop all processes at once, and then the database, which the others need until they end.

    The shutdown of the process manager would stop one after the other: 11 to 24 s.
    """
    rpc = _rpc(layout)
    for is_database in (False, True):
        for info in rpc.getAllProcessInfo():
            is_up = info["statename"] in {"STARTING", "RUNNING", "BACKOFF"}
            if is_up and (info["name"] == DATABASE) == is_database:
                rpc.stopProcess(info["name"], False)
        while any(info["statename"] == "STOPPING" for info in rpc.getAllProcessInfo()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def check_ports(layout: Layout) -> None:
    """Raise SetupError if another program listens where this stack is to listen, or this machine lacks the address."""
    up = running(layout)
    wanted = (
        (INDEX, LOOPBACK, layout.index_port, "INDEX"),
        (API_SERVER, LOOPBACK, layout.airflow_port, "AIRFLOW"),
        (API, layout.api_host, layout.api_port, "API"),
        (DASHBOARD, layout.dashboard_host, layout.dashboard_port, "DASHBOARD"),
    )
    for name, host, port, setting in wanted:
        if name in up:
            continue
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                hint = f"set ML_PIPELINE_{setting}_PORT to a free one"
                raise SetupError(f"port {port} of {name} is not free ({error.strerror}): {hint}") from None
            hint = f"set ML_PIPELINE_{setting}_HOST to one, such as {LOOPBACK}"
            raise SetupError(f"{host!r} is not an address of this machine ({error.strerror}): {hint}") from None


def _rpc(layout: Layout) -> Any:
    transport = SupervisorTransport(None, None, serverurl=f"unix://{layout.sockets}/supervisor.sock")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _configuration(layout: Layout) -> str:
    sections = [
        f"[unix_http_server]\nfile={layout.sockets}/supervisor.sock\nchmod=0700",
        f"[supervisord]\nlogfile={layout.logs}/supervisord.log\npidfile={layout.root}/supervisord.pid\n"
        f"directory={layout.root}\numask=022\n{'user=root' if os.geteuid() == 0 else ''}",
        # For people: supervisorctl -c .energy/supervisord.conf status
        f"[supervisorctl]\nserverurl=unix://{layout.sockets}/supervisor.sock",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    sections += [_program(layout, name, command) for name, command in commands(layout).items()]
    return "\n\n".join(sections) + "\n"


def _program(layout: Layout, name: str, command: list[str]) -> str:
    lines = [
        f"[program:{name}]",
        f"command={shlex.join(command).replace('%', '%%')}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        # TERM, then KILL after the grace period; to the whole group, for Airflow's processes have children.
        # The triggerer waits 10 s for a child that has got the signal, too. It has nothing to lose.
        f"stopwaitsecs={2 if name == 'triggerer' else 20}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={layout.logs}/{name}.log",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=3",
    ]
    if name == DATABASE:
        # INT is PostgreSQL's fast shutdown, and it stops its own children.
        lines += ["stopsignal=INT", "stopasgroup=false", "priority=1"]
        if user := database.operating_system_user():
            lines.append(f"user={user}")
    return "\n".join(lines)


def prune_task_environments(layout: Layout) -> None:
    """Remove the task environments of earlier deployments; call it only while no task runs."""
    variables = json.loads((layout.deployed / "variables.json").read_text(encoding="utf-8"))
    task_environments.prune(
        layout.root / "task-environments", deployed=variables["python_virtualenv_operator_cache_key"]
    )
