"""The search itself: an Optuna study in a journal file, which goes on where it was killed and ends the same."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from training_pipeline.search_space import default_point, distributions

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)

Measured = tuple[float, dict[str, Any]]
"""An objective to minimise, and the measures to keep with it."""

Report = Callable[[int, float], None]
"""Called with a step and the objective so far; it does not return if the trial is not worth going on with."""

PRUNED_AFTER: Final = 4
"""Trials that are completed before one is given up for being worse than their median at the same step."""


def open_study(path: Path, name: str) -> "Study":
    """Open the study in the journal ``path``, which is made if absent; the caller makes sure to be the only one.

    What a killed process left is put right: a lock, half a line, trials that nobody runs any more.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists():
        _drop_half_line(path)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name=name, direction="minimize", load_if_exists=True)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        logger.info("trial %d was killed; it is run again", trial.number)
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _drop_half_line(path: Path) -> None:
    written = path.read_bytes()
    whole = written.rfind(b"\n") + 1
    if whole < len(written):
        os.truncate(path, whole)


def finished(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that came to an end, completed or pruned, in the order in which they were run."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def is_pruned(trial: "FrozenTrial") -> bool:
    """Whether the trial was given up early."""
    return str(trial.state.name) == "PRUNED"


def search(
    study: "Study",
    measure: Callable[[dict[str, Any], Report], Measured],
    *,
    trials: int,
    timeout: float,
    after_each: Callable[["FrozenTrial"], None],
) -> None:
    """Run trials until ``trials`` are finished, or until ``timeout`` seconds have passed since this call.

    The first trial is the default configuration. What the n-th finished trial tries depends on those before it and on
    n alone, so a search that was killed and taken up again tries the same. At least one trial is run. A trial that is
    worse than the median of the completed ones at the same step is given up.
    """
    begun, since = monotonic(), 0
    while (count := len(finished(study))) < trials:
        if since and monotonic() - begun > timeout:
            logger.warning("stopped after %d of %d trials: %.0f s are over", count, trials, timeout)
            return
        trial_begun = monotonic()
        trial = _run_trial(study, measure, count)
        since += 1
        logger.info(
            "trial %d of %d: %.4f%s (best %.4f) in %.1f s",
            *(count + 1, trials, trial.value, ", given up" if is_pruned(trial) else "", study.best_value),
            monotonic() - trial_begun,
        )
        after_each(trial)


def _run_trial(study: "Study", measure: Callable[[dict[str, Any], Report], Measured], count: int) -> "FrozenTrial":
    from optuna import TrialPruned
    from optuna.pruners import MedianPruner
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    study.sampler, study.pruner = TPESampler(seed=count), MedianPruner(n_startup_trials=PRUNED_AFTER)
    if count == 0 and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(default_point())
    trial = study.ask(distributions())

    def report(step: int, value: float) -> None:
        trial.report(value, step)
        if trial.should_prune():
            raise TrialPruned

    try:
        value, measures = measure(trial.params, report)
    except TrialPruned:
        # Optuna takes the last value that was reported.
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)
        raise
    trial.set_user_attr("measures", measures)
    return study.tell(trial, value)
