"""Publication into a real package index: what is refused publishes nothing, and the deployed version only goes up."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.stack import DISTRIBUTIONS, FOREIGN, PATIENCE_S, REPOSITORY, free_port

ROOT = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute()
PROGRAMS = ROOT / "venvs" / "deploy" / "bin"

CREATE_CREDENTIALS = """
from local_stack import credentials
from local_stack.layout import Layout
credentials.create(Layout.from_environment())
"""


@dataclass(frozen=True)
class Publisher:
    """A copy of the repository, and an index of its own that it publishes into."""

    repository: Path
    root: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which ``deploy/ml-pipeline.sh`` and ``make up`` run."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)},
            "ML_PIPELINE_ENV_FILE": os.devnull,
            "ML_PIPELINE_ROOT_DIR": str(self.root),
            "ML_PIPELINE_TOOLS_DIR": str(PROGRAMS),
            "ML_PIPELINE_INDEX_PORT": str(self.port),
            "PYTHONPATH": str(self.repository / "deploy"),
        }

    def publish(self) -> subprocess.CompletedProcess[str]:
        command = [self.repository / "deploy" / "ml-pipeline.sh"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def up(self) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAMS / "python"), "-m", "local_stack", "up"]
        ports = {f"ML_PIPELINE_{name}_PORT": str(free_port()) for name in ("INDEX", "AIRFLOW", "API", "DASHBOARD")}
        environment = self.environment | ports
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def give_version(self, version: str) -> None:
        """Do what ``make version`` does."""
        for name in DISTRIBUTIONS:
            path = self.repository / name / "pyproject.toml"
            path.write_text(re.sub(r'^version = ".+"$', f'version = "{version}"', path.read_text(), flags=re.MULTILINE))

    def published(self) -> dict[str, int]:
        """Name and size of every file in the index."""
        return {path.name: path.stat().st_size for path in (self.root / "index").iterdir()}

    def deployed(self) -> dict[str, str]:
        """Name and text of what a deployment writes."""
        return {path.name: path.read_text() for path in sorted((self.root / "deployed").glob("*"))}


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    assert (PROGRAMS / "python").exists(), f"{PROGRAMS} is not there: run `make setup`"
    repository = tmp_path / "repository"
    for name in (*DISTRIBUTIONS, "deploy", "airflow"):
        ignored = shutil.ignore_patterns("tests", "__pycache__")
        shutil.copytree(REPOSITORY / name, repository / name, ignore=ignored)
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(REPOSITORY / name, repository / name)
    made = Publisher(repository, tmp_path / "root", free_port())
    (made.root / "index").mkdir(parents=True)
    python = PROGRAMS / "python"
    subprocess.run([python, "-c", CREATE_CREDENTIALS], env=made.environment, check=True)
    options = ["--interface", "127.0.0.1", "--port", str(made.port), "--passwords", f"{made.root}/secrets/htpasswd"]
    options += ["--authenticate", "update,download,list", "--disable-fallback", "--hash-algo", "sha256"]
    command = [str(PROGRAMS / "pypi-server"), "run", *options, str(made.root / "index")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(made.port):
            assert process.poll() is None
            time.sleep(0.1)
        yield made
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def version_of(publisher: Publisher) -> str:
    return str(json.loads(publisher.deployed()["variables.json"])["ml_pipeline_version"])


def test_a_refused_publication_publishes_nothing(publisher: Publisher) -> None:
    """Wheels that are fine were published before a clash of a later one was seen: of sources that changed, by hand."""
    publisher.give_version("7.0.0")
    by_hand = publisher.root / "index" / "app_shell-7.0.0-py3-none-any.whl"
    by_hand.write_bytes(b"built from other sources")
    refused = publisher.publish()
    assert refused.returncode == 1
    assert "app_shell-7.0.0-py3-none-any.whl is published with other content" in refused.stderr
    assert list(publisher.published()) == [by_hand.name]
    assert publisher.deployed() == {}
    by_hand.unlink()
    assert publisher.publish().returncode == 0
    pins = publisher.deployed()
    for path in (publisher.root / "index").iterdir():
        if not path.name.startswith("training_pipeline"):
            path.unlink()
    left = publisher.published()
    with (publisher.repository / "training-pipeline/src/training_pipeline/__init__.py").open("a") as file:
        file.write("# another content\n")
    refused = publisher.publish()
    assert refused.returncode == 1
    assert "is published with other content" in refused.stderr
    assert publisher.published() == left
    assert publisher.deployed() == pins


def test_the_deployed_version_goes_up_with_a_note_and_never_back(publisher: Publisher) -> None:
    """An older checkout moved the deployed version back and said nothing."""
    publisher.give_version("7.0.0")
    first = publisher.publish()
    assert first.stdout.splitlines()[-1] == "deployed version: 7.0.0"
    assert "note:" not in first.stdout
    publisher.give_version("7.10.0")
    assert "note: the deployed version changes from 7.0.0 to 7.10.0" in publisher.publish().stdout.splitlines()
    before, pins = publisher.published(), publisher.deployed()
    # 7.9 is a greater text and a lower version.
    for older, command in (("7.0.0", publisher.publish), ("7.9.0", publisher.up), ("7.10.0rc1", publisher.publish)):
        publisher.give_version(older)
        refused = command()
        assert refused.returncode == 1
        [line] = (refused.stdout + refused.stderr).splitlines()
        assert line.startswith(f"error: version 7.10.0 is deployed and this checkout has {older}")
        assert "make version" in line
    assert publisher.published() == before
    assert publisher.deployed() == pins
    assert not (publisher.root / "supervisord.conf").exists()


def test_what_is_published_by_hand_does_not_change_what_tasks_install(publisher: Publisher) -> None:
    """The pins had the hash of every file of the version, of a second build that somebody had added, too."""
    publisher.give_version("7.0.0")
    assert publisher.publish().returncode == 0
    pins = publisher.deployed()
    index = publisher.root / "index"
    for name in ("feature_pipeline-7.0.0-1-py3-none-any.whl", "feature_pipeline-7.0.1-py3-none-any.whl"):
        shutil.copy(index / "feature_pipeline-7.0.0-py3-none-any.whl", index / name)
        with (index / name).open("ab") as file:
            file.write(b"another content")
    again = publisher.publish()
    assert again.stdout.count("unchanged") == len(DISTRIBUTIONS)
    assert publisher.deployed() == pins
