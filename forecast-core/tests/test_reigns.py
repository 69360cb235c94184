"""Who is champion: the same in whatever order searches, people's decisions and runs were recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forecast_core.tracking import Promotion, Reign, Search, reign
from forecast_core.tracking.reigns import Undecided

START = datetime(2023, 2, 1, 12, tzinfo=UTC)
HOURS = 6


def search(hour: int, quality: int) -> Search:
    """A search at an hour whose best configuration has a quality."""
    return Search(
        sweep_id=f"sweep-{hour}-{quality}",
        feature_view_version=1,
        fh=24,
        gap=0,
        reference_datetime=START + timedelta(hours=hour),
        training_dataset_version=1,
        window_end=START,
        trials=1,
        pruned=0,
        folds=1,
        held_out=2,
        default_value=1.0,
        best_value=1.0,
        best_config={"quality": quality},
        metrics={},
    )


def decision(hour: int, config: dict[str, Any] | None, **more: Any) -> Promotion:
    facts: dict[str, Any] = {"action": "promote", "source": "by hand", "candidate": config, "reason": "", "test": {}}
    facts |= {"by": "person", "feature_view_version": 1, "fh": 24}
    return Promotion(reference_datetime=START + timedelta(hours=hour), config=config, **facts | more)


def decided(open_: Undecided) -> Promotion:
    """What any run decides: the better configuration is the champion."""
    before = None if open_.champion is None else open_.champion.config
    better = open_.search["best_config"]["quality"] > (0 if before is None else before["quality"])
    return Promotion(
        action="promote" if better else "keep",
        reference_datetime=open_.search["reference_datetime"],
        feature_view_version=1,
        fh=24,
        config=open_.search["best_config"] if better else before,
        source="sweep",
        candidate=open_.search["best_config"],
        reason="",
        test={},
        by="run",
        sweep_id=open_.search["sweep_id"],
        against=before,
    )


def run(decisions: list[Promotion], searches: list[Search], hour: int) -> Reign:
    """What a run does at an hour: decide on what is undecided up to it, and record that."""
    while True:
        found = reign(decisions, searches, until=START + timedelta(hours=hour))
        if not found.undecided:
            return found
        decisions.append(decided(found.undecided[0]))


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("search"), st.integers(0, HOURS), st.integers(-2, 4)),
        st.tuples(st.just("person"), st.integers(0, HOURS), st.integers(0, 4)),
        st.tuples(st.just("run"), st.integers(0, HOURS), st.just(0)),
    ),
    max_size=8,
    # A person decides once at a time, and a search is recorded once.
    unique_by=lambda event: event[:2] if event[0] == "person" else event,
)


@settings(max_examples=300, deadline=None)
@given(events=EVENTS, data=st.data())
def test_champions_do_not_depend_on_the_order_of_searches_decisions_and_runs(events: list[Any], data: Any) -> None:
    champions = []
    for order in (events, data.draw(st.permutations(events))):
        decisions: list[Promotion] = []
        searches: list[Search] = []
        for kind, hour, quality in order:
            if kind == "search":
                searches.append(search(hour, quality))
            elif kind == "person":
                decisions.append(decision(hour, {"quality": quality}))
            else:
                run(decisions, searches, hour)
        found = [run(decisions, searches, hour) for hour in range(HOURS + 1)]
        champions.append([None if each.champion is None else each.champion.config for each in found])
    assert champions[0] == champions[1]


def test_a_search_that_is_recorded_late_is_decided_on_in_its_place_and_later_ones_anew() -> None:
    decisions: list[Promotion] = []
    searches = [search(3, 2)]
    assert run(decisions, searches, 4).champion == decisions[0]
    searches.append(search(1, 3))
    late = run(decisions, searches, 4)
    assert [(each.action, each.sweep_id) for each in late.decisions] == [
        ("promote", "sweep-1-3"),
        ("keep", "sweep-3-2"),
    ]
    assert late.champion is not None
    assert late.champion.config == {"quality": 3}


def test_a_decision_of_a_run_of_version_1_0_stands_and_its_search_is_not_decided_on_again() -> None:
    older = decision(2, {"quality": 1}, by="run")
    found = reign([older], [search(1, 1)])
    assert (found.champion, found.undecided) == (older, [])


def test_a_rollback_goes_back_to_the_champion_before() -> None:
    first, second = decision(1, {"quality": 1}), decision(2, {"quality": 2}, source="second")
    assert reign([first, second], []).before == ({"quality": 1}, "by hand")
    back = decision(3, {"quality": 1}, action="rollback", candidate={"quality": 2})
    assert reign([first, second, back], []).before == (None, "default")
