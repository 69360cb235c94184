"""The private index: needs a password, never changes a version, and is the only source of our package names."""

import json
import shutil
import socket
import stat
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.stack import DISTRIBUTIONS, PATIENCE_S, REPOSITORY, Stack, free_port

pytestmark = pytest.mark.stack


def install(stack: Stack, environment: Path, *requirements: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Install as a task of Airflow does: uv, and the environment of the workers."""
    worker = stack.worker_environment() | variables
    uv = stack.program("deploy", "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", environment], env=worker, check=True)
    command = [uv, "pip", "install", "--python", str(environment / "bin" / "python"), *requirements]
    return subprocess.run(command, env=worker, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hostile_index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second index with feature-pipeline in a higher version and in ours; both reveal themselves when installed."""
    folder = tmp_path_factory.mktemp("hostile")
    for version in ("9.9.9", stack.version):
        project = folder / version
        (project / "src" / "feature_pipeline").mkdir(parents=True)
        (project / "src" / "feature_pipeline" / "hostile.py").touch()
        pyproject = (REPOSITORY / "feature-pipeline" / "pyproject.toml").read_text()
        pyproject = pyproject.replace(f'version = "{stack.version}"', f'version = "{version}"', 1)
        pyproject = pyproject.replace('readme = "README.md"\n', "")
        before, after = pyproject.split("dependencies = [", 1)
        (project / "pyproject.toml").write_text(before + "dependencies = []" + after.split("\n]", 1)[1])
        uv = stack.program("deploy", "uv")
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", project], check=True)
    with serve(stack, folder / "dist", "-P", ".", "-a", ".") as url:
        yield url


@pytest.fixture
def no_cache() -> dict[str, str]:
    """Without uv's cache: an earlier installation must not replace an index."""
    return {"UV_NO_CACHE": "1"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serve(stack: Stack, packages: Path, *options: str) -> Iterator[str]:
    port = free_port()
    command = [stack.program("deploy", "pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port), "--disable-fallback"]
    process = subprocess.Popen([*command, *options, packages], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _listens(port):
            assert process.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/simple/"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("path", ["simple/", "simple/feature-pipeline/", "packages/"])
def test_listing_and_downloading_need_the_password(stack: Stack, path: str) -> None:
    url = f"{stack.index_url}/{path}"
    assert httpx.get(url, timeout=PATIENCE_S).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(url, auth=("ml-pipeline", "guess"), timeout=PATIENCE_S).status_code == httpx.codes.FORBIDDEN
    assert httpx.get(url, auth=("ml-pipeline", stack.secret("index-password")), timeout=PATIENCE_S).is_success


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    ours = {process.pid for process in stack.processes()}
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.pid in ours and connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_secrets_are_readable_by_their_owner_only(stack: Stack) -> None:
    files = list((stack.root / "secrets").iterdir())
    assert {"index-password", "htpasswd", "netrc", "airflow-passwords.json"} <= {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((stack.root / "secrets").stat().st_mode) == 0o700
    assert stack.secret("htpasswd").split(":")[1].startswith("$6$")


def test_no_secret_is_in_a_log_or_a_deployed_file(stack: Stack) -> None:
    names = ("index-password", "airflow-jwt-secret", "airflow-api-secret", "airflow-fernet-key")
    secrets = [*map(stack.secret, names), *json.loads(stack.secret("airflow-passwords.json")).values()]
    places = [stack.root / name for name in ("logs", "airflow", "deployed", "task-environments")]
    files = [
        path
        for place in places
        for path in place.rglob("*")
        if path.suffix in {".log", ".json", ".txt", ".conf", ".cfg"}
    ]
    assert len(files) > 10
    leaks = [path for path in files for secret in secrets if secret in path.read_text(errors="replace")]
    assert leaks == []


def test_no_secret_is_in_a_rendered_template_or_the_environment_of_a_task(stack: Stack) -> None:
    runs = stack.api.get("/api/v2/dags/ml_pipeline/dagRuns").json()["dag_runs"]
    path = f"/api/v2/dags/ml_pipeline/dagRuns/{runs[0]['dag_run_id']}/taskInstances"
    rendered = [task["rendered_fields"] for task in stack.api.get(path).json()["task_instances"]]
    assert any("feature-pipeline==" in json.dumps(fields) for fields in rendered)
    secrets = [stack.secret(name) for name in ("index-password", "airflow-jwt-secret", "airflow-fernet-key")]
    exposed = json.dumps(rendered) + json.dumps(stack.worker_environment())
    assert [secret for secret in secrets if secret in exposed] == []


def test_a_published_version_with_other_content_is_refused(stack: Stack, tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    ignored = shutil.ignore_patterns(".git", ".energy", "__pycache__", ".*cache")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    with (copy / "feature-pipeline/src/feature_pipeline/__init__.py").open("a") as file:
        file.write("# another content\n")
    # The copy builds for itself, with the tools, the passwords and the index of the stack.
    elsewhere = {
        "ML_PIPELINE_ROOT_DIR": str(tmp_path / "root"),
        "ML_PIPELINE_TOOLS_DIR": str(Path(stack.program("deploy", "python")).parent),
        "ML_PIPELINE_SECRETS_DIR": str(stack.root / "secrets"),
    }
    command = [copy / "deploy/ml-pipeline.sh"]
    done = subprocess.run(command, env=stack.environment | elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "published with other content" in done.stderr
    assert "make version" in done.stderr


def test_the_index_itself_refuses_other_content_under_a_published_version(stack: Stack) -> None:
    [published] = (stack.root / "index").glob("feature_pipeline-*.whl")
    before = published.read_bytes()
    form = {":action": "file_upload", "name": "feature-pipeline", "version": stack.version}
    files = {"content": (published.name, b"another content")}
    login = ("ml-pipeline", stack.secret("index-password"))
    answer = httpx.post(f"{stack.index_url}/", data=form, files=files, auth=login, timeout=PATIENCE_S)
    assert answer.status_code == httpx.codes.CONFLICT
    assert published.read_bytes() == before


def test_publishing_the_same_content_again_changes_nothing(stack: Stack) -> None:
    before = {path: path.stat().st_mtime_ns for path in (stack.root / "index").iterdir()}
    done = subprocess.run(
        [REPOSITORY / "deploy/ml-pipeline.sh"], env=stack.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("unchanged") == len(DISTRIBUTIONS)
    assert {path: path.stat().st_mtime_ns for path in (stack.root / "index").iterdir()} == before


def test_a_hostile_higher_version_elsewhere_loses(
    stack: Stack, hostile_index: str, tmp_path: Path, no_cache: dict[str, str]
) -> None:
    for place, urls in {
        "behind ours": f"{stack.index_url}/simple/ {hostile_index}",
        "before ours": f"{hostile_index} {stack.index_url}/simple/",
    }.items():
        done = install(stack, tmp_path / "env", "feature-pipeline", UV_INDEX=urls, **no_cache)
        hostile = list((tmp_path / "env").rglob("feature_pipeline/hostile.py"))
        assert hostile == [], place
        assert (done.returncode == 0) == (place == "behind ours"), done.stderr


def test_without_our_index_the_stranger_is_not_installed_even_in_our_version(
    stack: Stack, hostile_index: str, tmp_path: Path, no_cache: dict[str, str]
) -> None:
    for requirement in ("feature-pipeline", f"feature-pipeline=={stack.version}", "feature-pipeline==9.9.9"):
        done = install(stack, tmp_path / "env", requirement, UV_INDEX=hostile_index, **no_cache)
        assert done.returncode != 0
        assert list((tmp_path / "env").rglob("feature_pipeline")) == []


def test_a_stopped_index_is_a_clear_failure_and_no_fallback(
    stack: Stack, hostile_index: str, tmp_path: Path, no_cache: dict[str, str]
) -> None:
    nothing = f"http://127.0.0.1:{free_port()}/simple/"
    indexes = {"UV_INDEX": f"{nothing} {hostile_index}", "UV_HTTP_RETRIES": "0", **no_cache}
    done = install(stack, tmp_path / "env", "feature-pipeline", **indexes)
    assert done.returncode != 0
    assert nothing in done.stderr
    assert "Connection refused" in done.stderr
    assert list((tmp_path / "env").rglob("feature_pipeline")) == []


def test_each_wheel_installs_alone_and_declares_all_that_it_imports(stack: Stack, tmp_path: Path) -> None:
    names = (
        "forecast-core[tracking]",
        "feature-pipeline",
        "training-pipeline",
        "batch-prediction-pipeline",
        "app-api",
        "app-dashboard",
        "app-shell",
    )
    for name in names:
        done = install(stack, tmp_path / "env", name)
        assert done.returncode == 0, done.stderr
        package = name.split("[")[0].replace("-", "_")
        walk = (
            "import importlib, pkgutil, sys; package = importlib.import_module(sys.argv[1]); "
            "[importlib.import_module(module.name) for module in "
            "pkgutil.walk_packages(package.__path__, package.__name__ + '.') if not module.name.endswith('__main__')]"
        )
        python = tmp_path / "env/bin/python"
        done = subprocess.run([python, "-I", "-c", walk, package], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel but the two that name the version of poetry-core that built it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/WHEEL", "/RECORD"))]
        return {name: archive.read(name) for name in names}


def test_poetry_and_uv_build_the_same_wheel(stack: Stack, tmp_path: Path) -> None:
    for name in DISTRIBUTIONS:
        uv = stack.program("deploy", "uv")
        subprocess.run([uv, "build", "--quiet", "--out-dir", tmp_path / name, REPOSITORY / name], check=True)
        [by_uv], [by_poetry] = (folder.glob("*.whl") for folder in (tmp_path / name, stack.root / "dist" / name))
        assert by_uv.name == by_poetry.name
        assert contents(by_uv) == contents(by_poetry)


def test_a_busy_port_is_named_with_its_setting(stack: Stack, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = stack.environment | {
            "ML_PIPELINE_ROOT_DIR": str(tmp_path / "root"),
            "ML_PIPELINE_INDEX_PORT": str(port),
            "PYTHONPATH": str(REPOSITORY / "deploy"),
        }
        python = stack.program("deploy", "python")
        command = [python, "-m", "local_stack", "up"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {port} of index is not free" in done.stdout
    assert "ML_PIPELINE_INDEX_PORT" in done.stdout
