"""Publish our distributions: build, upload what the index lacks, pin what tasks install, tell Airflow.

``deploy/ml-pipeline.sh`` and ``make up`` run this. A published version never changes, nothing is built twice, and the
deployed version only goes up: a checkout that is older than what is deployed changes nothing.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.version import Version

from local_stack import wheels
from local_stack.airflow_api import AirflowApi
from local_stack.index import Index
from local_stack.layout import DISTRIBUTIONS, REPOSITORY, Layout, SetupError
from local_stack.progress import say


def publish(layout: Layout) -> str:
    """Build all distributions, upload what the index lacks, and pin the version; return that.

    Prints a line for each distribution, and a line that begins with ``note:`` if the deployed version changes. Compares
    every file with the index before the first upload, so that a refused publication publishes nothing; then uploads
    core first, so that what is in the index can always be installed.

    Raises:
        SetupError: If a newer version is deployed, a file is published with other content, or the index does not
            answer.
    """
    refuse_older_checkout(layout)
    version, before = _version(), deployed_version(layout)
    index = Index(layout)
    built = {name: wheels.build(layout, name) for name in DISTRIBUTIONS}
    missing = {name: index.missing(name, files) for name, files in built.items()}
    for name, files in built.items():
        for path in missing[name]:
            index.upload(name, path)
        [wheel] = [path.name for path in files if path.suffix == ".whl"]
        say(f"{name}: published {wheel}" if missing[name] else f"{name}: unchanged")
    pin(layout, version, built)
    if before and before != version:
        say(f"note: the deployed version changes from {before} to {version}")
    return version


def refuse_older_checkout(layout: Layout) -> None:
    """Raise SetupError if a newer version than this checkout's is deployed.

    Its tables and databases may have formats that this checkout does not know.
    """
    version, deployed = _version(), deployed_version(layout)
    if deployed and Version(version) < Version(deployed):
        raise SetupError(
            f"version {deployed} is deployed and this checkout has {version}, and the deployed version only goes up: "
            f"update the checkout, or give it a number above {deployed} with `make version V=X.Y.Z`"
        )


def pin(layout: Layout, version: str, built: dict[str, list[Path]]) -> None:
    """Write the pins of a published version.

    ``our-packages.txt`` names our wheels with their SHA-256, for whatever is installed on this machine.
    ``constraints.txt`` adds the lock's version and hashes of every other package, for the DAG's own tasks.
    ``variables.json`` has the Airflow Variables that tell the DAG of both.

    Args:
        layout: Where everything is.
        version: The version of all distributions.
        built: The published files of each distribution. No other file of that version in the index is installed: one
            that somebody added by hand, such as a second build of a wheel, has none of the hashes.
    """
    ours = "".join(_pin_of(name, version, files) for name, files in built.items())
    export = [str(layout.executable("deploy", "uv")), "export", "--frozen", "--no-dev", "--all-packages"]
    export += ["--no-emit-workspace", "--no-header", "--no-annotate", "--quiet", "--format", "requirements.txt"]
    export += ["--extra", "tracking"]
    locked = subprocess.run(export, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    text = ours + locked
    layout.deployed.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    # Airflow's own name for what shall make cached environments anew.
    variables = {"ml_pipeline_version": version, "python_virtualenv_operator_cache_key": digest}
    _write(layout.deployed / "constraints.txt", text)
    _write(layout.deployed / "our-packages.txt", ours)
    _write(_variables(layout), json.dumps(variables, indent=2) + "\n")


def deployed_version(layout: Layout) -> str | None:
    """Return the version that tasks install; None before the first deployment."""
    if not _variables(layout).exists():
        return None
    version: str = json.loads(_variables(layout).read_text(encoding="utf-8"))["ml_pipeline_version"]
    return version


def announce(layout: Layout) -> None:
    """Set the Airflow Variables of the deployed version, if they changed; the DAG reads them when a task runs.

    Raises:
        SetupError: If Airflow does not take them.
    """
    if is_announced(layout):
        return
    text = _variables(layout).read_text(encoding="utf-8")
    api = AirflowApi(layout)
    if api.answers():
        api.set_variables(json.loads(text))
    else:
        command = [str(REPOSITORY / "deploy" / "airflow"), "variables", "import", "--action-on-existing-key"]
        command += ["overwrite", str(_variables(layout))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"Airflow does not take its Variables:\n{done.stdout[-500:]}{done.stderr[-1000:]}")
    _write(announced(layout), text)


def is_announced(layout: Layout) -> bool:
    """Tell whether Airflow has been told of the deployed version."""
    told = announced(layout)
    return told.exists() and told.read_bytes() == _variables(layout).read_bytes()


def _variables(layout: Layout) -> Path:
    return layout.deployed / "variables.json"


def announced(layout: Layout) -> Path:
    """Return the path of what Airflow was told last."""
    return layout.deployed / "variables-announced.json"


def _version() -> str:
    texts = {(REPOSITORY / name / "pyproject.toml").read_text(encoding="utf-8") for name in DISTRIBUTIONS}
    versions = {match[1] for text in texts if (match := re.search(r'^version = "(.+)"$', text, re.MULTILINE))}
    if len(versions) != 1:
        raise SetupError(
            f"all packages share one version, but these differ: {sorted(versions)}: `make version V=X.Y.Z`"
        )
    return versions.pop()


def _pin_of(name: str, version: str, files: list[Path]) -> str:
    hashes = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return f"{name}=={version}" + "".join(f" --hash=sha256:{digest}" for digest in hashes) + "\n"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main(arguments: list[str]) -> int:
    """Publish, and with ``--announce`` tell Airflow if it is set up; return the exit code."""
    layout = Layout.from_environment()
    try:
        if arguments not in ([], ["--announce"]):
            raise SetupError("usage: python -m local_stack.publication [--announce]")
        version = publish(layout)
        if arguments and layout.airflow_is_set_up:
            announce(layout)
    except SetupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(f"deployed version: {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
