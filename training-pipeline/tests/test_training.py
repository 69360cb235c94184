import json
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import load_forecaster
from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, TrackingError
from forecast_core.provenance import code
from forecast_core.tracking.creation import client
from training_pipeline import data, train

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)


def _train(system: Any, made: dict[str, Any], **more: Any) -> train.TrainingResult:
    versions = {name: made[name] for name in ("feature_view_version", "training_dataset_version")}
    return train.from_best_config(24, **versions, **more, settings=system.settings)


def test_without_any_best_config_the_default_is_used_and_the_result_says_so(system: Any) -> None:
    result = _train(system, system.ingest(REFERENCE))
    assert result["config_source"] == "default"
    assert result["config"] == load_forecaster.DEFAULT.to_dict()
    # Three series of two weeks are too few for skill; what matters here is that both are measured.
    assert 0 < (result["metrics"]["wape"] or 0) < 0.2
    assert 0 < (result["metrics"]["naive_wape"] or 0) < 0.2
    assert json.loads(json.dumps(result)) == result


def test_training_again_on_the_same_gives_the_same_version_and_the_same_answer(system: Any) -> None:
    made = system.ingest(REFERENCE)
    first = _train(system, made)
    assert _train(system, made) == first
    assert [each.version for each in tracking.find_model_versions(system.settings)] == [first["model_version"]]


def test_other_data_or_another_horizon_are_other_versions(system: Any) -> None:
    made = system.ingest(REFERENCE)
    first = _train(system, made)["model_version"]
    later = _train(system, system.ingest(REFERENCE + timedelta(hours=1)))["model_version"]
    shorter = train.from_best_config("12", None, made["training_dataset_version"], settings=system.settings)
    assert len({first, later, shorter["model_version"]}) == 3
    assert shorter["fh"] == 12


def test_the_newest_training_dataset_stands_in_for_none_and_the_result_names_it(system: Any) -> None:
    system.ingest(REFERENCE)
    newest = system.ingest(REFERENCE + timedelta(hours=1))
    result = train.from_best_config(settings=system.settings)
    assert result["training_dataset_version"] == newest["training_dataset_version"]
    assert result["feature_view_version"] == newest["feature_view_version"]


def test_a_registered_version_says_what_made_it(system: Any) -> None:
    made = system.ingest(REFERENCE)
    result = _train(system, made)
    registered = client(system.settings).get_model_version(tracking.MODEL, str(result["model_version"]))
    tags = registered.tags
    assert tags["feature_view_version"] == str(made["feature_view_version"])
    assert tags["training_dataset_version"] == str(made["training_dataset_version"])
    distributions = ("training-pipeline", "forecast-core", "load-forecaster")
    assert tags["code_version"] == ", ".join(f"{name} {version(name)}" for name in distributions)
    assert json.loads(tags["config"]) == load_forecaster.DEFAULT.to_dict()
    assert registered.run_id is not None
    run = client(system.settings).get_run(registered.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["wape"] == pytest.approx(result["metrics"]["wape"])


def _files_of(system: Any, version: int) -> list[Path]:
    folder = tracking.download_model(system.settings, tracking.model_version(system.settings, version))
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_models_files_are_json_text_and_plain_arrays_and_load(system: Any) -> None:
    files = _files_of(system, _train(system, system.ingest(REFERENCE))["model_version"])
    assert {path.suffix for path in files} == {".json", ".txt", ".npz"}
    for path in files:
        content = path.read_bytes()
        # A pickle of protocol 2 and later begins with these; older ones are text without these extensions' form.
        assert not content.startswith(b"\x80")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype == np.float64 for name in arrays.files)
            with zipfile.ZipFile(path) as members:
                assert all(name.endswith(".npy") for name in members.namelist())
        else:
            content.decode("utf-8")
    assert load_forecaster.load(files[0].parent).fh == 24


def test_a_run_that_died_before_its_registration_is_registered_without_fitting_again(system: Any) -> None:
    made = system.ingest(REFERENCE)
    first = _train(system, made)
    # As if killed between the end of the run and the registration: the run is there, the version is not.
    with closing(sqlite3.connect(system.settings.root / "mlflow.db")) as database, database:
        database.execute("DELETE FROM model_version_tags")
        database.execute("DELETE FROM model_versions")
    again = _train(system, made)
    assert again["run_id"] == first["run_id"]
    assert again["metrics"] == first["metrics"]
    assert len(tracking.find_runs(system.settings, {"artifact": "model"})) == 1


def test_a_run_that_died_while_running_is_taken_up_and_not_doubled(system: Any) -> None:
    made = system.ingest(REFERENCE)
    first = _train(system, made)
    with closing(sqlite3.connect(system.settings.root / "mlflow.db")) as database, database:
        database.execute("DELETE FROM model_version_tags")
        database.execute("DELETE FROM model_versions")
        database.execute("UPDATE runs SET status = 'RUNNING'")
    again = _train(system, made)
    assert again["run_id"] == first["run_id"]
    [run] = tracking.find_runs(system.settings, {"artifact": "model"})
    assert run.status == "FINISHED"
    assert len(tracking.find_model_versions(system.settings)) == 1


def test_versions_that_do_not_exist_are_errors_that_name_those_that_do(system: Any) -> None:
    made = system.ingest(REFERENCE)
    with pytest.raises(NotFoundError, match=r"no training dataset version 99; the newest are \[1\]"):
        _train(system, {**made, "training_dataset_version": 99})
    with pytest.raises(NotFoundError, match=r"no feature view version 99; there are \[1\]"):
        _train(system, {**made, "feature_view_version": 99})


def test_with_no_training_dataset_at_all_one_is_asked_for(system: Any) -> None:
    with pytest.raises(NotFoundError, match=r"no training dataset yet: create one with feature_view\.create"):
        train.from_best_config(settings=system.settings)


@pytest.mark.parametrize("argument", [{"fh": "soon"}, {"fh": 0}, {"training_dataset_version": "x"}])
def test_arguments_that_cannot_be_read_are_refused(system: Any, argument: dict[str, Any]) -> None:
    system.ingest(REFERENCE)
    with pytest.raises(InvalidArgument, match=next(iter(argument))):
        train.from_best_config(**argument, settings=system.settings)


def test_a_locked_tracking_database_is_a_tracking_error_and_training_later_succeeds(system: Any) -> None:
    made = system.ingest(REFERENCE)
    database = system.settings.root / "mlflow.db"
    hasty = system.settings.model_copy(update={"tracking_uri": f"sqlite:///{database}?timeout=0.1"})
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="database is locked"):
            _train(replace(system, settings=hasty), made)
    assert _train(system, made)["model_version"] == 1


def test_another_version_of_a_library_that_decides_the_result_is_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = SimpleNamespace(training_dataset=SimpleNamespace(content_hash="a"), fh=24, gap=0)
    before = data.identity(run, entry_module="training_pipeline.train")
    assert {"python", "lightgbm", "numpy", "polars"} <= set(before["libraries"])
    monkeypatch.setattr(code, "version", lambda name: "9.9" if name == "lightgbm" else version(name))
    assert data.identity(run, entry_module="training_pipeline.train") != before
