"""Wheels of this repository, built by uv and unpacked: what an environment of a task gets."""

import os
import subprocess
import zipfile
from pathlib import Path

from tests.stack import REPOSITORY


def uv() -> str:
    """Return the path of uv: the one that runs the tests (``uv run`` says so), else the one of the root folder."""
    root = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy")
    return os.environ.get("UV") or str(max(root.glob("venvs/uv-*/bin/uv")))


def build(distribution: str, folder: Path) -> Path:
    """Return the wheel of a distribution, built into ``folder``."""
    environment = {"UV_CACHE_DIR": str(REPOSITORY / ".energy" / "cache" / "uv"), **os.environ}
    command: list[str | Path] = [uv(), "build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY / distribution]
    subprocess.run(command, env=environment, check=True)
    [wheel] = folder.glob(f"{distribution.replace('-', '_')}-*.whl")
    return wheel


def unpack(wheel: Path, folder: Path) -> None:
    """Write the files of a wheel into ``folder``, as an installer does."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
