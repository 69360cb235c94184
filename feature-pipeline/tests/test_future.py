"""A run in the future is refused by the command, too: it would be the newest until its hour comes."""

from pathlib import Path

import pytest

from feature_pipeline.__main__ import main


@pytest.mark.parametrize("option", ["--reference", "--reference-datetime", "--export_end_reference_datetime"])
@pytest.mark.parametrize("typed", ["9999-01-01T00:00", "2999-03-31T05:00+02:00"])
def test_a_run_in_the_future_is_refused_in_one_line(
    option: str, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(tmp_path / "root"))
    assert main(["run", option, typed]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("InvalidArgument: the reference time")
    assert "--allow-future" in line
    assert not (tmp_path / "root").exists()
