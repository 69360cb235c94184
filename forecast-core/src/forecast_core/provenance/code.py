"""By which code a result was made: versions, and the content that stood behind them."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

CORE: Final = ("forecast-core", "load-forecaster")
"""Distributions that make every number: stores and forecaster."""
LIBRARIES: Final = ("deltalake", "lightgbm", "numpy", "polars", "scipy")
"""What of other people's code a number may depend on; the lock of a deployment has the rest."""


def made_by(*distributions: str, dag_run_id: str | None) -> dict[str, Any]:
    """Return, as plain JSON, what stands beside a result: the code of these distributions and core, and the DAG run.

    Neither is part of the result: the same work by another DAG run is the same result, and keeps the facts of the run
    that did it first.
    """
    return {"dag_run_id": dag_run_id, "code": installed_code(*distributions)}


def installed_code(*distributions: str) -> dict[str, Any]:
    """Return the versions of distributions and core, each with the SHA-256 of its files, and those of libraries.

    >>> sorted(installed_code()["packages"])
    ['forecast-core', 'load-forecaster']
    """
    packages = {name: _package(name) for name in sorted({*CORE, *distributions})}
    libraries = {name: found for name in LIBRARIES if (found := _version(name)) is not None}
    return {"packages": packages, "libraries": {"python": platform.python_version(), **libraries}}


def differences(recorded: Mapping[str, Any] | None) -> list[str]:
    """Return in words where the code that is installed differs from what ``installed_code`` said then."""
    if not recorded:
        return ["the code that made it was not recorded"]
    found = []
    for name, then in recorded["packages"].items():
        now = _package(name)
        if now is None:
            # Refitting and predicting need core alone; the pipelines' own code decides nothing about the numbers.
            found += [f"{name} {then['version']} made it, and is not installed here"] if name in CORE else []
        elif now["version"] != then["version"]:
            found.append(f"{name} {then['version']} made it, {now['version']} is installed")
        elif now["sha256"] != then["sha256"]:
            found.append(f"{name} {then['version']} made it, with other content than what is installed")
    here = {"python": platform.python_version()}
    for name, then in recorded["libraries"].items():
        installed = here.get(name) or _version(name)
        if installed != then:
            found.append(f"{name} {then} made it, {installed or 'none'} is installed")
    return found


def _package(distribution: str) -> dict[str, str] | None:
    found = _version(distribution)
    return None if found is None else {"version": found, "sha256": _content(distribution.replace("-", "_"))}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@cache
def _content(package: str) -> str:
    """Return the SHA-256 of a package's files, names and contents: the same for a wheel and for a checkout."""
    spec = find_spec(package)
    folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
