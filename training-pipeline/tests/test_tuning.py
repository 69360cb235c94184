import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import load_forecaster
from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, TrackingError, WindowError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.runs import resolve_training_run
from forecast_core.tracking import Searches, SearchResult, Trial
from forecast_core.tracking.creation import client
from load_forecaster import ForecasterConfig
from training_pipeline import best_config, hyperparameter_tuning, study, train
from training_pipeline.evaluation import evaluate_fold, folds, held_out
from training_pipeline.search_space import SPACE, config_at, default_point
from training_pipeline.utils import check_if_artifact_exists

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)


def _tune(system: Any, made: dict[str, Any], **options: Any) -> SearchResult:
    versions = {name: made[name] for name in ("feature_view_version", "training_dataset_version")}
    return hyperparameter_tuning.run(24, **versions, **{"trials": 3, **options}, settings=system.settings)


def _train(system: Any, made: dict[str, Any]) -> train.TrainingResult:
    versions = {name: made[name] for name in ("feature_view_version", "training_dataset_version")}
    return train.from_best_config(24, **versions, settings=system.settings)


def _trial_runs(settings: Settings, sweep_id: str) -> list[tracking.MlflowRun]:
    return tracking.find_runs(settings, {"sweep_id": sweep_id, "artifact": "trial"})


def test_the_default_is_inside_the_space_that_is_searched() -> None:
    assert config_at(default_point()) == load_forecaster.DEFAULT
    for name, value in default_point().items():
        assert SPACE[name].low <= value <= SPACE[name].high, name


def test_a_search_tries_the_default_first_and_is_no_worse_than_it(
    system: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        result = _tune(system, system.ingest(REFERENCE))
    assert result["trials"] == 3
    runs = _trial_runs(system.settings, result["sweep_id"])
    assert [run.tags["trial"] for run in runs] == ["0", "1", "2"]
    [parent] = tracking.find_runs(system.settings, {"artifact": "sweep"})
    assert {run.tags["mlflow.parentRunId"] for run in runs} == {parent.run_id}
    from forecast_core.tracking.creation import client

    first = client(system.settings).get_run(runs[0].run_id).data
    assert {name: json.loads(value) for name, value in first.params.items()} == default_point()
    assert result["best_value"] <= first.metrics["objective"]
    assert sum("trial" in message and "best" in message for message in caplog.messages) == 3
    assert json.loads(json.dumps(result)) == result


def test_a_search_that_is_done_is_not_run_again(system: Any) -> None:
    made = system.ingest(REFERENCE)
    first = _tune(system, made, trials=1)
    assert _tune(system, made, trials=1) == first
    assert len(_trial_runs(system.settings, first["sweep_id"])) == 1


def test_other_data_another_horizon_or_number_of_trials_are_other_searches(system: Any) -> None:
    made = system.ingest(REFERENCE)
    later = system.ingest(REFERENCE + timedelta(hours=1))
    sweeps = {_tune(system, each, trials=1)["sweep_id"] for each in (made, later)}
    sweeps.add(hyperparameter_tuning.run(12, trials="1", settings=system.settings)["sweep_id"])
    assert len(sweeps) == 3


def test_a_search_out_of_time_ends_with_what_it_has_and_goes_on_when_called_again(system: Any) -> None:
    made = system.ingest(REFERENCE)
    stopped = _tune(system, made, trials=2, timeout=0)
    assert stopped["trials"] == 1
    done = _tune(system, made, trials=2)
    assert (done["trials"], done["sweep_id"]) == (2, stopped["sweep_id"])
    assert len(tracking.find_runs(system.settings, {"artifact": "sweep"})) == 1


def _sweep_id(system: Any) -> str:
    run = resolve_training_run(system.settings, fh=24)
    return hyperparameter_tuning._sweep_id(run, 3)


def _killed_after(system: Any, trials: int) -> None:
    """Run the search of three trials in a process that is killed in the trial after so many finished ones."""
    environment = {
        **os.environ,
        "ML_PIPELINE_ROOT_DIR": str(system.settings.root),
        "ML_PIPELINE_TRACKING_URI": system.settings.tracking,
        "ML_PIPELINE_THREADS": "1",
    }
    # Slowed down, so that the kill is not too late on a busy machine.
    command = ["nice", "-n", "19", sys.executable, "-m", "training_pipeline", "tune", "--trials", "3"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    searches, sweep_id = Searches(system.settings), _sweep_id(system)
    while process.poll() is None and len(searches.trials(sweep_id)) < trials:
        time.sleep(0.01)
    assert process.poll() is None, "the search ended before it was killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_search_killed_in_any_trial_goes_on_on_another_machine_and_ends_as_one_that_was_not(
    system: Any, tmp_path: Path
) -> None:
    made = system.ingest(REFERENCE)
    for trials in (1, 2):
        _killed_after(system, trials)
    # Of the first worker only the store and the tracking database are left.
    other = system.settings.model_copy(update={"root_dir": tmp_path / "other", "store_uri": system.settings.store})
    resumed = _tune(type(system)(other), made)
    assert resumed["trials"] == 3
    runs = _trial_runs(system.settings, resumed["sweep_id"])
    assert [run.tags["trial"] for run in runs] == ["0", "1", "2"]
    assert {run.status for run in runs} == {"FINISHED"}
    for name in ("searches", "trials"):
        shutil.rmtree(Path(system.settings.store) / name)
    assert _tune(system, made) == resumed


@pytest.mark.parametrize("elsewhere", [False, True], ids=["the same machine", "another machine"])
def test_a_search_killed_while_it_showed_a_trial_shows_it_once(system: Any, tmp_path: Path, elsewhere: bool) -> None:
    """Class: a kill between the row of a trial and the end of its MLflow run, whose files would lie on the old disk."""
    made = system.ingest(REFERENCE)
    done = _tune(system, made, trials=2, timeout=0)
    tags = {"sweep_id": done["sweep_id"], "artifact": "trial", "trial": "0"}
    [shown] = tracking.find_runs(system.settings, tags)
    client(system.settings).update_run(shown.run_id, status="RUNNING")
    other = system.settings.model_copy(update={"root_dir": tmp_path / "other", "store_uri": system.settings.store})
    _tune(type(system)(other) if elsewhere else system, made, trials=2)
    assert [run.status for run in tracking.find_runs(system.settings, tags)] == ["FINISHED"]


def test_two_searches_of_one_sweep_at_once_are_refused(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperparameter_tuning, "_OTHER_SEARCH_WAIT", 0.1)
    made = system.ingest(REFERENCE)
    sweep = _tune(system, made, trials=1)["sweep_id"]
    with (
        tracking.lock(system.settings, f"sweep-{sweep}", wait=0),
        pytest.raises(TrackingError, match="another process has held"),
    ):
        _tune(system, made, trials=1)


def test_a_window_too_short_to_compare_in_is_an_error_that_says_what_is_needed(system: Any) -> None:
    made = system.ingest(REFERENCE, days=1)
    with pytest.raises(WindowError, match="too short to compare configurations"):
        _tune(system, made)


@pytest.mark.parametrize("argument", [{"trials": 0}, {"trials": "many"}, {"timeout": "soon"}, {"timeout": -1}])
def test_arguments_that_cannot_be_read_are_refused(system: Any, argument: dict[str, Any]) -> None:
    made = system.ingest(REFERENCE)
    with pytest.raises(InvalidArgument, match=next(iter(argument))):
        _tune(system, made, **argument)


def test_the_best_config_is_kept_once_and_challenges_the_champion(system: Any) -> None:
    made = system.ingest(REFERENCE)
    assert not check_if_artifact_exists("best_config", settings=system.settings)
    tuned = _tune(system, made)
    uploaded = best_config.upload(tuned["sweep_id"], settings=system.settings)
    assert best_config.upload(tuned["sweep_id"], settings=system.settings) == uploaded
    [run] = tracking.find_runs(system.settings, {"artifact": "best_config"})
    [file] = Path(run.artifact_uri.removeprefix("file://")).rglob("best_config.json")
    assert json.loads(file.read_text())["best_config"] == tuned["best_config"]
    assert check_if_artifact_exists("best_config", settings=system.settings)
    assert _train(system, made)["champion"]["challenger"] == f"best_config from sweep {tuned['sweep_id']}"


def test_training_for_a_past_hour_never_uses_a_later_search(system: Any) -> None:
    early, middle, late = (system.ingest(REFERENCE + timedelta(hours=step)) for step in range(3))
    sweep = _tune(system, middle, trials=1)["sweep_id"]
    best_config.upload(sweep, settings=system.settings)
    assert _train(system, early)["champion"]["challenger"] is None
    assert _train(system, middle)["champion"]["challenger"] == f"best_config from sweep {sweep}"
    newest = _tune(system, late, trials=2)["sweep_id"]
    best_config.upload(newest, settings=system.settings)
    assert _train(system, middle)["champion"]["challenger"] == f"best_config from sweep {sweep}"
    assert _train(system, late)["champion"]["challenger"] == f"best_config from sweep {newest}"
    shorter = train.from_best_config(12, None, late["training_dataset_version"], settings=system.settings)
    assert shorter["champion"]["challenger"] is None


def test_a_trial_that_falls_behind_in_its_first_fold_is_given_up_and_a_killed_search_tries_the_same(
    tmp_path: Path,
) -> None:
    searches = Searches(Settings(root_dir=tmp_path))

    def searched(name: str, stop_at: int | None = None) -> list[Trial]:
        opened, calls = study.study_of(searches.trials(name)), []

        def measure(point: Mapping[str, float], report: study.Report) -> study.Measured:
            calls.append(point)
            if stop_at is not None and len(calls) > stop_at:
                raise KeyboardInterrupt
            # The more trees, the worse, as the first of two folds shows.
            report(0, float(point["trees"]))
            return float(point["trees"]), {"wape": 0.1}

        study.search(opened, measure, trials=14, timeout=1e9, after_each=lambda each: searches.write_trial(name, each))
        return searches.trials(name)

    trials = searched("whole")
    given_up = [trial for trial in trials if trial.pruned]
    assert len(trials) == 14
    assert 0 < len(given_up) < 10
    assert min(trial.value for trial in given_up) > min(trial.value for trial in trials)
    for stop_at in (3, 4, 5):
        with pytest.raises(KeyboardInterrupt):
            searched("killed", stop_at=stop_at)
    assert searched("killed") == trials


@pytest.mark.parametrize(
    ("days", "left", "ends"), [(10, 0, 1), (12, 0, 1), (16, 2, 1), (22, 4, 2), (30, 6, 3), (365, 7, 3)]
)
def test_short_windows_have_fewer_folds_and_hold_fewer_origins_out(days: int, left: int, ends: int) -> None:
    window = Window(REFERENCE - timedelta(days=days), REFERENCE)
    assert held_out(window) == left
    found = folds(window)
    assert len(found) == ends
    assert found[0] == REFERENCE - timedelta(days=left)
    assert found == sorted(found, reverse=True)


def test_the_origins_that_are_held_out_change_nothing_in_a_search(system: Any) -> None:
    made = system.ingest(REFERENCE)
    tuned = _tune(system, made, trials=2)
    dataset = FeatureStore(system.settings).training_dataset(made["training_dataset_version"])
    history = FeatureStore(system.settings).read_training_dataset(dataset.version)
    [end] = folds(dataset.window)
    spoilt = history.with_columns(
        energy_consumption=pl.when(pl.col("datetime_utc") >= end).then(0.0).otherwise("energy_consumption")
    )
    config = ForecasterConfig.from_dict(tuned["best_config"])
    measured = evaluate_fold(spoilt, end=end, fh=24, config=config, threads=1)
    assert tuned["held_out"] == 2
    assert measured == tuned["metrics"]


def test_a_sweep_that_does_not_exist_is_an_error_that_names_those_that_do(system: Any) -> None:
    with pytest.raises(NotFoundError, match="no finished sweep 'abc'; there are none yet"):
        best_config.upload("abc", settings=system.settings)
    sweep = _tune(system, system.ingest(REFERENCE), trials=1)["sweep_id"]
    with pytest.raises(NotFoundError, match=rf"no finished sweep 'abc'; there are \['{sweep}'\]"):
        best_config.upload("abc", settings=system.settings)


def test_nothing_exists_where_there_is_no_database(tmp_path: Path) -> None:
    assert not check_if_artifact_exists("best_config", settings=Settings(root_dir=tmp_path))
