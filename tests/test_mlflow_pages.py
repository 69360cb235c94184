"""`make mlflow`: MLflow's own pages, at the version that the wheels write with, on loopback."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from tests.stack import FOREIGN, REPOSITORY

SHOW = '#!/bin/sh\necho "$@"\necho "$MLFLOW_BACKEND_STORE_URI"\n'


def start(root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a program in MLflow's place, which prints its arguments and the address of the database."""
    program = root / "venvs" / "mlflow" / "bin" / "mlflow"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(SHOW)
    program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    own = {"ML_PIPELINE_ENV_FILE": os.devnull, "ML_PIPELINE_ROOT_DIR": str(root)}
    command = [str(REPOSITORY / "deploy" / "mlflow-pages.sh")]
    return subprocess.run(command, env=kept | own | variables, capture_output=True, text=True, check=False)


def test_the_pages_are_of_the_version_that_writes_the_database() -> None:
    def version(lock: str, name: str) -> str:
        packages = tomllib.loads((REPOSITORY / lock).read_text())["package"]
        [found] = {package["version"] for package in packages if package["name"] == name}
        return str(found)

    assert version("deploy/mlflow/uv.lock", "mlflow") == version("uv.lock", "mlflow-skinny")


def test_the_pages_are_on_loopback_and_show_the_database_of_the_root_folder(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    lines = start(tmp_path, ML_PIPELINE_MLFLOW_PORT="5055").stdout.splitlines()
    assert lines[0] == "MLflow's pages: http://127.0.0.1:5055; Ctrl-C ends them"
    assert lines[1].startswith("server --host 127.0.0.1 --port 5055 ")
    assert lines[2] == f"sqlite:///{tmp_path}/mlflow.db?timeout=30"


def test_the_address_of_another_database_is_not_among_the_arguments_that_every_user_sees(tmp_path: Path) -> None:
    address = "postgresql+psycopg2://mlflow:hidden-word@db.example.org/mlflow"
    lines = start(tmp_path, ML_PIPELINE_TRACKING_URI=address).stdout.splitlines()
    assert "hidden-word" not in lines[0] + lines[1]
    assert lines[2] == address


def test_without_a_database_one_line_says_what_makes_it(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .* has no tracking database yet: run `make run` or `energy run` first\n", done.stderr)
