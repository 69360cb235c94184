"""The files about working on the project agree with the project."""

import re
import subprocess
from pathlib import Path

import yaml

from tests.coverage_table import table
from tests.stack import REPOSITORY


def _text(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def test_the_hooks_before_a_commit_are_the_checks_of_make_check_and_fetch_nothing() -> None:
    [listed] = re.findall(r"^CHECKS := (.+)$", _text("Makefile"), re.MULTILINE)
    hooks = [hook for repo in yaml.safe_load(_text(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    assert [hook["id"] for hook in hooks] == listed.split()
    for hook in hooks:
        assert hook["entry"] == f"make --no-print-directory {hook['id']} UV_OFFLINE=1"
        assert hook["language"] == "unsupported"
        assert not hook["pass_filenames"]


def test_continuous_integration_runs_what_the_readme_names() -> None:
    assert re.findall(r"^make (\S+)", _text(".ci/run"), re.MULTILINE)[:2] == ["check", "test"]


def test_the_citation_names_the_newest_release_of_the_changelog() -> None:
    version, date = re.findall(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", _text("CHANGELOG.md"), re.MULTILINE)[0]
    citation = yaml.safe_load(_text("CITATION.cff"))
    assert (citation["version"], f"{citation['date-released']}") == (version, date)


def test_every_folder_that_has_an_owner_exists() -> None:
    rules = [line.split() for line in _text(".github/CODEOWNERS").splitlines() if line and not line.startswith("#")]
    assert rules[0][0] == "*"
    for pattern, *owners in rules:
        assert owners
        assert pattern == "*" or (REPOSITORY / pattern.strip("/")).exists()


def test_a_python_that_is_not_here_is_one_line_and_no_failure_unless_it_is_demanded(tmp_path: Path) -> None:
    command = [str(REPOSITORY / "deploy" / "test-python.sh"), "3.99"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ML_PIPELINE_ROOT_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Python 3.99: no interpreter here, its tests are skipped (install it, for example with pyenv)"
    ]
    demanded = environment | {"ML_PIPELINE_DEMAND_PYTHON": "3.99"}
    assert subprocess.run(command, env=demanded, stdout=subprocess.DEVNULL, check=False).returncode == 1


def test_the_table_of_coverage_adds_distributions_up() -> None:
    assert table({"app-api": (200, 150), "forecast-core": (800, 800)}).splitlines()[1:] == [
        "app-api                             200      75.0 %",
        "forecast-core                       800     100.0 %",
        "all                                1000      95.0 %",
    ]
