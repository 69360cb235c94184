"""What is written fits terminals of any width and encoding, and pipes."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from app_shell.commands import app
from app_shell.program import Shell
from app_shell.terminal import nearest


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_our_characters_gets_the_nearest_and_no_traceback(energy: Any, encoding: str) -> None:
    """Class: a terminal or a pipe whose encoding lacks braille, boxes or Danish letters ended in a traceback."""
    environment = {**os.environ, **energy.variables, "PYTHONIOENCODING": encoding, "COLUMNS": "60"}
    for command in (["forecast", "DK1", "111", "--reference", "2024-03-31T05:00"], ["doctor"]):
        call = [sys.executable, "-m", "app_shell", *command]
        done = subprocess.run(call, env=environment, capture_output=True, timeout=1800, check=False)
        assert b"Traceback" not in done.stderr
        text = done.stdout.decode(encoding)
        assert "?" not in text.replace("?timeout", "")
        assert ("*" in text) == (command[0] == "forecast")


def test_what_is_nearest_keeps_every_column_where_it_is() -> None:
    text = "│ ⠒⠉ ▒░ Ærø \N{EN DASH} 12,3…  ✗ \N{RIGHT SINGLE QUOTATION MARK}"
    assert len(nearest(text)) == len(text)
    assert nearest(text).isascii()


@pytest.mark.parametrize("width", [40, 47, 60, 80])
@pytest.mark.parametrize(
    "command", [["forecast", "DK1", "111"], ["models"], ["status"], ["doctor"], ["lineage", "DK1", "111"]]
)
def test_no_number_is_cut_in_a_narrow_terminal(energy: Any, command: list[str], width: int) -> None:
    """Class: a table that is wider than the terminal was shown with numbers cut by an ellipsis."""
    lines = energy(*command, width=width).stdout.splitlines()
    assert not [line for line in lines if "…" in line]
    if command[0] == "forecast":
        assert max(map(len, lines)) <= width
        forecasts = json.loads(energy(*command, "--json").stdout)["forecasts"]
        numbers = re.findall(r"^\d\d-\d\d \d\d:\d\d .*$", "\n".join(lines), re.MULTILINE)
        assert len(numbers) == len(forecasts)
        shown = f"{forecasts[0]['energy_consumption']:,.0f}"
        assert shown in numbers[0].split()


@pytest.mark.parametrize("command", [["forecast", "DK1", "111"], ["models"], ["status"], ["doctor"]])
def test_piped_output_has_neither_padding_nor_colours(energy: Any, command: list[str]) -> None:
    text = energy(*command, width=120).stdout
    assert text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "\x1b" not in text


def test_the_version_is_that_of_the_wheel(empty: Any) -> None:
    assert re.fullmatch(r"energy \d+\.\d+\.\d+\n", empty("--version").stdout)


def test_options_have_one_name_and_take_the_older_ones(energy: Any, source: str) -> None:
    shown = energy("run", "--help", width=120).stdout
    assert "--days-delay" in shown
    assert "--delay" not in shown.replace("--days-delay", "")
    older = energy(
        "run", "--url", source, "--delay", "1", "--export=16", "--reference-datetime", "2024-03-31T05", "--json"
    )
    assert json.loads(older.stdout)["run_feature_pipeline"]["days_export"] == 16


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("energy forecast D", ["DK1"]),
        ("energy forecast DK1 ", ["111", "121", "215"]),
        ("energy lineage DK1 12", ["121"]),
        ("energy promote ", ["1"]),
        ("energy rollback --feature-view-version ", ["1"]),
        ("energy forecast X", []),
    ],
)
def test_areas_types_and_versions_are_completed(energy: Any, line: str, completed: list[str]) -> None:
    assert complete(energy.variables, line) == completed


def test_where_nothing_can_be_read_nothing_is_completed_and_nothing_is_said(empty: Any) -> None:
    assert complete(empty.variables, "energy forecast ") == []
    assert complete({**empty.variables, "ML_PIPELINE_THREADS": "none"}, "energy forecast ") == []


def complete(variables: Any, line: str) -> list[str]:
    asked = {"_ENERGY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    shell = Shell(now=datetime(2024, 3, 31, 5, 20, tzinfo=UTC))
    result = CliRunner(env={**variables, **asked}).invoke(app, [], prog_name="energy", obj=shell)
    assert result.stderr == ""
    return result.stdout.split()
