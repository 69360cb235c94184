"""What stands between built wheels and deployed ones: immutability, and the pins that tasks install by.

Run by ``deploy/ml-pipeline.sh``: ``check FILE…`` prints which files the index lacks; ``pin`` writes the constraints
and, if Airflow is set up, announces them to it.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx

from local_stack import credentials
from local_stack.layout import DISTRIBUTIONS, REPOSITORY, Layout, SetupError


def missing_files(layout: Layout, files: list[Path]) -> list[Path]:
    """Return those of ``files`` that the private index does not have.

    Raises:
        SetupError: If it has one of them with other content, or does not answer.
    """
    missing = []
    for path in files:
        published = _published(layout, _distribution(path)).get(path.name)
        if published is None:
            missing.append(path)
        elif published != _sha256(path):
            raise SetupError(
                f"{path.name} is published with other content, and a published version never changes: "
                "raise the version of all packages with `make version V=X.Y.Z` and publish again"
            )
    return missing


def pin(layout: Layout) -> str:
    """Write the pins of the version in the repository; return that version.

    ``our-packages.txt`` names our wheels with their SHA-256, for whatever is installed on this machine.
    ``constraints.txt`` adds the lock's version and hashes of every other package, for the DAG's own tasks.
    ``variables.json`` has the Airflow Variables that tell the DAG of both.
    """
    version = _version()
    ours = "".join(_pin_of(layout, name, version) for name in DISTRIBUTIONS)
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
    _write(layout.deployed / "variables.json", json.dumps(variables, indent=2) + "\n")
    return version


def announce(layout: Layout) -> None:
    """Set the Airflow Variables of the deployed version, if they changed; the DAG reads them when a task runs."""
    variables, told = layout.deployed / "variables.json", announced(layout)
    if told.exists() and told.read_bytes() == variables.read_bytes():
        return
    command = [str(REPOSITORY / "deploy" / "airflow"), "variables", "import", "--action-on-existing-key", "overwrite"]
    done = subprocess.run([*command, str(variables)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"Airflow does not take its Variables:\n{done.stdout[-500:]}{done.stderr[-1000:]}")
    _write(told, variables.read_text(encoding="utf-8"))


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


def _pin_of(layout: Layout, name: str, version: str) -> str:
    prefix = f"{name.replace('-', '_')}-{version}"
    hashes = [
        digest for file, digest in _published(layout, name).items() if file.startswith((f"{prefix}-", f"{prefix}.tar"))
    ]
    if not hashes:
        raise SetupError(f"the private index has no {name} {version}; its log is {layout.logs}/index.log")
    return f"{name}=={version}" + "".join(f" --hash=sha256:{digest}" for digest in sorted(hashes)) + "\n"


def _published(layout: Layout, name: str) -> dict[str, str]:
    """Return file name to SHA-256 of what the index has under ``name``."""
    login = (credentials.INDEX_USER, credentials.read(layout, "index-password"))
    try:
        answer = httpx.get(f"{layout.index_url}/simple/{name}/", auth=login, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise SetupError(
            f"the private index at {layout.index_url} does not answer ({error}): start it with `make run`"
        ) from None
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {}
    if answer.is_error:
        raise SetupError(f"the private index at {layout.index_url} answers {answer.status_code} for {name}")
    return dict(re.findall(r'href="[^"]*?([^/"#]+)#sha256=([0-9a-f]{64})"', answer.text))


def _distribution(path: Path) -> str:
    return path.name.split("-")[0].replace("_", "-")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main(arguments: list[str]) -> int:
    """Run ``check FILE…`` or ``pin``; return the exit code."""
    layout = Layout.from_environment()
    try:
        if arguments[:1] == ["check"]:
            lines = [str(path) for path in missing_files(layout, [Path(name) for name in arguments[1:]])]
        elif arguments == ["pin"]:
            lines = [pin(layout)]
            if layout.airflow_is_set_up:
                announce(layout)
        else:
            raise SetupError("usage: python -m local_stack.publication check FILE… | pin")
    except SetupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
