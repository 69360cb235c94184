"""Hyperparameter tuning: search a configuration on the origins of one training dataset."""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from statistics import fmean
from typing import Final, cast

from forecast_core import step_log, tracking
from forecast_core.contracts.arguments import whole_number
from forecast_core.contracts.dag_run import this_dag_run
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.runs import TrainingRun, resolve_training_run
from forecast_core.tracking import Held, Search, Searches, SearchResult, Trial, search_as_json
from load_forecaster import Measures
from training_pipeline import data, search_space, study
from training_pipeline.evaluation import FOLD_ORIGINS, HELD_OUT, evaluate_fold, folds, held_out, objective
from training_pipeline.search_space import config_at

logger = logging.getLogger(__name__)

_OTHER_SEARCH_WAIT: Final = 5.0


def run(
    fh: int | str = 24,
    feature_view_version: int | str | None = None,
    training_dataset_version: int | str | None = None,
    *,
    trials: int | str | None = None,
    timeout: float | str | None = None,
    reference_datetime: datetime | str | None = None,
    forecast_from: str = "last_observation",
    dag_run_id: str | None = None,
    settings: Settings | None = None,
) -> SearchResult:
    """Search the configuration that forecasts the last days of a training dataset best, but for the latest ones.

    Those are held out: training compares what was found with the champion on them. A configuration is measured on
    folds of three daily origins, each forecast by a fit of its own; one that falls behind is given up.

    Killed anywhere and called again, it goes on where it was and ends in the same best configuration. The same
    training dataset, horizon, space, number of trials and code are the same sweep; one that is done is not run again.

    Args:
        fh: Hours to forecast.
        feature_view_version: As ``feature_view.create`` returned it; default that of the training dataset.
        training_dataset_version: As ``feature_view.create`` returned it; default the one that the DAG run
            created, or else the one created last.
        trials: Trials to run, the shipped default being the first; default ``settings.tuning_trials``.
        timeout: Seconds after which no further trial is begun; calling again goes on; default
            ``settings.tuning_seconds``.
        reference_datetime: Reference time of the run; default that for which the training dataset was created.
        forecast_from: ``last_observation``: the first hour to forecast follows the training window;
            ``reference_time``: it is the reference time, however late the observations are.
        dag_run_id: The orchestrator's name of the run; default that of the task, if Airflow runs this.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: the sweep's id, how many trials were run and how many of them given up, the best one's objective,
        measures and configuration, and the default's objective.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        NotFoundError: If a version does not exist.
        WindowError: If the training window is too short to compare configurations in it.
        TrackingError: If the tracking database cannot be used now, or another process runs this sweep.
    """
    settings, dag_run = settings or Settings(), this_dag_run(dag_run_id)
    run = resolve_training_run(
        settings,
        fh=fh,
        feature_view_version=feature_view_version,
        training_dataset_version=training_dataset_version,
        reference_datetime=reference_datetime,
        forecast_from=forecast_from,
        dag_run=dag_run,
    )
    target = whole_number("trials", settings.tuning_trials if trials is None else trials, least=1)
    seconds = _seconds(settings.tuning_seconds if timeout is None else timeout)
    sweep_id = _sweep_id(run, target)
    with tracking.lock(settings, f"sweep-{sweep_id}", wait=_OTHER_SEARCH_WAIT) as held:
        result = _found(settings, run, sweep_id, target) or _search(settings, run, sweep_id, target, seconds, held)
    entry = step_log.Entry(
        made="search",
        dataset=run.dataset,
        version=run.training_dataset.version,
        sweep_id=sweep_id,
        feature_view_version=run.view.version,
        reference_datetime=run.reference_datetime,
        window=run.window,
    )
    step_log.write(settings, entry, dag_run=dag_run)
    return result


def _seconds(timeout: float | str) -> float:
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise InvalidArgument(f"timeout must be a number of seconds, not {timeout!r}", argument="timeout")
    return seconds


def _sweep_id(run: TrainingRun, trials: int) -> str:
    origins = [HELD_OUT, FOLD_ORIGINS, len(folds(run.window, gap=run.gap))]
    identity = {
        **data.identity(run, entry_module=__name__, libraries=("optuna",)),
        "trials": trials,
        "search": search_space.identity(),
        "origins": origins,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _found(settings: Settings, run: TrainingRun, sweep_id: str, trials: int) -> SearchResult | None:
    """Return the result of the search if it is done."""
    searches = Searches(settings)
    found = searches.found().get(sweep_id)
    if found is None or found["trials"] < trials:
        return None
    logger.info("sweep %s is done already", sweep_id)
    if run.reference_datetime < found["reference_datetime"]:
        # Whichever run asked first, the search counts from the earliest reference time on.
        found = {**found, "reference_datetime": run.reference_datetime}
        searches.write(found, uploaded=False)
    return search_as_json(found)


def _search(
    settings: Settings, run: TrainingRun, sweep_id: str, target: int, seconds: float, held: Held
) -> SearchResult:
    history, searches = data.load(run, settings), Searches(settings)
    show = _shown(settings, run, sweep_id)
    done = searches.trials(sweep_id)
    logger.info("sweep %s: %d of %d trials are finished", sweep_id, len(done), target)
    for trial in done:
        show(trial)
    ends = folds(run.window, gap=run.gap)

    def measure(point: Mapping[str, float], report: study.Report) -> study.Measured:
        config, measured = config_at(point), []
        for step, end in enumerate(ends):
            measured.append(
                evaluate_fold(history, end=end, config=config, fh=run.fh, gap=run.gap, threads=settings.threads)
            )
            value = fmean(objective(each) for each in measured)
            if step + 1 < len(ends):
                report(step, value)
        return value, _mean(measured)

    def keep(trial: Trial) -> None:
        held.check()
        searches.write_trial(sweep_id, trial)
        show(trial)

    study.search(study.study_of(done), measure, trials=target, timeout=seconds, after_each=keep)
    return _finish(settings, run, sweep_id)


def _mean(measured: list[Measures]) -> dict[str, float | None]:
    """Return the means of measures over folds; None where a fold lacks one."""
    by_fold = cast("list[dict[str, float | None]]", measured)
    known = {name: [value for each in by_fold if (value := each[name]) is not None] for name in by_fold[0]}
    return {name: fmean(values) if len(values) == len(by_fold) else None for name, values in known.items()}


def _parent_run(settings: Settings, sweep_id: str) -> str:
    tags = {"sweep_id": sweep_id, "artifact": "sweep"}
    begun = tracking.find_runs(settings, tags)
    # One that ended by its timeout is taken up again, too.
    return begun[0].run_id if begun else tracking.start_run(settings, name=f"sweep {sweep_id}", tags=tags)


def _shown(settings: Settings, run: TrainingRun, sweep_id: str) -> Callable[[Trial], None]:
    """Return what shows a finished trial to people, once: as an MLflow run under that of the search."""
    parent = _parent_run(settings, sweep_id)
    known = tracking.find_runs(settings, {"sweep_id": sweep_id, "artifact": "trial"})
    shown = {each.tags["trial"] for each in known if each.status == "FINISHED"}
    # Of a search that was killed while it showed a trial, here or on another machine: the run has no files.
    begun = {each.tags["trial"]: each.run_id for each in known if each.status != "FINISHED"}

    def show(trial: Trial) -> None:
        number = str(trial.number)
        if number in shown:
            return
        tags = {"sweep_id": sweep_id, "artifact": "trial", "trial": number}
        run_id = begun.get(number) or tracking.start_run(
            settings, name=f"trial {number}", tags=tags, parent_run_id=parent
        )
        tracking.finish_run(
            settings,
            run_id,
            reference_datetime=run.reference_datetime,
            params=trial.point,
            metrics={**trial.measures, "objective": trial.value},
            tags={"pruned": str(trial.pruned)},
        )
        shown.add(number)

    return show


def _finish(settings: Settings, run: TrainingRun, sweep_id: str) -> SearchResult:
    """Store what the search found; return it."""
    searches = Searches(settings)
    trials, before = searches.trials(sweep_id), searches.found().get(sweep_id)
    asked = [run.reference_datetime, *([] if before is None else [before["reference_datetime"]])]
    best = min((each for each in trials if not each.pruned), key=lambda each: (each.value, each.number))
    search = Search(
        sweep_id=sweep_id,
        feature_view_version=run.view.version,
        fh=run.fh,
        gap=run.gap,
        reference_datetime=min(asked),
        training_dataset_version=run.training_dataset.version,
        window_end=run.window.end,
        trials=len(trials),
        pruned=sum(each.pruned for each in trials),
        folds=len(folds(run.window, gap=run.gap)),
        held_out=held_out(run.window, gap=run.gap),
        default_value=trials[0].value,
        best_value=best.value,
        best_config=config_at(dict(best.point)).to_dict(),
        metrics=best.measures,
    )
    tracking.finish_run(
        settings,
        _parent_run(settings, sweep_id),
        reference_datetime=run.reference_datetime,
        metrics={"objective": best.value},
        tags={"trials": str(len(trials))},
    )
    searches.write(search, uploaded=False)
    return search_as_json(search)


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("training_pipeline.__main__").main(step="tune"))
