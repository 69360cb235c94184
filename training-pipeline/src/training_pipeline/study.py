"""The search itself: an Optuna study that is made anew from stored trials, and goes on as it would have gone on."""

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from forecast_core.tracking import Trial
from training_pipeline.search_space import default_point, distributions

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)

Measured = tuple[float, dict[str, float | None]]
"""An objective to minimise, and the measures to keep with it."""

Report = Callable[[int, float], None]
"""Called with a step and the objective so far; it raises ``optuna.TrialPruned`` to give the trial up."""

Measure = Callable[[Mapping[str, float], Report], Measured]
"""Measures the configuration at a point of the search space."""

PRUNED_AFTER: Final = 4
"""Trials that are completed before one is given up for being worse than their median at the same step."""


def study_of(trials: Sequence[Trial]) -> "Study":
    """Return a study in memory that has had these finished trials, in the order of their numbers.

    It goes on as the study went on that ran them: the sampler and the pruner know a trial by its point, its value, the
    values after its steps and whether it was given up.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize")
    for trial in trials:
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if trial.pruned else TrialState.COMPLETE,
                value=trial.value,
                params=dict(trial.point),
                distributions=distributions(),
                user_attrs={"measures": dict(trial.measures)},
                intermediate_values=dict(trial.steps),
            )
        )
    return study


def as_trial(finished: "FrozenTrial", number: int) -> Trial:
    """Return a finished trial as it is stored.

    Args:
        finished: As Optuna has it.
        number: Its place among the finished trials, from 0 on.
    """
    return Trial(
        number=number,
        pruned=is_pruned(finished),
        value=cast("float", finished.value),
        point=finished.params,
        measures=finished.user_attrs.get("measures", {}),
        steps=finished.intermediate_values,
    )


def finished(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that came to an end, completed or pruned, in the order in which they were run."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def is_pruned(trial: "FrozenTrial") -> bool:
    """Whether the trial was given up early."""
    return str(trial.state.name) == "PRUNED"


def search(
    study: "Study",
    measure: Measure,
    *,
    trials: int,
    timeout: float,
    after_each: Callable[[Trial], None],
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
        after_each(as_trial(trial, count))


def _run_trial(study: "Study", measure: Measure, count: int) -> "FrozenTrial":
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
