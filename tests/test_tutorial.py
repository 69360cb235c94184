"""The tutorial's commands, run in their order as the page has them, in a checkout with nothing installed."""

import os
import re
import subprocess
from pathlib import Path

from tests.stack import FOREIGN, REPOSITORY

PAGE = REPOSITORY / "docs" / "tutorial.md"


def commands() -> str:
    """Every block of shell on the page."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def checkout(folder: Path) -> Path:
    """A checkout made of links; only the installer is present, because downloading it needs a network."""
    for entry in REPOSITORY.iterdir():
        if entry.name not in {".energy", ".git", ".env"}:
            (folder / entry.name).symlink_to(entry)
    tools = Path(os.environ.get("ML_PIPELINE_ROOT_DIR") or REPOSITORY / ".energy").absolute() / "venvs"
    (folder / ".energy" / "venvs").mkdir(parents=True)
    for uv in tools.glob("uv-*"):
        (folder / ".energy" / "venvs" / uv.name).symlink_to(uv)
    return folder


def test_the_tutorial_runs_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    cache = os.environ.get("UV_CACHE_DIR") or str(REPOSITORY / ".energy" / "cache" / "uv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {"UV_CACHE_DIR": cache, "UV_OFFLINE": "1", "COLUMNS": "80"}
    script = "set -euo pipefail\n" + commands()
    done = subprocess.run(
        ["bash"], input=script, cwd=checkout(tmp_path), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "libgomp.so.1",
        "54,",
        "version 1 on training dataset 1",
        "DK1 / 111  made at 2024-03-31 05:00 UTC",
        "what came",
        "1,822 forecast hours against what was observed since",
        "made again: identical, bit for bit",
    ):
        assert words in done.stdout
    assert not (tmp_path / ".energy" / "tutorial").exists()


def test_the_tutorial_has_blocks_to_run() -> None:
    assert commands().count("energy ") >= 8
