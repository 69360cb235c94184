"""Validation runs: listed newest first, one row for each name, whatever the order of writing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forecast_core import stores
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.validations import FindingCount, ValidationRun, Validations

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


def run(hour: int = 5, **changes: object) -> ValidationRun:
    reference = REFERENCE.replace(hour=hour)
    whole = ValidationRun(
        dataset="demo",
        name=f"{reference:%Y-%m-%dT%H}",
        feature_group_version=1,
        reference_datetime=reference,
        window=Window(reference - timedelta(days=30), reference),
        outcome="stored with warnings",
        findings=(FindingCount("spike", "warning", 2),),
        rules=22,
        failed_rules=1,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # each test names fields that exist


def test_runs_come_newest_first_and_one_that_is_written_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    validations = Validations(Settings(root_dir=tmp_path))
    assert validations.runs() == []
    other, mended = run(6, dataset="other"), run(5, outcome="passed", findings=(), failed_rules=0)
    for each in (run(7), run(5), other, mended):
        validations.write(each)
    assert validations.runs() == [run(7), other, mended]
    assert validations.runs(dataset="demo") == [run(7), mended]


def test_the_newest_days_are_those_that_have_runs(tmp_path: Path) -> None:
    validations = Validations(Settings(root_dir=tmp_path))
    old = run(5, name="2021-01-01T00", reference_datetime=datetime(2021, 1, 1, tzinfo=UTC))
    older = run(5, name="2020-01-01T00", reference_datetime=datetime(2020, 1, 1, tzinfo=UTC))
    for each in (old, run(7), older, run(5)):
        validations.write(each)
    assert validations.runs(days=2) == [run(7), run(5), old]
    assert validations.runs(days=9) == [run(7), run(5), old, older]


def test_the_same_again_commits_nothing(tmp_path: Path) -> None:
    validations = Validations(Settings(root_dir=tmp_path))
    stores.create(Settings(root_dir=tmp_path))
    for _ in range(3):
        validations.write(run())
    assert len(list((tmp_path / "store/validation_runs/_delta_log").glob("*.json"))) == 2
    assert stores.maintain(Settings(root_dir=tmp_path), keep=timedelta(days=1))["validation_runs"]["files_after"] == 1


def test_files_of_a_run_are_written_and_read_by_plain_names_only(tmp_path: Path) -> None:
    validations = Validations(Settings(root_dir=tmp_path))
    path = validations.write_file("demo", "2024-03-31T05.json", b"{}")
    assert path == str(tmp_path / "store/validation/demo/2024-03-31T05.json")
    assert validations.read_file("demo", "2024-03-31T05.json") == b"{}"
    with pytest.raises(InvalidArgument):
        validations.read_file("..", "2024-03-31T05.json")
