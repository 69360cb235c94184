"""Observations with revisions: the state as of any reference time equals that of an oracle that keeps every ingest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast_core import stores
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore, IngestCounts, RemovedValues, observations, removal, revisions

START = datetime(2022, 12, 31, 22, tzinfo=UTC)
"""Hours on both sides of a day's, a month's and a year's end."""
SERIES = (("DK1", "111"), ("DK2", "112"))
HOURS = 3
TIMES = tuple(START + timedelta(days=20, minutes=30 * step, microseconds=step) for step in range(6))

REVISIONS = pl.Schema({**OBSERVATIONS, "known_at": UTC_HOUR})
CHANGES = pl.Schema({**OBSERVATIONS, "before": pl.Float64(), "after": pl.Float64()})
del CHANGES["energy_consumption"]

Values = dict[tuple[str, str, datetime], float]


@dataclass(frozen=True)
class Said:
    """One ingest in full."""

    window: Window
    known_at: datetime
    values: Values

    def asked(self) -> list[tuple[str, str, datetime]]:
        return [(*series, self.window.start + step * HOUR) for series in SERIES for step in range(self.window.hours)]

    def frame(self) -> pl.DataFrame:
        rows = [(*key, value) for key, value in self.values.items()]
        return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


Key = tuple[str, str, datetime]


def history(ingests: Sequence[Said]) -> dict[Key, list[tuple[datetime, float | None]]]:
    """The oracle: every ingest in full, per key in order of time; None where it asked and there was nothing.

    Of several at the same time the value that arrived first counts.
    """
    said: dict[Key, dict[datetime, float | None]] = {}
    for each in ingests:
        for key in each.asked():
            at = said.setdefault(key, {})
            value = at.get(each.known_at)
            at[each.known_at] = each.values.get(key) if value is None else value
    return {key: sorted(at.items()) for key, at in sorted(said.items())}


def bits(value: float | None) -> str:
    return repr(value)


def oracle(ingests: Sequence[Said], known_at: datetime) -> pl.DataFrame:
    """The newest value per key."""
    rows = []
    for key, states in history(ingests).items():
        values = [value for at, value in states if at <= known_at and value is not None]
        rows += [(*key, value) for value in values[-1:]]
    return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


def oracle_known(ingests: Sequence[Said], known_at: datetime) -> pl.DataFrame:
    """The newest value per key, and the first time of the last unbroken row of it; absence breaks nothing."""
    rows = []
    for key, states in history(ingests).items():
        seen: list[tuple[float, datetime]] = []
        for at, value in states:
            if at <= known_at and value is not None and (not seen or bits(seen[-1][0]) != bits(value)):
                seen.append((value, at))
        rows += [(*key, value, at) for value, at in seen[-1:]]
    return pl.DataFrame(rows, schema=REVISIONS, orient="row")


def oracle_revisions(ingests: Sequence[Said], known_until: datetime) -> pl.DataFrame:
    """Every change of state."""
    rows = []
    for key, states in history(ingests).items():
        before: float | None = None
        for at, value in states:
            if at <= known_until and bits(before) != bits(value):
                rows.append((*key, value, at))
                before = value
    return pl.DataFrame(rows, schema=REVISIONS, orient="row")


def oracle_changes(ingests: Sequence[Said], known_from: datetime, known_to: datetime) -> pl.DataFrame:
    """Values that differ between two states."""
    before, after = (
        {row[:3]: row[3] for row in oracle(ingests, known_at).iter_rows()} for known_at in (known_from, known_to)
    )
    rows = [(*key, before.get(key), value) for key, value in after.items() if bits(before.get(key)) != bits(value)]
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def identical(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    bits = pl.col(pl.Float64).reinterpret(dtype=pl.Int64)
    return left.schema == right.schema and left.with_columns(bits).equals(right.with_columns(bits))


@st.composite
def said(draw: st.DrawFn) -> Said:
    first = draw(st.integers(0, HOURS - 1))
    hours = draw(st.integers(1, HOURS - first))
    window = Window(START + first * HOUR, START + (first + hours) * HOUR)
    values = st.sampled_from([None, 1.0, 2.0, 0.0, -0.0])
    asked = Said(window, draw(st.sampled_from(TIMES)), {})
    drawn = {key: draw(values) for key in asked.asked()}
    return replace(asked, values={key: value for key, value in drawn.items() if value is not None})


@given(st.lists(said(), min_size=4, max_size=9))
@settings(max_examples=40, deadline=None, database=None)
def test_planned_rows_give_the_state_of_the_oracle_as_of_every_time(ingests: list[Said]) -> None:
    stored = pl.DataFrame(schema=revisions.REVISIONS)
    coverage = pl.DataFrame(schema=revisions.COVERAGE)
    for each in ingests:
        inside = pl.col("datetime_utc").is_between(each.window.start, each.window.end, closed="left")
        _, rows = revisions.plan(
            numbered(each.frame()),
            window=each.window,
            known_at=each.known_at,
            stored=stored.filter(inside),
            coverage=coverage.filter(pl.col("known_at") >= each.known_at),
        )
        asked = (each.window.start, each.window.hours, each.known_at)
        # The newest first: no result depends on the order of rows.
        stored = pl.concat([rows, stored])
        coverage = pl.concat([coverage, pl.DataFrame([asked], schema=revisions.COVERAGE, orient="row")])
    for known_at in TIMES:
        state = revisions.as_known_at(stored.lazy(), known_at).collect()
        assert identical(state, numbered(oracle(ingests, known_at)))
    # At most one value and one marker per key and time, so that no state depends on the order of rows.
    assert not stored.select(*revisions.KEY, "known_at", pl.col("energy_consumption").is_null()).is_duplicated().any()


GROUP: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
EVERYTHING = Window(START - 48 * HOUR, START + 48 * HOUR)


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = {series: number for number, series in enumerate(SERIES)}
    rows = [(numbers[area, kind], hour, value) for area, kind, hour, value in frame.iter_rows()]
    return pl.DataFrame(rows, schema=revisions.VALUES, orient="row")


def store_at(root: str | Path) -> FeatureStore:
    return FeatureStore(Settings(root_dir=Path(root)))


def ingest(store: FeatureStore, each: Said) -> IngestCounts:
    return store.ingest(
        each.frame(),
        dataset="demo",
        feature_group_version=1,
        window=each.window,
        reference_datetime=each.known_at,
        url="demo://denmark",
        record={},
    )


def read(store: FeatureStore, known_at: datetime) -> pl.DataFrame:
    return store.read(**GROUP, window=EVERYTHING, reference_datetime=known_at)


MAINTAIN = "maintain"


@given(st.lists(st.one_of(said(), said(), st.just(MAINTAIN)), min_size=2, max_size=7), st.sampled_from([2, 5, 1 << 21]))
@settings(max_examples=8, deadline=None, database=None)
def test_the_stored_state_is_that_of_the_oracle_as_of_every_time(events: list[Said | str], file_rows: int) -> None:
    ingests = [each for each in events if isinstance(each, Said)]
    with TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(observations, "FILE_ROWS", file_rows)
        store = store_at(root)
        for each in (*events, *ingests[:1]):
            if isinstance(each, Said):
                ingest(store, each)
            else:
                stores.maintain(store.settings, keep=HOUR)
        if ingests:
            assert_as_of_every_time(store, ingests)


def assert_as_of_every_time(store: FeatureStore, ingests: Sequence[Said]) -> None:
    for known_at in TIMES:
        assert identical(read(store, known_at), oracle(ingests, known_at))
        assert identical(
            store.read(with_known_at=True, **GROUP, window=EVERYTHING, reference_datetime=known_at),
            oracle_known(ingests, known_at),
        )
        stored = store.read_revisions(**GROUP, window=EVERYTHING, known_until=known_at)
        assert identical(stored, oracle_revisions(ingests, known_at))
        changes = store.changes(**GROUP, window=EVERYTHING, known_from=TIMES[2], known_to=max(TIMES[2], known_at))
        assert identical(changes, oracle_changes(ingests, TIMES[2], max(TIMES[2], known_at)))


def observation_table(root: Path) -> DeltaTable:
    return DeltaTable(str(root / "store" / "observations" / "demo" / "v1"))


def one(known_at: datetime, value: float | None, hours: int = 2) -> Said:
    keys = [("DK1", "111", START + step * HOUR) for step in range(hours)]
    return Said(Window(START, START + hours * HOUR), known_at, {} if value is None else dict.fromkeys(keys, value))


def test_the_same_ingest_again_commits_nothing(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    first = ingest(store, one(TIMES[1], 1.0))
    tables = [tmp_path / "store" / "observations" / "demo" / "v1", tmp_path / "store" / "ingests"]
    before = [DeltaTable(str(table)).version() for table in tables]
    assert ingest(store, one(TIMES[1], 1.0)) == first == IngestCounts(2, 2, 0, 0, 0)
    assert [DeltaTable(str(table)).version() for table in tables] == before


def test_only_changes_are_stored(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for known_at in (TIMES[0], TIMES[4], TIMES[2], TIMES[1]):
        ingest(store, one(known_at, 1.0))
    kinds = pl.read_delta(str(tmp_path / "store" / "observations" / "demo" / "v1"))["kind"].value_counts()
    # In order 0, 4, 2, 1 only the first has something new to say; each has its row of coverage.
    assert dict(kinds.iter_rows()) == {"first": 2, "series": 1, "coverage": 4}


def test_an_ingest_put_in_between_does_not_change_what_was_known_later(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for known_at in (TIMES[0], TIMES[4], TIMES[5]):
        ingest(store, one(known_at, 1.0))
    assert ingest(store, one(TIMES[2], 7.0)) == IngestCounts(2, 0, 2, 0, 0)
    seen = [read(store, known_at)["energy_consumption"].to_list() for known_at in TIMES]
    assert seen == [[1.0, 1.0]] * 2 + [[7.0, 7.0]] * 2 + [[1.0, 1.0]] * 2


def test_a_value_that_is_absent_later_is_kept_and_counted_as_vanished(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[0], 1.0))
    assert ingest(store, one(TIMES[1], None)) == IngestCounts(0, 0, 0, 2, 0)
    assert ingest(store, one(TIMES[2], 1.0)) == IngestCounts(2, 0, 0, 0, 0)
    assert read(store, TIMES[1])["energy_consumption"].to_list() == [1.0, 1.0]


def test_of_two_values_for_the_same_time_the_first_stays_and_the_other_is_counted(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[0], 1.0, hours=1))
    assert ingest(store, one(TIMES[0], 5.0, hours=2)) == IngestCounts(2, 1, 0, 0, 1)
    assert read(store, TIMES[0])["energy_consumption"].to_list() == [1.0, 5.0]


@pytest.mark.parametrize("marker_first", [True, False])
def test_of_a_value_and_its_absence_at_the_same_time_the_value_counts(*, marker_first: bool) -> None:
    key = (0, START)
    both = [(*key, None, TIMES[1]), (*key, 5.0, TIMES[1])]
    counts, rows = revisions.plan(
        numbered(one(TIMES[2], 5.0, hours=1).frame()),
        window=Window(START, START + HOUR),
        known_at=TIMES[2],
        stored=pl.DataFrame(both if marker_first else both[::-1], schema=revisions.REVISIONS, orient="row"),
        coverage=pl.DataFrame(schema=revisions.COVERAGE),
    )
    assert (counts, rows.height) == (IngestCounts(1, 0, 0, 0, 0), 0)


def test_rows_that_say_nothing_any_more_are_dropped_by_maintenance(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingests = [one(TIMES[0], 1.0), one(TIMES[3], 7.0), one(TIMES[5], 2.0), one(TIMES[2], 7.0), one(TIMES[1], 7.0)]
    for each in ingests:
        ingest(store, each)
    report = stores.maintain(store.settings, keep=HOUR)["observations/demo/v1"]
    # Since the ingest at TIMES[1] came, 7.0 was no longer a change at TIMES[2] and TIMES[3].
    assert report == {"files_before": 11, "files_after": 4, "files_deleted": 0, "rows_dropped": 4}
    assert_as_of_every_time(store, ingests)
    assert stores.maintain(store.settings, keep=HOUR)["observations/demo/v1"]["rows_dropped"] == 0
    # What was implicit is still known: an ingest put in between does not change what was seen after it.
    ingest(store, one(TIMES[4], 9.0))
    assert_as_of_every_time(store, [*ingests, one(TIMES[4], 9.0)])


def test_some_series_are_read_alone(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    keys = [(*series, START) for series in SERIES]
    ingest(store, Said(Window(START, START + HOUR), TIMES[0], dict.fromkeys(keys, 1.0)))
    wanted = [SERIES[1], ("DK2", "111"), SERIES[1]]
    for also in (False, True):
        found = store.read(**GROUP, window=EVERYTHING, reference_datetime=TIMES[1], series=wanted, with_known_at=also)
        assert found.select(KEY).rows() == [keys[1]]
    assert store.read_revisions(**GROUP, window=EVERYTHING, series=wanted).height == 1
    assert store.read(**GROUP, window=EVERYTHING, reference_datetime=TIMES[1], series=[]).is_empty()
    assert store.known_series(**GROUP, reference_datetime=TIMES[1]) == list(SERIES)
    assert store.known_series(**GROUP, reference_datetime=TIMES[0] - HOUR) == []
    assert store.known_series(dataset="other", feature_group_version=1, reference_datetime=TIMES[1]) == []


def test_hours_are_covered_by_ingests_together_and_only_by_those_from_a_time_on(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert not store.covered(**GROUP, window=Window(START, START + HOUR), reference_datetime=TIMES[0])
    for first, hours, known_at in ((2, 2, TIMES[3]), (0, 2, TIMES[2]), (6, 1, TIMES[3])):
        ingest(store, Said(Window(START + first * HOUR, START + (first + hours) * HOUR), known_at, {}))
    four = Window(START, START + 4 * HOUR)
    assert store.covered(**GROUP, window=four, reference_datetime=TIMES[2])
    assert not store.covered(**GROUP, window=four, reference_datetime=TIMES[3])
    assert store.covered(**GROUP, window=Window(START + 2 * HOUR, four.end), reference_datetime=TIMES[3])
    assert not store.covered(**GROUP, window=Window(START, START + 5 * HOUR), reference_datetime=TIMES[2])
    assert [(each.known_at, each.window.hours) for each in store.ingests(**GROUP)] == [
        (TIMES[2], 2),
        (TIMES[3], 2),
        (TIMES[3], 1),
    ]
    assert store.ingests(dataset="other") == []


def test_changes_go_forwards_in_time(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[0], 1.0))
    with pytest.raises(InvalidArgument, match="to a later one"):
        store.changes(**GROUP, window=EVERYTHING, known_from=TIMES[1], known_to=TIMES[0])


def test_a_reader_keeps_its_version_while_others_write(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[0], 1.0))
    version = observation_table(tmp_path).version()
    ingest(store, one(TIMES[1], 2.0))
    assert observation_table(tmp_path).version() == version + 1
    assert read(store, TIMES[0])["energy_consumption"].to_list() == [1.0, 1.0]


@given(st.lists(said(), min_size=2, max_size=7), st.sampled_from(TIMES), st.sampled_from([2, 1 << 21]), st.booleans())
@settings(max_examples=10, deadline=None, database=None)
def test_a_removed_ingest_leaves_the_state_of_the_others_as_of_every_time(
    ingests: list[Said], wrong: datetime, file_rows: int, maintained: bool
) -> None:
    """Class: what a removed ingest brought is gone, and what later ingests repeated is known since these."""
    with TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(observations, "FILE_ROWS", file_rows)
        store = store_at(root)
        for each in ingests:
            ingest(store, each)
        if maintained:
            stores.maintain(store.settings, keep=HOUR)
        removed, values = store.remove_ingests(**GROUP, reference_datetime=wrong)
        assert removed == len({(each.window.start, each.window.end) for each in ingests if each.known_at == wrong})
        left = [each for each in ingests if each.known_at != wrong]
        assert_as_of_every_time(store, left)
        assert store.remove_ingests(**GROUP, reference_datetime=wrong) == (0, RemovedValues(0, 0, 0))
        never = [*(each for each in left if each.values)]
        for known_at in TIMES:
            series = {key[:2] for each in never if each.known_at <= known_at for key in each.values}
            assert store.known_series(**GROUP, reference_datetime=known_at) == sorted(series)
        # A rerun makes it again, and later ingests and upkeep find a sound table.
        again = [each for each in ingests if each.known_at == wrong]
        for each in again:
            ingest(store, each)
        stores.maintain(store.settings, keep=HOUR)
        assert_as_of_every_time(store, [*left, *again])
        assert values.lost <= values.values


def test_a_value_that_only_the_removed_ingest_brought_is_gone_and_one_that_came_again_stays(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[1], 1.0, hours=3))
    ingest(store, one(TIMES[2], 1.0, hours=2))
    removed, values = store.remove_ingests(**GROUP, reference_datetime=TIMES[1])
    assert (removed, values) == (1, RemovedValues(values=3, kept=2, lost=1))
    assert read(store, TIMES[1]).is_empty()
    assert read(store, TIMES[2]).height == 2
    assert [each.known_at for each in store.ingests()] == [TIMES[2]]


def test_a_removal_that_was_killed_before_the_ingest_was_taken_out_is_ended_by_the_next(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[1], 1.0))
    removal.remove(store._group("demo", 1), known_at=TIMES[1])
    assert read(store, TIMES[5]).is_empty()
    assert store.remove_ingests(**GROUP, reference_datetime=TIMES[1]) == (1, RemovedValues(0, 0, 0))
    assert store.ingests() == []


def test_nothing_is_removed_from_a_group_that_does_not_exist(tmp_path: Path) -> None:
    assert store_at(tmp_path).remove_ingests(**GROUP, reference_datetime=TIMES[1]) == (0, RemovedValues(0, 0, 0))
    assert not (tmp_path / "store").exists()
