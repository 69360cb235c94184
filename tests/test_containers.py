"""The container set-up: linted, and held to the settings of the local stack. No container engine is needed, or used."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from forecast_core.contracts.settings import Settings
from tests.stack import PATIENCE_S, REPOSITORY, free_port

COMPOSE_FILE = REPOSITORY / "airflow" / "docker-compose.yaml"
DOCKERFILES = [REPOSITORY / "airflow" / name for name in ("Dockerfile", "index.Dockerfile")]
DEPLOY = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute() / "venvs" / "deploy"
ONE_SHOTS = {"airflow-init", "deploy", "airflow-variables"}

FROM_A_FILE = {
    "AIRFLOW__API__SECRET_KEY_CMD": "airflow-api-secret",
    "AIRFLOW__API_AUTH__JWT_SECRET_CMD": "airflow-jwt-secret",
    "AIRFLOW__CORE__FERNET_KEY_CMD": "airflow-fernet-key",
}
"""Secrets that Airflow reads from a file itself: of the local stack's folder, or mounted into the container."""

DIFFERENT = {
    "AIRFLOW_HOME": "a folder of the image",
    "AIRFLOW__API__HOST": "all of the container's addresses; the published port is on loopback",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": "mounted by the API server alone",
    "AIRFLOW__CORE__DAGS_FOLDER": "the DAGs are mounted there",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "workers reach the API server by the name of its service",
    "AIRFLOW__CORE__EXECUTOR": "Celery: workers are containers of their own",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "the PostgreSQL service; its password is in the file that PGPASSFILE names",
    "NETRC": "a mounted secret",
    "UV_INDEX": "the index by the name of its service",
    "UV_CONSTRAINT": "on the shared volume",
    "UV_CACHE_DIR": "on the shared volume",
    "ML_PIPELINE_ROOT_DIR": "the shared volume",
}
"""Settings whose value cannot be the local stack's, and why; every other one is equal."""

ADDED = {
    "AIRFLOW__CELERY__BROKER_URL_CMD": "only Celery has a broker",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "only Celery has workers",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "the scheduler's health check asks it",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "from inside the container only",
}
"""Airflow settings that only the containers have, and why."""


def interpolated(value: Any) -> Any:
    """Fill in ``${NAME:-default}`` and ``${NAME:?message}`` as if .env set nothing but the user."""
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item) for item in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{\w+:([-?])([^}]*)\}", lambda match: match[2] if match[1] == "-" else "1000", value)


@pytest.fixture(scope="module")
def compose() -> Any:
    return interpolated(yaml.safe_load(COMPOSE_FILE.read_text()))


@pytest.fixture(scope="module")
def services(compose: Any) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the local stack sets and starts: ``settings``, ``index``, ``postgres``, asked of its own code."""
    assert (DEPLOY / "bin" / "python").exists(), f"{DEPLOY} is not there: run `make setup`"
    code = """
import json
from local_stack import airflow_settings, credentials, database, layout, processes
here = layout.Layout.from_environment()
credentials.create(here)
settings = {**airflow_settings.settings(here), **layout.QUIET, **layout.installer_environment(here)}
settings["ML_PIPELINE_ROOT_DIR"] = str(here.root)
commands = processes.commands(here)
print(json.dumps({"settings": settings, "commands": commands, "distributions": layout.DISTRIBUTIONS}))
"""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ML_PIPELINE_")}
    root = str(tmp_path_factory.mktemp("local"))
    environment = {**kept, "PYTHONPATH": str(REPOSITORY / "deploy"), "ML_PIPELINE_ROOT_DIR": root}
    command = [str(DEPLOY / "bin" / "python"), "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def lint(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([Path(sys.executable).parent / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def locked(name: str, *, project: str) -> str:
    packages = tomllib.loads((REPOSITORY / project / "uv.lock").read_text())["package"]
    versions = [package["version"] for package in packages if package["name"] == name]
    assert len(versions) == 1
    return str(versions[0])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing_in_the_images(path: Path) -> None:
    lint("hadolint", "--failure-threshold", "style", path)


def test_the_compose_file_keeps_to_the_compose_specification() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE)


def test_workers_have_every_setting_of_the_local_stack_with_the_same_value_or_a_stated_reason(
    services: dict[str, Any], local: Any
) -> None:
    worker = services["airflow-worker"]["environment"]
    for name, value in local["settings"].items():
        if secret := FROM_A_FILE.get(name):
            assert value.endswith(f"/secrets/{secret}")
            assert worker[name] == f"cat /run/secrets/{secret}"
        elif name in DIFFERENT:
            assert worker[name] != value, f"{name} is equal: drop it from the table of what differs"
        else:
            assert worker.get(name) == value, name


def test_no_setting_of_airflow_stands_in_the_containers_alone_without_a_stated_reason(
    services: dict[str, Any], local: Any
) -> None:
    known = set(local["settings"]) | set(ADDED)
    for name, service in services.items():
        ours = {key for key in service.get("environment", {}) if key.startswith(("AIRFLOW", "UV_"))}
        assert ours <= known, name


def test_all_airflow_services_share_their_settings_and_run_the_local_stacks_commands(
    services: dict[str, Any], local: Any
) -> None:
    common = services["airflow-scheduler"]["environment"]
    for name, service in services.items():
        if name.startswith("airflow-"):
            assert common.items() <= service["environment"].items(), name
            assert service["image"] == f"energy-airflow:{locked('apache-airflow', project='airflow')}"
    pairs = {"apiserver": "api-server", "scheduler": "scheduler", "dag-processor": "dag-processor"} | {
        "triggerer": "triggerer"
    }
    for service, process in pairs.items():
        command = local["commands"][process]
        # On one machine the scheduler waits for the API server; here the workers do, by `depends_on`.
        assert services[f"airflow-{service}"]["command"] == ["airflow", *command[command.index(process) :]]


def test_the_index_serves_with_the_same_flags(services: dict[str, Any], local: Any) -> None:
    def flags(command: list[str]) -> list[str]:
        for own in ("--interface", "--port", "--passwords"):
            at = command.index(own)
            command = command[:at] + command[at + 2 :]
        return command[1:-1]

    assert flags(services["index"]["command"]) == flags(local["commands"]["index"])


@pytest.mark.parametrize("name", ["api", "dashboard"])
def test_each_server_runs_the_local_stacks_program_from_the_environment_that_deploy_installs(
    services: dict[str, Any], local: Any, name: str
) -> None:
    command, here = services[name]["command"], local["commands"][name]
    assert command[1:3] == here[1:3] == ["-m", f"app_{name}"]
    assert here[0].endswith(command[0].removeprefix("/var/lib/energy"))
    assert services[name]["image"] == services["deploy"]["image"]


def test_postgresql_has_the_same_number_of_connections(services: dict[str, Any], local: Any) -> None:
    setting = "max_connections=200"
    assert setting in local["commands"]["postgres"]
    assert setting in services["postgres"]["command"]


def test_the_images_install_from_the_locks_that_the_local_stack_uses(services: dict[str, Any]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    uv = re.search(r"^UV_VERSION := (.+)$", makefile, re.MULTILINE)[1]  # type: ignore[index]
    for path in DOCKERFILES:
        text = path.read_text()
        assert "COPY pyproject.toml uv.lock ./" in text
        assert "uv sync --frozen --no-dev" in text
        assert f" uv=={uv}\n" in text
        assert re.search(r"^USER [1-9]\d*:0$", text, re.MULTILINE)
    contexts = {name: (COMPOSE_FILE.parent / services[name]["build"]["context"]).resolve() for name in ONE_SHOTS}
    assert contexts["airflow-init"] == REPOSITORY / "airflow"
    assert contexts["deploy"] == REPOSITORY / "deploy"
    assert services["index"]["image"] == services["deploy"]["image"]


def test_celery_is_of_a_version_that_the_executor_works_with() -> None:
    assert tuple(int(part) for part in locked("celery", project="airflow").split(".")[:2]) < (5, 7)


def test_ports_are_published_on_loopback_and_are_the_local_stacks_own(services: dict[str, Any], local: Any) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    index_port = local["commands"]["index"][local["commands"]["index"].index("--port") + 1]
    airflow_port = local["settings"]["AIRFLOW__API__PORT"]
    api_port = local["commands"]["api"][local["commands"]["api"].index("--port") + 1]
    dashboard_port = local["commands"]["dashboard"][local["commands"]["dashboard"].index("--port") + 1]
    assert published == {
        "index": [f"127.0.0.1:{index_port}:8080"],
        "airflow-apiserver": [f"127.0.0.1:{airflow_port}:8080"],
        "api": [f"127.0.0.1:{api_port}:8000"],
        "dashboard": [f"127.0.0.1:{dashboard_port}:8501"],
    }


def test_every_service_is_unprivileged_and_every_lasting_one_is_watched_and_restarted(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["user"] == "1000:0"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"]), (
            f"{name}: a version, no moving tag"
        )
        if name in ONE_SHOTS:
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped"
            assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


def test_services_wait_for_lasting_ones_to_be_healthy_and_for_single_runs_to_succeed(services: dict[str, Any]) -> None:
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"
            assert how == {"condition": expected}


def test_secrets_are_files_of_the_services_that_need_them_and_stand_nowhere_else(
    compose: Any, services: dict[str, Any]
) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for name, service in services.items():
        mounted = set(service.get("secrets", []))
        assert mounted <= set(compose["secrets"])
        text = json.dumps([service.get("command"), service.get("environment"), service.get("healthcheck")])
        assert set(re.findall(r"/run/secrets/([\w.-]+)", text)) <= mounted, name
        for variable, value in service.get("environment", {}).items():
            secret = "PASSWORD" in variable or "SECRET" in variable or "KEY" in variable
            assert not secret or str(value).startswith(("/run/", "cat /run/secrets/")), variable
            assert not re.search(r"://[^/@]*:[^/@]+@", str(value)), f"a password in {variable}"


def test_workers_and_deployment_share_one_root_and_everybody_has_the_dags(services: dict[str, Any], local: Any) -> None:
    for name in ("airflow-worker", "deploy"):
        assert "energy:/var/lib/energy" in services[name]["volumes"]
        assert services[name]["environment"]["ML_PIPELINE_ROOT_DIR"] == "/var/lib/energy"
    for name, service in services.items():
        if name.startswith("airflow-"):
            assert "./dags:/opt/airflow/dags:ro" in service["volumes"]
            assert "airflow-logs:/opt/airflow/logs" in service["volumes"]
    mounted = {volume.split(":")[0] for volume in services["deploy"]["volumes"]}
    assert {f"../{name}" for name in local["distributions"]} <= mounted


@pytest.mark.parametrize("name", ["airflow-dag-processor", "airflow-scheduler", "airflow-worker", "deploy"])
def test_every_link_in_a_mounted_folder_leads_to_a_mounted_file(services: dict[str, Any], name: str) -> None:
    mounts = {
        Path(target): (COMPOSE_FILE.parent / source).resolve()
        for volume in services[name]["volumes"]
        if (source := volume.split(":")[0]).startswith(".")
        for target in [volume.split(":")[1]]
    }
    links = {
        inside / path.relative_to(outside): path.readlink()
        for inside, outside in mounts.items()
        for path in outside.rglob("*")
        if path.is_symlink()
    }
    assert links or name == "deploy"
    for link, target in links.items():
        reached = Path(os.path.normpath(link.parent / target))
        found = [
            outside / reached.relative_to(inside) for inside, outside in mounts.items() if inside in reached.parents
        ]
        assert [path.is_file() for path in found] == [True], f"{link} leads to {reached}"


def test_every_setting_of_the_pipelines_can_be_set_in_env_on_one_machine_and_in_containers() -> None:
    fields = {f"ML_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    # In containers, folders and addresses are those of the compose file.
    airflow = {f"AIRFLOW_{name}" for name in ("URL", "API_URL", "USER", "PASSWORD_FILE")}
    fixed_there = {f"ML_PIPELINE_{name}" for name in ("ROOT_DIR", "API_HOST", "API_KEYS_FILE", *airflow)}
    for folder, fixed in ((REPOSITORY, set()), (COMPOSE_FILE.parent, fixed_there)):
        offered = re.findall(r"^#?(ML_PIPELINE_\w+)=", (folder / ".env.default").read_text(), re.MULTILINE)
        assert fields - fixed <= set(offered)


def test_every_setting_of_env_default_is_used_and_every_setting_used_is_in_it() -> None:
    offered = re.findall(r"^#?(ML_PIPELINE_\w+)=", (COMPOSE_FILE.parent / ".env.default").read_text(), re.MULTILINE)
    text = COMPOSE_FILE.read_text()
    used = set(re.findall(r"\$\{(\w+):", text)) | set(re.findall(r"^ +(ML_PIPELINE_\w+):$", text, re.MULTILINE))
    assert set(offered) == used


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's folder after deploy/container-secrets.sh, run twice."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("deploy/container-secrets.sh", "airflow/.env.default"):
        (checkout / name).parent.mkdir()
        shutil.copy(REPOSITORY / name, checkout / name)
    environment = {key: value for key, value in os.environ.items() if key != "ML_PIPELINE_ROOT_DIR"}
    contents = []
    for _ in range(2):
        command = [checkout / "deploy" / "container-secrets.sh"]
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        contents.append({path.name: path.read_text() for path in (checkout / ".energy" / "containers").iterdir()})
    assert contents[0] == contents[1]
    assert not [text for text in contents[0].values() if text and text.strip() in printed]
    return checkout


def test_the_passwords_are_made_once_for_their_owner_only(generated: Path, compose: Any) -> None:
    secrets = generated / ".energy" / "containers"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} <= {
        path.name for path in secrets.iterdir()
    }
    owner = next(secrets.iterdir()).stat().st_uid
    assert owner != 0
    settings = (generated / "airflow" / ".env").read_text()
    assert f"\nML_PIPELINE_UID={owner}\n" in settings
    assert f"\nML_PIPELINE_SECRETS_DIR={secrets}\n" in settings


@pytest.fixture
def index(generated: Path, services: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """The index service's own command, with the generated passwords, on a port of the test's; its address."""
    port = free_port()
    secrets = generated / ".energy" / "containers"
    here = {"0.0.0.0": "127.0.0.1", "8080": str(port), "/srv/packages": str(tmp_path)}  # noqa: S104
    command = [here.get(part, part.replace("/run/secrets", str(secrets))) for part in services["index"]["command"]]
    process = subprocess.Popen([DEPLOY / "bin" / command[0], *command[1:]], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_S).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_the_index_takes_the_generated_password_and_no_other(index: str, generated: Path) -> None:
    netrc = (generated / ".energy" / "containers" / "netrc").read_text().split()
    login = dict(zip(netrc[::2], netrc[1::2], strict=True))
    assert login["machine"] == "index"
    assert httpx.get(f"{index}/simple/", timeout=PATIENCE_S).status_code == httpx.codes.UNAUTHORIZED
    assert (
        httpx.get(f"{index}/simple/", auth=(login["login"], "guess"), timeout=PATIENCE_S).status_code
        == httpx.codes.FORBIDDEN
    )
    assert httpx.get(f"{index}/simple/", auth=(login["login"], login["password"]), timeout=PATIENCE_S).is_success
    unknown = httpx.get(
        f"{index}/simple/feature-pipeline/", auth=(login["login"], login["password"]), timeout=PATIENCE_S
    )
    assert unknown.status_code == httpx.codes.NOT_FOUND
