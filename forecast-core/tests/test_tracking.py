import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest

from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, TrackingError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.creation import client

AT = datetime(2023, 1, 20, tzinfo=UTC)


def _register(settings: Settings, folder: Path, **tags: str) -> int:
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text("{}")
    run_id = tracking.start_run(settings, name="train", tags=tags)
    source = tracking.log_files(settings, run_id, folder, folder="model")
    tracking.finish_run(settings, run_id, reference_datetime=AT)
    return tracking.register_model(settings, run_id=run_id, source=source, tags=tags)


def test_a_registered_model_is_found_by_its_tags_and_its_files_come_back(settings: Settings, tmp_path: Path) -> None:
    first = _register(settings, tmp_path / "a", fingerprint="a", fh="24")
    second = _register(settings, tmp_path / "b", fingerprint="b", fh="24")
    assert [each.version for each in tracking.find_model_versions(settings, {"fingerprint": "b"})] == [second]
    assert [each.version for each in tracking.find_model_versions(settings, {"fh": "24"})] == [first, second]
    assert tracking.find_model_versions(settings, {"fh": "24", "fingerprint": "c"}) == []
    assert tracking.model_version(settings, first).tags == {"fingerprint": "a", "fh": "24"}
    folder = tracking.download_model(settings, tracking.model_version(settings, first))
    assert folder.is_relative_to(settings.root / "artifacts")
    assert (folder / "model.json").read_text() == "{}"


def test_reading_the_tables_agrees_with_mlflows_client(settings: Settings, tmp_path: Path) -> None:
    version = _register(settings, tmp_path / "a", fingerprint="a")
    gone = _register(settings, tmp_path / "b", fingerprint="b")
    mlflow = client(settings)
    mlflow.delete_model_version(tracking.MODEL, str(gone))
    theirs = mlflow.get_model_version(tracking.MODEL, str(version))
    [ours] = tracking.find_model_versions(settings)
    assert (str(ours.version), ours.run_id, ours.source, ours.tags) == (
        str(theirs.version),
        theirs.run_id,
        theirs.source,
        theirs.tags,
    )
    run = mlflow.get_run(ours.run_id)
    [found] = tracking.find_runs(settings, {"fingerprint": "a"})
    assert (found.run_id, found.status, found.artifact_uri, found.tags) == (
        run.info.run_id,
        run.info.status,
        run.info.artifact_uri,
        run.data.tags,
    )


def test_a_run_left_running_is_taken_up_again_and_a_finished_one_is_not(settings: Settings) -> None:
    left = tracking.start_run(settings, name="work", tags={"work": "1"})
    assert tracking.start_run(settings, name="work", tags={"work": "1"}) == left
    tracking.finish_run(
        settings, left, reference_datetime=AT, params={"n": 1}, metrics={"wape": 0.1, "mape": None}, tags={"more": "x"}
    )
    tracking.finish_run(
        settings, left, reference_datetime=AT, params={"n": 1}, metrics={"wape": 0.1}, tags={"more": "x"}
    )
    data = client(settings).get_run(left).data
    assert (data.params, data.metrics, data.tags["more"]) == ({"n": "1"}, {"wape": 0.1}, "x")
    assert tracking.start_run(settings, name="work", tags={"work": "1"}) != left


def test_a_child_run_is_shown_under_its_parent(settings: Settings) -> None:
    parent = tracking.start_run(settings, name="search", tags={"sweep": "1"})
    child = tracking.start_run(settings, name="trial", tags={"trial": "1"}, parent_run_id=parent)
    assert [run.run_id for run in tracking.find_runs(settings, {"mlflow.parentRunId": parent})] == [child]


def test_a_version_that_does_not_exist_is_an_error_that_names_those_that_do(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model version 7; registered: none yet"):
        tracking.model_version(settings, 7)
    version = _register(settings, tmp_path / "a", fingerprint="a")
    with pytest.raises(NotFoundError, match=f"no model version 7; registered: {version} "):
        tracking.model_version(settings, 7)


def test_a_model_whose_files_are_gone_says_so(settings: Settings, tmp_path: Path) -> None:
    version = tracking.model_version(settings, _register(settings, tmp_path / "a", fingerprint="a"))
    folder = tracking.download_model(settings, version)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError, match=f"files of model version {version.version} are gone from"):
        tracking.download_model(settings, version)


def _raised_in(error: BaseException | None) -> set[str]:
    """The packages through which an error and its causes went: MLflow waits far longer than the URI says."""
    packages = set()
    while error is not None:
        packages |= {frame.f_globals["__name__"].partition(".")[0] for frame, _ in walk_tb(error.__traceback__)}
        error = error.__cause__ or error.__context__
    return packages


@pytest.mark.parametrize("kind", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_database_is_a_tracking_error_in_the_time_of_its_uri(settings: Settings, kind: str) -> None:
    hasty = settings.model_copy(update={"tracking_uri": f"sqlite:///{settings.root / 'mlflow.db'}?timeout=0.1"})
    with closing(sqlite3.connect(settings.root / "mlflow.db", isolation_level=None)) as holder:
        holder.execute(f"BEGIN {kind}")
        with pytest.raises(TrackingError, match=r"cannot be used now: database is locked.*run again") as caught:
            tracking.start_run(hasty, name="work", tags={"work": "1"})
    assert "mlflow" not in _raised_in(caught.value)
    assert tracking.find_runs(settings, {"work": "1"}) == []


def test_an_unreachable_server_is_a_tracking_error_without_its_password(tmp_path: Path) -> None:
    settings = Settings(root_dir=tmp_path, tracking_uri="postgresql://someone:hidden-word@127.0.0.1:1/mlflow")
    with pytest.raises(TrackingError, match=r"someone:\*\*\*@127.0.0.1:1.*cannot be used now") as caught:
        tracking.start_run(settings, name="work", tags={})
    assert "hidden-word" not in str(caught.value)
    assert "mlflow" not in _raised_in(caught.value)


@pytest.mark.parametrize("uri", ["mysql://host/mlflow", "nonsense", "http://127.0.0.1:5000"])
def test_a_uri_of_no_supported_database_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(InvalidArgument, match="give ML_PIPELINE_TRACKING_URI as"):
        tracking.find_runs(Settings(root_dir=tmp_path, tracking_uri=uri), {})


def test_reading_where_there_is_no_database_finds_nothing_and_makes_none(tmp_path: Path) -> None:
    settings = Settings(root_dir=tmp_path / "root")
    assert tracking.find_runs(settings, {}) == []
    assert tracking.find_model_versions(settings) == []
    assert not settings.root.exists()


def test_creation_that_was_killed_half_way_is_done_again(tmp_path: Path) -> None:
    settings = Settings(root_dir=tmp_path)
    code = f"""
from pathlib import Path
from typing import Any
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
tracking.create(Settings(root_dir=Path({str(tmp_path)!r})))
"""
    # Slowed down, so that the kill is not too late on a busy machine.
    process = subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    draft = tmp_path / "mlflow.db.draft"
    while process.poll() is None and not (draft.exists() and draft.stat().st_size > 100_000):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert draft.exists(), "the process was killed before or after it created the tables"
    assert not (tmp_path / "mlflow.db").exists()
    run_id = tracking.start_run(settings, name="work", tags={"work": "1"})
    assert [run.run_id for run in tracking.find_runs(settings, {"work": "1"})] == [run_id]
    assert not draft.exists()


def test_a_lock_is_held_by_one_and_its_waiter_gives_up_in_time(settings: Settings) -> None:
    def take() -> None:
        with tracking.lock(settings, "one", wait=0.3):
            pytest.fail("the lock was held twice")

    with tracking.lock(settings, "one", wait=0), ThreadPoolExecutor(1) as pool:
        with pytest.raises(TrackingError, match=r"held the lock 'one' for more than 0.3 s"):
            pool.submit(take).result()
        with tracking.lock(settings, "other", wait=0):
            pass
    with tracking.lock(settings, "one", wait=0):
        pass


def test_importing_the_module_imports_no_mlflow_and_no_sqlalchemy() -> None:
    code = "import sys, forecast_core.tracking; print({'mlflow', 'sqlalchemy', 'alembic'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "set()"


def test_writing_turns_usage_statistics_off(settings: Settings) -> None:
    tracking.start_run(settings, name="work", tags={})
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert is_telemetry_disabled()


def test_the_newest_model_is_that_of_the_latest_reference_time_and_not_of_a_backfill(
    settings: Settings, tmp_path: Path
) -> None:
    facts = [("2023-01-20 05:00", "1"), ("2023-01-20 06:00", "1"), ("2023-01-20 05:00", "2"), ("2023-01-19 05:00", "1")]
    for number, (reference, view) in enumerate(facts):
        _register(settings, tmp_path / str(number), reference_datetime=reference, feature_view_version=view, fh="24")

    def newest(**more: Any) -> int | None:
        found = tracking.newest_model(settings, **more)
        return None if found is None else found.version

    assert newest() == newest(feature_view_version=1) == newest(fh=24) == 2
    assert newest(feature_view_version=2) == 3
    assert newest(feature_view_version=1, reference_datetime=AT.replace(hour=5, minute=30)) == 1
    assert newest(fh=12) is None
    _register(settings, tmp_path / "tie", reference_datetime="2023-01-20 06:00", feature_view_version="1")
    assert newest() == 5
    client(settings).delete_model_version(tracking.MODEL, "5")
    assert newest() == 2
