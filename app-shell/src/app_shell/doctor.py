"""Checks of the set-up: each says what it found and, where that is not well, what to do."""

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import polars as pl
from rich.table import Table
from rich.text import Text

from app_shell import stack
from app_shell.airflow import sentences, state_of_dag
from app_shell.ml_pipeline_steps import STEPS
from forecast_core.contracts.errors import ForecastingError
from forecast_core.contracts.settings import Settings

_OF_STEPS: Final = tuple(dict.fromkeys(step.distribution for step in STEPS))
DISTRIBUTIONS: Final = ("load-forecaster", "forecast-core", *_OF_STEPS, "app-shell")
"""The wheels that a run needs."""
_GIB: Final = 2**30
_DISK: Final = (0.5, 3.0)
_MEMORY: Final = (1.0, 3.0)
_MORE_DISK: Final = "remove what is not needed, or set ML_PIPELINE_ROOT_DIR to a larger disk"
_MORE_MEMORY: Final = "end other programs: a run needs up to 3 GiB"
_RESTART: Final = "`make down && make up` starts the stack anew"

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """What one check found; ``advice`` says what to do where it is not ``ok``."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings, ports: stack.Ports, now: datetime) -> list[Check]:
    """Return every check; a check that cannot be made has failed, and says why."""
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("Python", _python),
        ("libgomp", _libgomp),
        ("versions", lambda: _versions(settings)),
        ("root folder", lambda: _root(settings)),
        ("disk", lambda: _enough("disk", _free_disk(settings.root), _DISK, _MORE_DISK)),
        ("memory", lambda: _enough("memory", _free_memory(), _MEMORY, _MORE_MEMORY)),
        ("store", lambda: _store(settings)),
        ("tracking database", lambda: _tracking(settings)),
        ("forecasts", lambda: _forecasts(settings, now)),
    )
    found = [_made(name, check) for name, check in checks]
    return [*found, *_of_stack(settings, ports, now)]


def is_sound(checks: list[Check]) -> bool:
    """Whether none has failed."""
    return all(each.state != "failed" for each in checks)


def _made(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ForecastingError as error:
        return Check(name, "failed", str(error.args[0]), "see the text beside this")


def _python() -> Check:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] < (3, 15):
        return Check("Python", "ok", found)
    return Check("Python", "failed", found, "install Python 3.11 to 3.14 and run `make run PYTHON=python3.13`")


def _libgomp() -> Check:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError as error:
        return Check("libgomp", "failed", str(error), "LightGBM needs it: apt install libgomp1")
    return Check("libgomp", "ok", "libgomp.so.1")


def _versions(settings: Settings) -> Check:
    """Whether what is installed here is one version, and the deployed one."""
    installed = {name: metadata.version(name) for name in DISTRIBUTIONS}
    if len(set(installed.values())) != 1:
        listed = ", ".join(f"{name} {version}" for name, version in installed.items())
        return Check("versions", "failed", listed, "all packages share one version: `make run` installs it anew")
    [version] = set(installed.values())
    deployed = stack.deployed_version(settings)
    if deployed in (None, version):
        return Check("versions", "ok", f"{version} installed, {'nothing' if deployed is None else deployed} deployed")
    found = f"{version} installed, {deployed} deployed"
    return Check("versions", "warning", found, "`make up` installs the deployed version for the shell")


def _root(settings: Settings) -> Check:
    place = _existing(settings.root)
    if not os.access(place, os.W_OK | os.X_OK):
        advice = "give its owner back to yourself (chown), or set ML_PIPELINE_ROOT_DIR to a folder of yours"
        return Check("root folder", "failed", f"{place} cannot be written", advice)
    found = str(settings.root) if place == settings.root else f"{settings.root}, not there yet"
    return Check("root folder", "ok", found)


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _free_disk(root: Path) -> float:
    return shutil.disk_usage(_existing(root)).free / _GIB


def _free_memory() -> float:
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return float("inf")


def _enough(name: str, free: float, bounds: tuple[float, float], advice: str) -> Check:
    least, well = bounds
    if free >= well:
        return Check(name, "ok", f"{free:,.1f} GiB free")
    return Check(name, "failed" if free < least else "warning", f"{free:,.1f} GiB free; {well:g} are well", advice)


def _store(settings: Settings) -> Check:
    from forecast_core.feature_store import FeatureStore

    groups = FeatureStore(settings).feature_group_versions()
    if not groups:
        return Check("store", "ok", f"{settings.store}, empty", "fill it by `energy run`")
    return Check("store", "ok", f"{settings.store}: {', '.join(f'{name} version {number}' for name, number in groups)}")


def _tracking(settings: Settings) -> Check:
    from forecast_core import tracking
    from forecast_core.tracking.database import shown

    count = len(tracking.find_model_versions(settings))
    return Check("tracking database", "ok", f"{count} model versions in {shown(settings)}")


def _forecasts(settings: Settings, now: datetime) -> Check:
    from forecast_core.archive import ForecastArchive
    from forecast_core.contracts.window import DATETIME_FORMAT

    runs = ForecastArchive(settings).read_runs()
    if runs.is_empty():
        return Check("forecasts", "warning", "none yet", "make some by `energy run`, or `make run` for every hour")
    due = runs.filter(pl.col("reference_datetime") <= now)
    newest = (
        f"the newest at {due['reference_datetime'][-1]:{DATETIME_FORMAT}} UTC" if due.height else "none of them due"
    )
    found = f"{runs.height:,} runs, {newest}"
    if due.height == runs.height:
        return Check("forecasts", "ok", found)
    ahead = runs.filter(pl.col("reference_datetime") > now).row(0, named=True)
    at, view = f"{ahead['reference_datetime']:{DATETIME_FORMAT}}", ahead["feature_view_version"]
    advice = (
        f"remove it, if its time was typed wrong: energy remove-run --reference '{at}' --feature-view-version {view}"
    )
    return Check(
        "forecasts", "warning", f"{found}; {runs.height - due.height} in the future, the first at {at}", advice
    )


def _of_stack(settings: Settings, ports: stack.Ports, now: datetime) -> Iterator[Check]:
    """What belongs to the stack of `make run`: its processes, its ports, its index."""
    processes = stack.processes(settings)
    ended = [each["name"] for each in processes or [] if each["state"] != "running"]
    if processes is None:
        yield Check("stack", "skipped", "not running in this root folder", "`make run` starts it, if you want it")
    elif ended:
        logs = f"their logs are in {settings.root}/logs"
        yield Check(
            "stack", "failed", f"not running: {', '.join(ended)}", f"{logs}; `make down && make up` starts anew"
        )
    else:
        yield Check("stack", "ok", f"{len(processes)} processes running")
    yield from _dag(settings, ports, now)
    up = {each["name"] for each in processes or []}
    for process, (setting, port) in ports.by_process().items():
        if process in up or not up:
            yield _port(process, setting, port, stack.listens(port, ports.host(process)), is_up=process in up)
    yield _index(settings, ports, is_up=bool(processes))


def _dag(settings: Settings, ports: stack.Ports, now: datetime) -> Iterator[Check]:
    state = state_of_dag(settings, ports, now)
    if state is None:
        return
    said = sentences(state)
    bad = [sentence for sentence, is_bad in said if is_bad]
    if not bad:
        yield Check("runs in Airflow", "ok", said[0][0])
        return
    kind: State = "failed" if state["failed"] or state["blocking"] or state["error"] else "warning"
    for sentence in bad:
        found, _, advice = sentence.partition("; ")
        yield Check("runs in Airflow", kind, found, advice)


def _port(process: str, setting: str, port: int, listens: bool, *, is_up: bool) -> Check:
    name = f"port of {process}"
    if listens == is_up:
        return Check(name, "ok", f"{port} {'answers' if is_up else 'is free'}")
    if is_up:
        return Check(name, "failed", f"{port} does not answer", _RESTART)
    advice = f"it would stop `make run`: set {setting} to a free one in .env"
    return Check(name, "warning", f"{port} is taken by another program", advice)


def _index(settings: Settings, ports: stack.Ports, *, is_up: bool) -> Check:
    if not is_up:
        return Check("package index", "skipped", "runs with the stack", "`make run` starts it")
    deployed = stack.deployed_version(settings)
    try:
        published = {name: stack.published_versions(settings, ports, name) for name in DISTRIBUTIONS}
    except OSError as error:
        return Check("package index", "failed", f"{ports.index}: {error}", f"its log is {settings.root}/logs/index.log")
    lacking = [name for name, versions in published.items() if deployed not in versions]
    if lacking:
        found = f"{ports.index} lacks version {deployed} of {', '.join(lacking)}"
        return Check("package index", "failed", found, "`deploy/ml-pipeline.sh` publishes it")
    return Check("package index", "ok", f"{ports.index} has version {deployed} of all packages")


def drawn(checks: list[Check]) -> Table:
    """Return a table of what ``examine`` returned: the advice below what it is about."""
    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red"), "skipped": ("-", "dim")}
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column()
    for each in checks:
        mark, style = marks[each.state]
        text = Text(each.found, "dim" if each.state == "skipped" else "", overflow="fold")
        if each.advice:
            text.append(f"\n{each.advice}", "italic")
        table.add_row(Text(mark, style), Text(each.name, "bold"), text)
    return table
