"""The watch: missing runs and data raise an alarm once, which clears when they arrive."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from batch_prediction_pipeline import batch, monitoring
from batch_prediction_pipeline.__main__ import main
from batch_prediction_pipeline.monitoring import watch, watched
from feature_pipeline import demo
from forecast_core.alarms import Alarms
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)


def run(system: Any, register: Any, reference: datetime) -> None:
    made = system.ingest(reference)
    model = register(made.pop("training_dataset_version"), at=reference)
    batch.predict(24, model_version=model, **made, settings=system.settings)


def due(system: Any, now: datetime) -> list[tuple[str, str]]:
    found = watch.check(now, settings=system.settings)
    assert json.loads(json.dumps(found)) == found
    watch.told(found["due"], now, settings=system.settings)
    return [(each["kind"], each["notice"]) for each in found["due"]]


def test_a_system_that_never_ran_has_nothing_to_be_late(system: Any) -> None:
    assert watch.check(REFERENCE, settings=system.settings) == {"open": 0, "due": []}


def test_missing_runs_and_forecasts_are_told_once_and_cleared_when_they_come(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    assert due(system, REFERENCE + 2 * HOUR) == []
    assert due(system, REFERENCE + 3 * HOUR) == [("forecast", "notify"), ("run", "notify")]
    assert due(system, REFERENCE + 4 * HOUR) == []
    [message] = {row["message"] for row in Alarms(system.settings).read().to_dicts() if row["kind"] == "forecast"}
    assert message == "no run has archived forecasts since 2023-02-01 12:00 UTC, 4.0 hours ago"
    # A run that ingests and then fails: the run is back, its forecasts are not.
    system.ingest(REFERENCE + 5 * HOUR)
    assert due(system, REFERENCE + 5 * HOUR) == [("run", "cleared")]
    run(system, register, REFERENCE + 6 * HOUR)
    assert due(system, REFERENCE + 6 * HOUR) == [("forecast", "cleared")]
    assert watch.check(REFERENCE + 6 * HOUR, settings=system.settings) == {"open": 0, "due": []}


def test_a_first_run_that_never_came_to_its_forecasts_is_missed(system: Any) -> None:
    system.ingest(REFERENCE)
    assert due(system, REFERENCE + 3 * HOUR) == [("forecast", "notify"), ("run", "notify")]


def test_what_could_not_be_sent_is_due_again(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    first = watch.check(REFERENCE + 3 * HOUR, settings=system.settings)
    again = watch.check(REFERENCE + 3.5 * HOUR, settings=system.settings)
    assert [each["kind"] for each in again["due"]] == [each["kind"] for each in first["due"]] == ["forecast", "run"]
    assert watch.told(again["due"][:1], REFERENCE + 3.5 * HOUR, settings=system.settings) == {"told": 1}
    assert [each["kind"] for each in watch.check(REFERENCE + 4 * HOUR, settings=system.settings)["due"]] == ["run"]


def test_data_that_are_later_than_usual_are_an_alarm(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    store = FeatureStore(system.settings)
    later = REFERENCE + timedelta(days=2)
    window = Window.before(later, days_delay=1, days_export=3)
    # The source answers, but its newest two days are empty.
    group: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
    old = store.read(**group, window=window, reference_datetime=REFERENCE)
    frame = old.filter(pl.col("datetime_utc") < window.end - timedelta(days=2)).select(OBSERVATIONS.names())
    store.ingest(frame, **group, window=window, reference_datetime=later, url="demo://denmark", record={})
    found = watch.check(later, settings=system.settings)["due"]
    assert "data" in {each["kind"] for each in found}
    [text] = [each["text"] for each in found if each["kind"] == "data"]
    assert "48.0 hours later than with the usual delay of 1.0 days" in text


@pytest.mark.parametrize("hours", [48, 168, 194, 700])
def test_the_lateness_of_data_is_the_true_one_however_long_the_source_has_stalled(
    system: Any, register: Any, hours: int
) -> None:
    """The class of the fault: the newest value was looked for in a window, so lateness ended at the window's start."""
    run(system, register, REFERENCE)
    later = REFERENCE + timedelta(hours=hours)
    # The source answers each time, with nothing for the whole window in the end.
    window = Window.before(later, days_delay=1, days_export=3)
    group: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
    times: dict[str, Any] = {"window": window, "reference_datetime": later}
    empty = pl.DataFrame(schema=OBSERVATIONS)
    if hours < 72:
        known = system_values(system, window)
        empty = known.filter(pl.col("datetime_utc") < REFERENCE - timedelta(days=1))
    FeatureStore(system.settings).ingest(empty, **group, **times, url="demo://denmark", record={})
    [text] = [each["text"] for each in watch.check(later, settings=system.settings)["due"] if each["kind"] == "data"]
    newest = f"{REFERENCE - timedelta(days=1):%Y-%m-%d %H:%M}"
    assert f"the newest observation ends at {newest} UTC: {hours}.0 hours later than with the usual" in text
    # Later values of a reference time after now are not known yet, and values clear the alarm.
    system.ingest(later + HOUR)
    assert due(system, later + HOUR)[-1:] != [("data", "notify")]


def system_values(system: Any, window: Window) -> pl.DataFrame:
    store = FeatureStore(system.settings)
    known = store.read(dataset="demo", feature_group_version=1, window=window, reference_datetime=REFERENCE)
    return known.select(OBSERVATIONS.names())


def test_what_monitoring_finds_is_told_by_the_watch_and_asks_for_tuning_once(system: Any, register: Any) -> None:
    tight = type(system)(system.settings.model_copy(update={"alarm_fallback": 0.0}))
    run(tight, register, REFERENCE)
    result = monitoring.compute(1, reference_datetime=REFERENCE + HOUR, settings=tight.settings)
    assert [(each["kind"], each["level"]) for each in result["alarms"]] == [("fallback", "notify")]
    assert monitoring.compute(1, reference_datetime=REFERENCE + HOUR, settings=tight.settings) == result
    assert due(tight, REFERENCE + HOUR) == [("fallback", "notify")]
    assert due(tight, REFERENCE + 1.5 * HOUR) == []


def test_the_watch_can_be_asked_from_a_shell(system: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(system.settings.root))
    assert main(["watch", "--now", "2023-02-01T12:00"]) == 0
    assert json.loads(capsys.readouterr().out) == {"open": 0, "due": []}
    system.ingest(REFERENCE)
    assert main(["retire-view", "--feature-view-version", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["retired"] is True


def other_dataset(system: Any, register: Any, reference: datetime) -> int:
    """Ingest and forecast at a reference time with a second dataset; return its feature view."""
    store, window = FeatureStore(system.settings), Window.before(reference, days_delay=1, days_export=16)
    frame = demo.observations(window.start, window.end, known_at=reference)
    frame = frame.filter(pl.col("area") == "DK2", pl.col("consumer_type") == "111")
    group: dict[str, Any] = {"dataset": "other", "feature_group_version": 1}
    times: dict[str, Any] = {"window": window, "reference_datetime": reference}
    store.ingest(frame, **group, **times, url="demo://denmark", record={})
    view = store.create_feature_view(**group)
    dataset = store.create_training_dataset(feature_view_version=view, **times)
    model = register(dataset.version, at=reference)
    bounds: dict[str, Any] = {
        "start_datetime": window.start,
        "end_datetime": window.end,
        "reference_datetime": reference,
    }
    batch.predict(24, view, model, **bounds, settings=system.settings)
    return view


def test_every_dataset_that_forecasts_is_watched_and_named_until_it_is_retired(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    view = other_dataset(system, register, REFERENCE + HOUR)
    assert view == 2
    late = REFERENCE + 5 * HOUR
    found = watch.check(late, settings=system.settings)["due"]
    names = [(each["kind"], each["dataset"], each["feature_view_version"]) for each in found]
    assert names == [("forecast", "demo", 1), ("run", "demo", 1), ("forecast", "other", 2), ("run", "other", 2)]
    assert "alarm: forecast in other (feature view 2), since 2023-02-01 17:00 UTC: " in found[2]["text"]
    # Each is told, and recorded, by itself.
    assert watch.told(found[:2], late, settings=system.settings) == {"told": 2}
    assert [each["dataset"] for each in watch.check(late, settings=system.settings)["due"]] == ["other", "other"]
    watch.told(found, late, settings=system.settings)
    # The first dataset is given up; the second goes on.
    given_up = watched.retire(1, late, settings=system.settings)
    assert given_up == {"feature_view_version": 1, "dataset": "demo", "retired": True, "changed": True}
    other_dataset(system, register, late)
    assert due(system, late + HOUR) == [("forecast", "cleared"), ("run", "cleared")]
    assert watch.check(late + 2 * HOUR, settings=system.settings) == {"open": 0, "due": []}


def test_a_retired_view_is_watched_again_from_a_new_run_or_by_command(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    watched.retire(1, REFERENCE + HOUR, settings=system.settings)
    assert due(system, REFERENCE + 4 * HOUR) == []
    assert watched.retire("1", REFERENCE, undo=True, settings=system.settings)["changed"]
    assert due(system, REFERENCE + 4 * HOUR) == [("forecast", "notify"), ("run", "notify")]
    watched.retire(1, REFERENCE + 4 * HOUR, settings=system.settings)
    run(system, register, REFERENCE + 5 * HOUR)
    # What was told before the view was retired is over.
    assert due(system, REFERENCE + 5 * HOUR) == [("forecast", "cleared"), ("run", "cleared")]
    assert due(system, REFERENCE + 8 * HOUR) == [("forecast", "notify"), ("run", "notify")]
    with pytest.raises(NotFoundError, match=r"no feature view version 9; there are \[1\]"):
        watched.retire(9, REFERENCE, settings=system.settings)


def test_an_alarm_that_changes_between_sending_and_recording_is_told_to_its_end(system: Any, register: Any) -> None:
    run(system, register, REFERENCE)
    sent = watch.check(REFERENCE + 3 * HOUR, settings=system.settings)["due"]
    # The next run comes before what was sent has been recorded.
    run(system, register, REFERENCE + 3 * HOUR)
    watch.check(REFERENCE + 3.5 * HOUR, settings=system.settings)
    assert watch.told(json.loads(json.dumps(sent)), REFERENCE + 3 * HOUR, settings=system.settings) == {"told": 2}
    assert due(system, REFERENCE + 4 * HOUR) == [("forecast", "cleared"), ("run", "cleared")]
    assert due(system, REFERENCE + 4.5 * HOUR) == []
    with pytest.raises(InvalidArgument, match="they have no feature_view_version"):
        watch.told([{"kind": "run"}], REFERENCE, settings=system.settings)
