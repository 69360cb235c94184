"""Which configuration a run trains with: the champion's of its reference time.

A challenger is the best configuration of a search. It is decided on at the reference time of the search, on the data
that the search saw, against the champion of that time. Whichever run comes first makes that decision, and every run
would make the same. A frozen older fit would have seen the latest origins, so recipes are compared and not models:
both configurations are fitted on what was known before those origins, by the code that is installed.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypedDict

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.runs import TrainingRun
from forecast_core.tracking import Decisions, Promotion, Reign, Search, Searches, reign
from training_pipeline.challenge import decision_on, source_of
from training_pipeline.recipes import SHIPPED, Choice, choice_of, readable

logger = logging.getLogger(__name__)

_DECISION_WAIT: Final = 900.0
_INSTANT: Final = timedelta(microseconds=1)

Changes = dict[str, list[Any]]
"""Settings that differ, each with its value before and after."""


class ChampionFacts(TypedDict):
    """How a run came to its configuration, as plain JSON.

    ``decision`` is that about the newest challenger, or ``unchallenged``; ``test`` has the figures of its comparison.
    ``changed`` is what differs from the champion just before the reference time of the run.
    """

    champion: str
    champion_since: str | None
    challenger: str | None
    decision: str
    reason: str
    test: dict[str, Any]
    changed: Changes


@dataclass(frozen=True)
class Verdict:
    """The configuration to train with, and how it came to be that one."""

    choice: Choice
    facts: ChampionFacts


def decide(settings: Settings, run: TrainingRun) -> Verdict:
    """Return the champion of the run's reference time, after deciding on the searches up to it that are undecided.

    Raises:
        TrackingError: If the tracking database cannot be used now.
        StorageError: If the store cannot be read or written now.
    """
    searches = Searches(settings).uploaded(
        feature_view_version=run.view.version, fh=run.fh, until=run.reference_datetime
    )
    with tracking.lock(settings, f"champion-{run.view.version}-{run.fh}", wait=_DECISION_WAIT) as held:
        decisions = Decisions(settings).read(feature_view_version=run.view.version, fh=run.fh)
        passed_over: set[str] = set()
        while True:
            now = reign(decisions, searches, until=run.reference_datetime)
            # The first one decides against which champion the next one is tested.
            open_ = next((each for each in now.undecided if each.search["sweep_id"] not in passed_over), None)
            if open_ is None:
                break
            decision = decision_on(settings, open_)
            if decision is None:
                passed_over.add(open_.search["sweep_id"])
            else:
                held.check()
                decisions.append(tracking.record_promotion(settings, decision))
    before = reign(decisions, searches, until=run.reference_datetime - _INSTANT)
    return _verdict(now, before, [each for each in searches if readable(each["best_config"]) is not None])


def _verdict(now: Reign, before: Reign, searches: list[Search]) -> Verdict:
    choice = choice_of(now.champion) or SHIPPED
    earlier = SHIPPED.config.to_dict() if before.champion is None else dict(before.champion.config or {})
    challenger = searches[-1] if searches else None
    decision = None if challenger is None else _latest(now, challenger)
    if decision is not None:
        reason = decision.reason
    elif challenger is None:
        reason = "there is no challenger"
    else:
        reason = "the challenger is the champion's configuration"
    since = None if now.champion is None else now.champion.reference_datetime
    return Verdict(
        choice,
        ChampionFacts(
            champion=choice.source,
            champion_since=None if since is None else since.strftime(DATETIME_FORMAT),
            challenger=None if challenger is None else source_of(challenger),
            decision="unchallenged" if decision is None else decision.action,
            reason=reason,
            test={} if decision is None else dict(decision.test),
            changed=changes(earlier, choice.config.to_dict()),
        ),
    )


def _latest(now: Reign, challenger: Search) -> Promotion | None:
    """Return the latest decision that a challenger led to, or that a person made after it was found."""
    about = [
        each
        for each in now.decisions
        if each.sweep_id == challenger["sweep_id"]
        or (each.sweep_id is None and each.reference_datetime >= challenger["reference_datetime"])
    ]
    return about[-1] if about else None


def changes(before: dict[str, Any], after: dict[str, Any]) -> Changes:
    """Return the settings that differ, each with its value before and after.

    >>> changes({"trees": 100, "seed": 1}, {"trees": 200, "seed": 1})
    {'trees': [100, 200]}
    """
    names = sorted({*before, *after})
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}
