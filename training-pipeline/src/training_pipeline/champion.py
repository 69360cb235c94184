"""Which configuration a run trains with: the champion's, unless a challenger proves not to be worse.

The challenger is the best configuration of the newest search. A frozen older fit would have seen the latest origins,
so recipes are compared and not models: both configurations are fitted on what was known before those origins, by the
code that is installed.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.runs import TrainingRun
from forecast_core.tracking import Promotion
from load_forecaster import DEFAULT, ForecasterConfig
from training_pipeline import best_config, data
from training_pipeline.best_config import Choice
from training_pipeline.comparison import Comparison, backtest, compare
from training_pipeline.evaluation import held_out

logger = logging.getLogger(__name__)

LEAST_ORIGINS: Final = 2
_DECISION_WAIT: Final = 900.0


@dataclass(frozen=True)
class Verdict:
    """The configuration to train with, and as plain JSON how it came to be that one."""

    choice: Choice
    facts: dict[str, Any] = field(default_factory=dict)


def decide(settings: Settings, run: TrainingRun) -> Verdict:
    """Return the champion of the run's reference time, after comparing it with a challenger that is not decided on.

    A challenger is decided on once; the decision is recorded at the run's reference time.

    Raises:
        TrackingError: If the tracking database cannot be used now.
        StorageError: If the training dataset cannot be read now.
    """
    challenger = best_config.choose(settings, run)
    with tracking.lock(settings, f"champion-{run.view.version}-{run.fh}", wait=_DECISION_WAIT):
        decided = tracking.promotions(settings, **_scope(run), until=run.reference_datetime)
        reigning = tracking.champion(settings, **_scope(run), at=run.reference_datetime)
        champion = _choice_of(reigning)
        if challenger is None:
            return _verdict(champion or Choice(DEFAULT, "default"), None, reigning)
        if champion is not None and challenger.config == champion.config:
            # The search came to the champion's configuration by itself, and newly.
            return _verdict(challenger, challenger, reigning)
        settled = [each for each in decided if _settles(each, challenger)]
        if settled:
            return _verdict(champion or Choice(DEFAULT, "default"), challenger, reigning, settled[-1])
        decision = _decision(settings, run, champion, challenger)
        promoted = decision.action == "promote"
        return _verdict(challenger if promoted or champion is None else champion, challenger, reigning, decision)


def _scope(run: TrainingRun) -> dict[str, int]:
    return {"feature_view_version": run.view.version, "fh": run.fh}


def _choice_of(reigning: Promotion | None) -> Choice | None:
    """Return the champion's configuration, or None if this code cannot read it."""
    if reigning is None:
        return Choice(DEFAULT, "default")
    try:
        return Choice(ForecasterConfig.from_dict(dict(reigning.config or {})), reigning.source)
    except InvalidArgument as error:
        logger.warning("the champion's configuration is not for this version of the code: %s", error)
        return None


def _settles(decision: Promotion, challenger: Choice) -> bool:
    """Whether a challenger was decided on, or a person has decided since it was found."""
    if challenger.found_at is not None and decision.at < challenger.found_at:
        return False
    return decision.by == "person" or decision.candidate == challenger.config.to_dict()


def _decision(settings: Settings, run: TrainingRun, champion: Choice | None, challenger: Choice) -> Promotion:
    margin = settings.promotion_margin
    test = None if champion is None else _test(settings, run, champion.config, challenger.config)
    if champion is None:
        promoted, reason = True, "this version of the code cannot use the champion's configuration"
    elif test is None:
        promoted, reason = False, "the training window is too short to compare configurations in it"
    else:
        promoted = test.is_not_worse(margin)
        reason = (
            f"{'not worse' if promoted else 'not shown to be no worse'} than the champion on the last {test.origins} "
            f"origins of {test.series} series: objective {test.challenger:.4f} against {test.champion:.4f} "
            f"({test.difference:+.1%}; with 95 % confidence less than {test.upper:+.1%}, allowed {margin:+.1%})"
        )
    logger.info("challenger %s: %s; %s", challenger.source, "promoted" if promoted else "not promoted", reason)
    kept = challenger if promoted or champion is None else champion
    default = kept.source == "default"
    return tracking.record_promotion(
        settings,
        action="promote" if promoted else "keep",
        at=run.reference_datetime,
        **_scope(run),
        config=None if default else kept.config.to_dict(),
        source=kept.source,
        candidate=challenger.config.to_dict(),
        reason=reason,
        test={} if test is None else test.to_dict() | {"margin": margin},
        by="run",
        code_version=data.code_version(),
    )


def _test(
    settings: Settings, run: TrainingRun, champion: ForecasterConfig, challenger: ForecasterConfig
) -> Comparison | None:
    """Compare two configurations on the origins that the search left out; None if there are too few."""
    origins = held_out(run.window, gap=run.gap)
    if origins < LEAST_ORIGINS:
        return None
    history = data.load(run, settings)
    frames = [
        backtest(
            history,
            end=run.window.end,
            fh=run.fh,
            gap=run.gap,
            config=config,
            threads=settings.threads,
            origins=origins,
        )
        for config in (champion, challenger)
    ]
    return None if any(frame.is_empty() for frame in frames) else compare(*frames)


def _verdict(
    choice: Choice, challenger: Choice | None, reigning: Promotion | None, decision: Promotion | None = None
) -> Verdict:
    """Say who won; ``changed`` is what differs from the configuration of the champion before."""
    before = DEFAULT.to_dict() if reigning is None else dict(reigning.config or DEFAULT.to_dict())
    since = decision if decision is not None and decision.action == "promote" else reigning
    facts: dict[str, Any] = {
        "champion": choice.source,
        "champion_since": None if since is None else since.at.strftime(DATETIME_FORMAT),
        "challenger": None if challenger is None else challenger.source,
        "decision": "unchallenged" if decision is None else decision.action,
        "reason": "there is no challenger" if challenger is None else "the challenger is the champion's configuration",
        "test": {},
        "changed": changes(before, choice.config.to_dict()),
    }
    if decision is not None:
        facts |= {"reason": decision.reason, "test": dict(decision.test)}
    return Verdict(choice, facts)


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the settings that differ, each with its value before and after.

    >>> changes({"trees": 100, "seed": 1}, {"trees": 200, "seed": 1})
    {'trees': [100, 200]}
    """
    names = sorted({*before, *after})
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}
