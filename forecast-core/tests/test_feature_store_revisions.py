"""Observations with revisions: the state as of every reference time is that of an oracle which keeps every ingest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast_core.feature_store import FeatureStore, IngestCounts, revisions
from forecast_core.schema import KEY, OBSERVATIONS
from forecast_core.settings import Settings
from forecast_core.window import HOUR, Window

START = datetime(2022, 12, 31, 22, tzinfo=UTC)
"""Hours on both sides of a day's, a month's and a year's end."""
SERIES = (("DK1", "111"), ("DK2", "112"))
HOURS = 3
TIMES = tuple(START + timedelta(days=20, minutes=30 * step, microseconds=step) for step in range(6))

Values = dict[tuple[str, str, datetime], float]


@dataclass(frozen=True)
class Said:
    """One ingest in full."""

    window: Window
    known_at: datetime
    values: Values

    def frame(self) -> pl.DataFrame:
        rows = [(*key, value) for key, value in self.values.items()]
        return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


def oracle(ingests: Sequence[Said], known_at: datetime) -> pl.DataFrame:
    """The newest value per key; of several at the same time, the one that arrived first."""
    state: dict[tuple[str, str, datetime], tuple[datetime, float]] = {}
    for said in ingests:
        for key, value in said.values.items():
            if said.known_at <= known_at and (key not in state or state[key][0] < said.known_at):
                state[key] = (said.known_at, value)
    rows = [(*key, value) for key, (_, value) in sorted(state.items())]
    return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


def identical(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    bits = pl.col("energy_consumption").reinterpret(dtype=pl.Int64)
    return left.with_columns(bits).equals(right.with_columns(bits))


@st.composite
def said(draw: st.DrawFn) -> Said:
    first = draw(st.integers(0, HOURS - 1))
    hours = draw(st.integers(1, HOURS - first))
    window = Window(START + first * HOUR, START + (first + hours) * HOUR)
    keys = [(*series, window.start + step * HOUR) for series in SERIES for step in range(hours)]
    values = st.sampled_from([None, 1.0, 2.0, 0.0, -0.0])
    drawn = {key: draw(values) for key in keys}
    return Said(window, draw(st.sampled_from(TIMES)), {k: v for k, v in drawn.items() if v is not None})


@given(st.lists(said(), min_size=4, max_size=9))
@settings(max_examples=40, deadline=None, database=None)
def test_planned_rows_give_the_state_of_the_oracle_as_of_every_time(ingests: list[Said]) -> None:
    stored = pl.DataFrame(schema=revisions.REVISIONS)
    coverage = pl.DataFrame(schema=revisions.COVERAGE)
    for each in ingests:
        inside = pl.col("datetime_utc").is_between(each.window.start, each.window.end, closed="left")
        _, rows = revisions.plan(
            each.frame(),
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
        assert identical(state, oracle(ingests, known_at))
    # At most one value and one marker per key and time, so that no state depends on the order of rows.
    assert not stored.select(*KEY, "known_at", pl.col("energy_consumption").is_null()).is_duplicated().any()


def store_at(root: str | Path) -> FeatureStore:
    return FeatureStore(Settings(root_dir=Path(root)))


def ingest(store: FeatureStore, each: Said) -> IngestCounts:
    return store.ingest(
        each.frame(),
        dataset="demo",
        feature_group_version=1,
        window=each.window,
        known_at=each.known_at,
        url="demo://denmark",
        record={},
    )


def read(store: FeatureStore, known_at: datetime) -> pl.DataFrame:
    everything = Window(START - 48 * HOUR, START + 48 * HOUR)
    return store.read(dataset="demo", feature_group_version=1, window=everything, known_at=known_at)


@given(st.lists(said(), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None, database=None)
def test_the_stored_state_is_that_of_the_oracle_as_of_every_time(ingests: list[Said]) -> None:
    with TemporaryDirectory() as root:
        store = store_at(root)
        for each in ingests:
            ingest(store, each)
        for known_at in TIMES:
            assert identical(read(store, known_at), oracle(ingests, known_at))


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
    rows = pl.read_delta(str(tmp_path / "store" / "observations" / "demo" / "v1"))
    # In order 0, 4, 2, 1 only the first has something new to say; each has its row of coverage.
    assert rows.filter(pl.col("date").is_not_null()).height == 2
    assert rows.filter(pl.col("date").is_null()).height == 4


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
    key = ("DK1", "111", START)
    both = [(*key, None, TIMES[1]), (*key, 5.0, TIMES[1])]
    counts, rows = revisions.plan(
        one(TIMES[2], 5.0, hours=1).frame(),
        window=Window(START, START + HOUR),
        known_at=TIMES[2],
        stored=pl.DataFrame(both if marker_first else both[::-1], schema=revisions.REVISIONS, orient="row"),
        coverage=pl.DataFrame(schema=revisions.COVERAGE),
    )
    assert (counts, rows.height) == (IngestCounts(1, 0, 0, 0, 0), 0)


def test_a_reader_keeps_its_version_while_others_write(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    ingest(store, one(TIMES[0], 1.0))
    version = observation_table(tmp_path).version()
    ingest(store, one(TIMES[1], 2.0))
    assert observation_table(tmp_path).version() == version + 1
    assert read(store, TIMES[0])["energy_consumption"].to_list() == [1.0, 1.0]
