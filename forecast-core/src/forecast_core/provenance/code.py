"""By which code a result was made: the modules that compute it, by their content, and the versions of libraries.

What computes a result is its entry module and all of our modules that this imports (``imports.reached``). The content
of any other module (a fake for tests, the API, a command) is no part of it.
"""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypedDict

from forecast_core.contracts.dag_run import DagRun
from forecast_core.provenance.imports import OURS, folder, reached

LIBRARIES: Final = ("deltalake", "lightgbm", "numpy", "polars", "scipy")
"""Other people's distributions whose version can change a number that training or forecasting gives."""


class Package(TypedDict):
    """A distribution of ours: ``sha256`` is of those of its modules that compute the result, names and contents."""

    version: str
    sha256: str


class Code(TypedDict):
    """What made a result; ``packages`` by name of the distribution, ``libraries`` with Python by their versions."""

    entry: str
    packages: dict[str, Package]
    libraries: dict[str, str]


class MadeBy(TypedDict):
    """What stands beside a result and is no part of it: the code, and the DAG and its run, None from a shell."""

    dag_id: str | None
    dag_run_id: str | None
    code: Code


def made_by(entry_module: str, *, dag_run: DagRun | None) -> MadeBy:
    """Return, as plain JSON, the code that makes a result and the DAG run.

    The same work by another DAG run is the same result, and keeps the facts of the run that did it first.

    Args:
        entry_module: The module of the public function that makes the result, ``training_pipeline.train`` for example.
        dag_run: The run of the orchestrator; None from a shell.
    """
    dag_id, run_id = (None, None) if dag_run is None else (dag_run.dag_id or None, dag_run.run_id)
    return {"dag_id": dag_id, "dag_run_id": run_id, "code": installed_code(entry_module)}


def installed_code(entry_module: str) -> Code:
    """Return the installed code that computes what ``entry_module`` gives.

    >>> sorted(installed_code("forecast_core.provenance.recreate")["packages"])
    ['forecast-core', 'load-forecaster']
    """
    packages = _packages(entry_module)
    return {"entry": entry_module, "packages": packages, "libraries": library_versions()}


def code_digest(entry_module: str) -> str:
    """Return the SHA-256 of the names and contents of all our modules that ``entry_module`` reaches.

    The same for a wheel and for a checkout, and on every machine. A fingerprint needs ``library_versions`` beside it.

    Raises:
        ModuleNotFoundError: If there is no such module in our packages.
    """
    return _sha256((name.replace(".", "/"), file) for name, file in reached(entry_module).items())


def library_versions(*more: str) -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a number, and of ``more`` distributions.

    One that is not installed is left out.
    """
    found = {name: _version(name) for name in (*LIBRARIES, *more)}
    installed = {name: text for name, text in found.items() if text is not None}
    return {"python": platform.python_version(), **installed}


def differences(recorded: Mapping[str, Any] | None) -> list[str]:
    """Return in words where the code that is installed differs from ``recorded``; empty if it does not.

    Args:
        recorded: A ``Code`` as JSON. A record of version 1.0.0 has no ``entry``: its digests are of whole packages.
            Where the entry's distribution is not installed, which modules it reached is not known, and the other
            packages are compared by their versions only.
    """
    if not recorded:
        return ["the code that made it was not recorded"]
    here = _comparable(recorded)
    found = [text for name, then in recorded["packages"].items() for text in _package_differs(name, then, here)]
    libraries = library_versions(*(name for name in recorded["libraries"] if name != "python"))
    for name, then in recorded["libraries"].items():
        if (now := libraries.get(name)) != then:
            found.append(f"{name} {then} made it, {now or 'none'} is installed")
    return found


def _comparable(recorded: Mapping[str, Any]) -> dict[str, Package]:
    """Return what of the installed packages can be compared with a record, by distribution."""
    if "entry" not in recorded:
        return {name: package for name in recorded["packages"] if (package := _whole(name)) is not None}
    try:
        return _packages(recorded["entry"])
    except ModuleNotFoundError:
        return {}


def _package_differs(name: str, then: Package, here: Mapping[str, Package]) -> list[str]:
    installed = _version(name)
    if installed is None:
        # Fitting and forecasting need core and the forecaster alone; a pipeline's own code decides no number.
        needed = name in ("forecast-core", "load-forecaster")
        return [f"{name} {then['version']} made it, and is not installed here"] if needed else []
    if installed != then["version"]:
        return [f"{name} {then['version']} made it, {installed} is installed"]
    if name in here and here[name]["sha256"] != then["sha256"]:
        return [f"{name} {then['version']} made it, with other content than what is installed"]
    return []


@cache
def _packages(entry_module: str) -> dict[str, Package]:
    files = reached(entry_module)
    found: dict[str, Package] = {}
    for package in OURS:
        of_package = [file for name, file in files.items() if name.split(".")[0] == package]
        distribution = package.replace("_", "-")
        if of_package:
            digest = _sha256(_within(package, of_package))
            found[distribution] = {"version": _version(distribution) or "not installed", "sha256": digest}
    return dict(sorted(found.items()))


def _whole(distribution: str) -> Package | None:
    """Return a distribution with the digest of all its modules, as version 1.0.0 recorded it."""
    package = distribution.replace("-", "_")
    installed, place = _version(distribution), folder(package)
    if installed is None or place is None:
        return None
    return {"version": installed, "sha256": _sha256(_within(package, place.rglob("*.py")))}


def _within(package: str, files: Iterable[Path]) -> list[tuple[str, Path]]:
    """Return files of a package, sorted, with their paths below its folder."""
    place = folder(package) or Path()
    return [(file.relative_to(place).as_posix(), file) for file in sorted(files)]


def _sha256(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        content = file.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
