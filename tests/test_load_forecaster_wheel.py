"""The wheel load-forecaster alone: installed into a fresh environment, its README runs."""

import os
import re
import subprocess
from pathlib import Path

from tests.stack import REPOSITORY
from tests.wheels import build, uv

FORBIDDEN = ("forecast_core", "deltalake", "mlflow", "pandas", "pydantic")


def test_the_wheel_alone_runs_its_readme(tmp_path: Path) -> None:
    environment = {"UV_CACHE_DIR": str(REPOSITORY / ".energy" / "cache" / "uv"), **os.environ}
    wheel, python = build("load-forecaster", tmp_path / "dist"), tmp_path / "env" / "bin" / "python"
    subprocess.run([uv(), "venv", "--quiet", tmp_path / "env"], env=environment, check=True)
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", python, wheel], env=environment, check=True)
    readme = (REPOSITORY / "load-forecaster" / "README.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(program.strip().splitlines()) <= 15
    program += f"import sys; print('beside it:', [name for name in {FORBIDDEN} if name in sys.modules])\n"
    done = subprocess.run([python, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    share = float(re.findall(r"seasonal naive forecast's: ([0-9.]+)", done.stdout)[0])
    assert share < 1
    assert "q90" in done.stdout
    assert "beside it: []" in done.stdout
    assert (tmp_path / "model" / "model.json").is_file()
