"""Alarms computed from checks: when each opens and clears, and which messages are sent."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecast_core import stores
from forecast_core.alarms import ALARMS, CHECKS, OVERALL, Alarms, derive, tuning_is_due
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings

START = datetime(2023, 1, 31, 22, tzinfo=UTC)
LEVELS = {"ok": 0.5, "notify": 1.1, "tune": 1.6}


def evaluation(hour: int, level: str, *, source: str = "watch", view: int = 1, **subjects: str) -> pl.DataFrame:
    """One kind of check ``hour`` hours after the start, over all series and for single subjects."""
    rows = [
        (START + hour * HOUR, view, source, "skill", subject.replace("_", "/"), each, LEVELS[each], 1.0, f"{each}!")
        for subject, each in {OVERALL: level, **subjects}.items()
    ]
    return pl.DataFrame(rows, schema=CHECKS, orient="row")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root_dir=tmp_path)


@pytest.fixture
def alarms(settings: Settings) -> Alarms:
    return Alarms(settings)


def hours(frame: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    """Times as hours after the start."""
    return [
        tuple(None if row[name] is None else (row[name] - START) // HOUR for name in names)
        for row in frame.sort("opened_at").iter_rows(named=True)
    ]


def test_an_alarm_opens_with_the_first_check_that_fires_and_clears_with_the_next_that_does_not(alarms: Alarms) -> None:
    assert alarms.read().equals(pl.DataFrame(schema=ALARMS))
    for hour, level in enumerate(["ok", "notify", "notify", "ok", "ok", "notify"]):
        alarms.write(evaluation(hour, level))
    assert hours(alarms.read(), "opened_at", "last_at", "cleared_at") == [(1, 2, 3), (5, 5, None)]
    assert hours(alarms.read(only_open=True), "opened_at") == [(5,)]


def test_any_reference_time_sees_the_alarms_as_they_were(alarms: Alarms) -> None:
    for hour, level in enumerate(["ok", "notify", "tune", "ok"]):
        alarms.write(evaluation(hour, level))
    seen = [hours(alarms.read(as_of=START + hour * HOUR), "opened_at", "tune_at", "cleared_at") for hour in range(4)]
    assert seen == [[], [(1, None, None)], [(1, 2, None)], [(1, 2, 3)]]
    assert alarms.read(as_of=START + HOUR)["level"].to_list() == ["notify"]
    # The level is the highest one reached, value and message are the latest that fired.
    assert alarms.read().select("level", "value", "message").rows() == [("tune", 1.6, "tune!")]


def test_what_monitoring_sees_clears_after_six_hours_without_it(alarms: Alarms) -> None:
    firing = {1, 4, 12}
    for hour in range(14):
        alarms.write(evaluation(hour, "notify" if hour in firing else "ok", source="monitoring"))
    assert hours(alarms.read(), "opened_at", "last_at", "cleared_at") == [(1, 4, 10), (12, 12, None)]


def _slowly(found: pl.DataFrame) -> set[tuple[Any, ...]]:
    """Walk through the evaluations one by one."""
    result = set()
    subjects = found.select("source", "subject").unique().rows()
    for source, subject in subjects:
        hold = timedelta(hours=6) if source == "monitoring" else timedelta(0)
        opened = last = None
        for at in sorted(found.filter(pl.col("source") == source)["reference_datetime"].unique()):
            rows = found.filter(
                pl.col("source") == source, pl.col("subject") == subject, pl.col("reference_datetime") == at
            )
            fires = not rows.is_empty() and rows["level"][0] != "ok"
            if fires:
                opened, last = opened or at, at
            elif opened and last and at - last >= max(hold, timedelta(microseconds=1)):
                result.add((source, subject, opened, last, at))
                opened = None
        if opened:
            result.add((source, subject, opened, last, None))
    return result


@pytest.mark.parametrize("seed", range(8))
def test_alarms_are_those_of_a_slow_walk_in_whatever_order_the_evaluations_came(seed: int, tmp_path: Path) -> None:
    chance = np.random.default_rng(seed)
    frames = [
        evaluation(hour, str(chance.choice(list(LEVELS))), source=source, DK1_111=str(chance.choice(["notify", "ok"])))
        for hour in range(30)
        for source in ("monitoring", "watch")
        if chance.random() < 0.7
    ]
    found = pl.concat(frames)
    expected = _slowly(found)
    frames = [frames[place] for place in chance.permutation(len(frames))]
    derived = derive(pl.concat(frames))
    assert set(derived.select("source", "subject", "opened_at", "last_at", "cleared_at").rows()) == expected
    book = Alarms(Settings(root_dir=tmp_path))
    for frame in itertools.chain(frames[:4], frames[2:4]):
        book.write(frame)
    assert book.read().height == derive(pl.concat(frames[:4])).height


def test_each_level_is_told_once_and_so_is_the_clearing(alarms: Alarms) -> None:
    told = []
    for hour, level in enumerate(["ok", "notify", "notify", "tune", "notify", "ok", "ok", "notify"]):
        alarms.write(evaluation(hour, level))
        due = alarms.due()
        told.append(due["notice"].to_list())
        assert alarms.mark_told(due, at=START + hour * HOUR) == due.height
        assert alarms.mark_told(due, at=START + hour * HOUR) == 0
    assert told == [[], ["notify"], [], ["tune"], [], ["cleared"], [], ["notify"]]
    assert hours(alarms.read(), "notified_at") == [(3,), (7,)]


def test_what_opened_and_cleared_before_anybody_looked_is_not_told(alarms: Alarms) -> None:
    for hour, level in enumerate(["notify", "ok"]):
        alarms.write(evaluation(hour, level))
    assert alarms.due().is_empty()


def test_an_open_alarm_that_turns_out_to_have_begun_earlier_is_not_told_again(alarms: Alarms) -> None:
    alarms.write(evaluation(5, "notify"))
    alarms.mark_told(alarms.due(), at=START + 5 * HOUR)
    alarms.write(evaluation(4, "notify"))
    assert hours(alarms.read(), "opened_at", "notified_at") == [(4, 5)]
    assert alarms.due().is_empty()


def test_a_feature_view_that_nobody_looks_after_any_more_has_no_alarms_by_default(alarms: Alarms) -> None:
    alarms.write(evaluation(0, "notify"))
    alarms.write(evaluation(1, "ok", view=2))
    assert alarms.read().is_empty()
    assert alarms.read(feature_view_version=1).height == 1


def test_tuning_is_due_in_the_first_run_after_an_alarm_asks_for_it_and_not_again(settings: Settings) -> None:
    book = Alarms(settings)
    levels = ["ok", "notify", "tune", "tune", "tune"]
    for hour, level in enumerate(levels):
        book.write(evaluation(hour, level, source="monitoring"))
    due = [tuning_is_due(settings, feature_view_version=1, reference_datetime=START + hour * HOUR) for hour in range(6)]
    assert due == [False, False, False, True, False, False]
    assert not tuning_is_due(settings, feature_view_version=2, reference_datetime=START + 3 * HOUR)
    # The evaluation at its own reference time comes after the decision, so it does not count when a run is repeated.
    assert tuning_is_due(settings, feature_view_version=1, reference_datetime=START + 3 * HOUR)


def test_an_evaluation_replaces_itself_and_nothing_else(alarms: Alarms) -> None:
    for frame in (evaluation(0, "tune", DK1_111="notify"), evaluation(0, "ok", source="monitoring")):
        alarms.write(frame)
    alarms.write(evaluation(0, "notify"))
    assert alarms.read_checks().select("source", "subject", "level").rows() == [
        ("monitoring", OVERALL, "ok"),
        ("watch", OVERALL, "notify"),
    ]


def test_checks_of_two_evaluations_or_with_a_subject_twice_are_refused(alarms: Alarms) -> None:
    with pytest.raises(InvalidArgument, match="exactly one evaluation"):
        alarms.write(pl.concat([evaluation(0, "ok"), evaluation(1, "ok")]))
    with pytest.raises(InvalidArgument, match="share their key"):
        alarms.write(pl.concat([evaluation(0, "ok"), evaluation(0, "notify")]))


def test_maintenance_keeps_every_check(alarms: Alarms, tmp_path: Path) -> None:
    for hour in range(20):
        alarms.write(evaluation(hour, "notify"))
    before = alarms.read_checks()
    report = stores.maintain(Settings(root_dir=tmp_path), keep=timedelta(hours=1))
    assert report["alarms"]["files_after"] < report["alarms"]["files_before"]
    assert alarms.read_checks().equals(before)
