"""Who is champion: decisions and searches in the order of their reference times, whoever recorded them when.

A search is decided on at its own reference time, against the champion of that time. So who is champion depends on the
searches and on people's decisions, and not on which run came first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from forecast_core.contracts.window import as_utc
from forecast_core.tracking.decisions import Config, Promotion, config_text
from forecast_core.tracking.searches import Search


@dataclass(frozen=True)
class Undecided:
    """A search that nobody has decided on, and the champion (None: the shipped default) of its reference time."""

    search: Search
    champion: Promotion | None


@dataclass(frozen=True)
class Reign:
    """The decisions in force up to a time, oldest first, and the searches that still have to be decided on."""

    decisions: Sequence[Promotion]
    undecided: Sequence[Undecided]

    @property
    def champion(self) -> Promotion | None:
        """The decision that made the champion, or None if that is the shipped default."""
        return _champion(self.decisions)

    @property
    def before(self) -> tuple[Config | None, str]:
        """Configuration and source of the champion before the present one.

        Raises:
            LookupError: If the champion is the shipped default and always was.
        """
        reigned: list[tuple[Config | None, str]] = [(None, "default")]
        for each in self.decisions:
            if each.action == "promote" and each.config != reigned[-1][0]:
                reigned.append((each.config, each.source))
            elif each.action == "rollback" and len(reigned) > 1:
                reigned.pop()
        if len(reigned) == 1:
            raise LookupError("no champion has reigned before")
        return reigned[-2]


def reign(decisions: Sequence[Promotion], searches: Sequence[Search], *, until: datetime | None = None) -> Reign:
    """Return who is champion at ``until`` (None: after everything that is known).

    Args:
        decisions: All recorded decisions of one feature view and horizon.
        searches: All searches of the same whose best configuration is a challenger.
        until: Decisions and searches of later reference times do not count.
    """
    recorded = {(each.sweep_id, config_text(each.candidate), config_text(each.against)): each for each in decisions}
    in_force: list[Promotion] = []
    undecided: list[Undecided] = []
    for event in _events(decisions, searches, until):
        if isinstance(event, Promotion):
            in_force.append(event)
            continue
        champion = _champion(in_force)
        against = None if champion is None else config_text(champion.config)
        candidate = config_text(event["best_config"])
        if candidate == against or _is_settled(event, decisions):
            continue
        if decision := recorded.get((event["sweep_id"], candidate, against)):
            in_force.append(decision)
        else:
            undecided.append(Undecided(event, champion))
    return Reign(in_force, undecided)


def _events(
    decisions: Sequence[Promotion], searches: Sequence[Search], until: datetime | None
) -> list[Promotion | Search]:
    """Return searches and the decisions that stand for themselves by reference time; of one time, searches first."""
    own = [each for each in decisions if each.sweep_id is None]
    events: list[tuple[datetime, int, str, Promotion | Search]] = [
        *((each["reference_datetime"], 0, each["sweep_id"], each) for each in searches),
        *((each.reference_datetime, 1, each.decision_id, each) for each in own),
    ]
    ordered = sorted(events, key=lambda each: each[:3])
    return [event for at, _, _, event in ordered if until is None or at <= as_utc(until)]


def _is_settled(search: Search, decisions: Sequence[Promotion]) -> bool:
    """Whether a run of version 1.0.0 decided on the search: its decision does not name the search, but stands."""
    return any(
        each.by == "run"
        and each.sweep_id is None
        and each.candidate == search["best_config"]
        and each.reference_datetime >= search["reference_datetime"]
        for each in decisions
    )


def _champion(in_force: Sequence[Promotion]) -> Promotion | None:
    changes = [each for each in in_force if each.action != "keep"]
    return changes[-1] if changes and changes[-1].config is not None else None
