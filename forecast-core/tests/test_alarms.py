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
        assert alarms.mark_told(due, notified_at=START + hour * HOUR) == due.height
        assert alarms.mark_told(due, notified_at=START + hour * HOUR) == 0
    assert told == [[], ["notify"], [], ["tune"], [], ["cleared"], [], ["notify"]]
    assert hours(alarms.read(), "notified_at") == [(3,), (7,)]


def test_what_opened_and_cleared_before_anybody_looked_is_not_told(alarms: Alarms) -> None:
    for hour, level in enumerate(["notify", "ok"]):
        alarms.write(evaluation(hour, level))
    assert alarms.due().is_empty()


def test_an_open_alarm_that_turns_out_to_have_begun_earlier_is_not_told_again(alarms: Alarms) -> None:
    alarms.write(evaluation(5, "notify"))
    alarms.mark_told(alarms.due(), notified_at=START + 5 * HOUR)
    alarms.write(evaluation(4, "notify"))
    assert hours(alarms.read(), "opened_at", "notified_at") == [(4, 5)]
    assert alarms.due().is_empty()


def test_what_was_told_is_recorded_as_it_was_told_whatever_became_of_the_alarm(alarms: Alarms) -> None:
    alarms.write(evaluation(0, "notify"))
    sent = alarms.due()
    # Between sending and recording, the alarm rises; then it clears.
    alarms.write(evaluation(1, "tune"))
    assert alarms.mark_told(sent, notified_at=START) == 1
    raised = alarms.due()
    assert raised["notice"].to_list() == ["tune"]
    alarms.write(evaluation(2, "ok"))
    assert alarms.mark_told(raised, notified_at=START + HOUR) == 1
    assert alarms.due()["notice"].to_list() == ["cleared"]
    alarms.mark_told(alarms.due(), notified_at=START + 2 * HOUR)
    assert alarms.due().is_empty()


def test_an_alarm_that_was_told_and_is_found_no_more_is_told_to_be_cleared(alarms: Alarms) -> None:
    alarms.write(evaluation(0, "notify"))
    alarms.mark_told(alarms.due(), notified_at=START)
    alarms.write(evaluation(0, "ok"))
    assert alarms.read().is_empty()
    assert alarms.due().select("notice", "kind", "opened_at").rows() == [("cleared", "skill", START)]
    alarms.mark_told(alarms.due(), notified_at=START + HOUR)
    assert alarms.due().is_empty()


def test_a_new_alarm_is_told_and_cleared_by_itself_when_the_one_before_was_cleared_late(alarms: Alarms) -> None:
    told = []
    for hour, level in enumerate(["notify", "ok", "notify", "ok", "ok"]):
        alarms.write(evaluation(hour, level))
        if hour == 1:
            continue  # nobody looked while the first was clear
        due = alarms.due()
        told.append(sorted(due["notice"].to_list()))
        alarms.mark_told(due, notified_at=START + hour * HOUR)
    assert told == [["notify"], ["cleared", "notify"], ["cleared"], []]


def test_alarms_of_all_views_stand_until_a_view_is_retired(alarms: Alarms) -> None:
    alarms.write(evaluation(0, "notify"))
    alarms.write(evaluation(1, "ok", view=2))
    alarms.write(evaluation(1, "notify", view=3))
    assert alarms.read()["feature_view_version"].to_list() == [3, 1]
    # Two views may have an alarm of one kind, opened at one time; each is told, and recorded, by itself.
    alarms.write(evaluation(0, "notify", view=3))
    assert alarms.mark_told(alarms.due().filter(feature_view_version=1), notified_at=START + HOUR) == 1
    assert alarms.due()["feature_view_version"].to_list() == [3]
    assert alarms.retire_view(3, retired_at=START + 2 * HOUR)
    assert not alarms.retire_view(3, retired_at=START + 3 * HOUR)
    assert alarms.due().is_empty()
    for only_open in (True, False):
        assert alarms.read(only_open=only_open)["feature_view_version"].to_list() == [1]
        assert alarms.read(as_of=START + HOUR, only_open=only_open)["feature_view_version"].to_list() == [1, 3]
        assert alarms.read(feature_view_version=3, only_open=only_open).height == 1
    assert alarms.retired_views() == {3: START + 2 * HOUR}
    assert alarms.restore_view(3)
    assert not alarms.restore_view(3)
    assert alarms.due()["feature_view_version"].to_list() == [3]


@pytest.mark.parametrize("seed", range(4))
def test_the_last_days_of_checks_give_the_same_open_alarms_and_notices_as_all_of_them(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two views, with outages of hours and of days, alarms of minutes and of weeks, and looks at any time."""
    chance = np.random.default_rng(seed)
    book, slow = Alarms(Settings(root_dir=tmp_path / "fast")), Alarms(Settings(root_dir=tmp_path / "slow"))
    monkeypatch.setattr(
        slow,
        "_recent",
        lambda views, until, _: slow.read_checks(as_of=until).filter(pl.col("feature_view_version").is_in(list(views))),
    )
    share = (0.02, 0.1, 0.5, 0.95)[seed]
    evaluators = [(view, source) for view in (1, 2) for source in ("monitoring", "watch")]
    hour = 0
    for _ in range(16):
        hour += int(chance.choice([1, 1, 3, 7, 30, 100], p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))
        for view, source in evaluators:
            if chance.random() < 0.75:
                level = str(chance.choice(["notify", "tune"])) if chance.random() < share else "ok"
                single = "notify" if chance.random() < share else "ok"
                frame = evaluation(hour, level, source=source, view=view, DK1_111=single)
                for each in (book, slow):
                    each.write(frame)
        if chance.random() < 0.5:
            due = slow.due()
            assert book.due().equals(due)
            part = due.filter(pl.Series(chance.random(due.height) < 0.7, dtype=pl.Boolean))
            for each in (book, slow):
                each.mark_told(part, notified_at=START + hour * HOUR)
        as_of = START + int(chance.integers(hour + 1)) * HOUR
        for until in (None, as_of):
            opened = book.read(only_open=True, as_of=until)
            assert opened.equals(slow.read(as_of=until).filter(pl.col("cleared_at").is_null()))
        last = book.read_last_checks(feature_view_version=1, as_of=as_of)["reference_datetime"].max()
        all_of_them = slow.read_checks(feature_view_version=1, as_of=as_of).filter(source="monitoring")
        assert last == all_of_them["reference_datetime"].max()


def test_only_the_last_days_are_read_while_nothing_stays_open(alarms: Alarms, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = Alarms._of_days
    for hour in range(0, 24 * 8, 6):
        for source in ("monitoring", "watch"):
            alarms.write(evaluation(hour, "notify" if hour % 48 == 0 else "ok", source=source))

    def counted(self: Alarms, *arguments: Any) -> Any:
        read.append(len(arguments[2]))
        return real(self, *arguments)

    monkeypatch.setattr(Alarms, "_of_days", counted)
    for only in (alarms.read(only_open=True), alarms.due()):
        assert only.is_empty()
    assert max(read) <= 4


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


@pytest.mark.parametrize("seed", range(2))
def test_whether_tuning_is_due_does_not_depend_on_the_order_in_which_hours_were_evaluated(
    seed: int, settings: Settings
) -> None:
    chance = np.random.default_rng(seed)
    levels = [str(chance.choice(list(LEVELS))) for _ in range(12)]
    frames = [evaluation(hour, level, source="monitoring") for hour, level in enumerate(levels)]
    frames += [evaluation(hour, "tune", source="watch") for hour in range(0, 12, 2)]
    forward, shuffled = (settings.model_copy(update={"root_dir": settings.root_dir / name}) for name in "ab")

    def due(of: Settings, hour: int) -> bool:
        return tuning_is_due(of, feature_view_version=1, reference_datetime=START + hour * HOUR)

    in_time = []
    for hour in range(12):
        in_time.append(due(forward, hour))
        for frame in frames:
            if frame["reference_datetime"][0] == START + hour * HOUR:
                Alarms(forward).write(frame)
    for place in chance.permutation(len(frames)):
        Alarms(shuffled).write(frames[place])
    assert [due(shuffled, hour) for hour in range(12)] == in_time
    assert any(in_time)


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
