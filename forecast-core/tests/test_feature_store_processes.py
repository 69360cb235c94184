"""Several processes on one store: nothing is lost, and one that is killed leaves nothing half done."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import strategies as st

from forecast_core import stores
from forecast_core.contracts.errors import NotFoundError, StorageError
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.tables import delta

START = datetime(2023, 1, 1, tzinfo=UTC)
HOURS = 30
RUNS = 8

# Runs hour after hour: the window slides, every third run restates what the last bit of its number says, and an hour is
# missing that comes a run later. Also run as a program: `python -c RUN_HOURS root hour hour ...`.
RUN_HOURS = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import polars as pl
from forecast_core.feature_store import FeatureStore
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.contracts.schema import HOUR

START, HOURS = datetime(2023, 1, 1, tzinfo=UTC), 30

def frame(run):
    hours = [step for step in range(run, run + HOURS) if step != run + HOURS - 2]
    rows = [("DK1", kind, START + step * HOUR, step + (run // 3 % 2) / 2) for kind in "abc" for step in hours]
    return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")

def ingest(store, run):
    window = Window(START + run * HOUR, START + (run + HOURS) * HOUR)
    return store.ingest(frame(run), dataset="demo", feature_group_version=1, window=window,
                        reference_datetime=START + timedelta(days=9) + run * HOUR,
                        url="demo://denmark", record={"run": run})

if __name__ == "__main__":
    store = FeatureStore(Settings(root_dir=Path(sys.argv[1])))
    print("ready", flush=True)
    for run in sys.argv[2:]:
        ingest(store, int(run))
"""


def start(root: Path, runs: Sequence[int]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", RUN_HOURS, str(root), *map(str, runs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: "subprocess.Popen[str]") -> None:
    with process:
        assert process.wait() == 0


def states(root: Path) -> list[pl.DataFrame]:
    store = FeatureStore(Settings(root_dir=root))
    window = Window(START, START + (HOURS + RUNS) * HOUR)
    times = [START + timedelta(days=9) + run * HOUR for run in range(-1, RUNS + 1)]
    return [store.read(dataset="demo", feature_group_version=1, window=window, reference_datetime=at) for at in times]


def facts(root: Path) -> pl.DataFrame:
    table = pl.read_delta(str(root / "store" / "ingests"))
    return table.select("known_at", "window_start", "window_end", "record").sort("known_at")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which one process ran the hours one after another."""
    root = tmp_path_factory.mktemp("alone")
    finish(start(root, range(RUNS)))
    return root


def assert_same(root: Path, alone: Path) -> None:
    for mine, expected in zip(states(root), states(alone), strict=True):
        assert mine.equals(expected)
    assert facts(root).equals(facts(alone))


def test_the_hours_run_one_by_one_are_what_each_gave(alone: Path) -> None:
    # The oracle of the tests below: a value of the newest run that had it.
    newest = states(alone)[-1].filter(pl.col("consumer_type") == "a")
    expected = {}
    for run in range(RUNS):
        for step in range(run, run + HOURS):
            if step != run + HOURS - 2:
                expected[START + step * HOUR] = step + (run // 3 % 2) / 2
    assert dict(newest.select("datetime_utc", "energy_consumption").iter_rows()) == expected
    assert states(alone)[0].is_empty()


@hypothesis.settings(max_examples=5, deadline=None)
@hypothesis.given(
    orders=st.tuples(*[st.lists(st.integers(0, RUNS - 1), min_size=2, max_size=RUNS)] * 2),
    killed_after=st.floats(0, 0.4),
)
def test_processes_in_any_order_in_parallel_repeated_and_killed_lose_nothing(
    alone: Path, orders: tuple[list[int], list[int]], killed_after: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # The tables do not exist yet; hours are run by one, by both, or again by the same.
        first, second = (start(root, order) for order in orders)
        time.sleep(killed_after)
        first.kill()
        with first:
            finish(second)
        # What is missing comes last, after later hours, and what the killed one was at comes again.
        finish(start(root, [*orders[0], *sorted(set(range(RUNS)) - set(orders[1]))]))
        assert_same(root, alone)


def test_maintenance_beside_writers_and_readers_changes_nothing_that_is_seen(tmp_path: Path, alone: Path) -> None:
    store, whole = FeatureStore(Settings(root_dir=tmp_path)), states(alone)
    backwards = list(range(RUNS - 1, -1, -1))
    processes = [start(tmp_path, backwards[::2]), start(tmp_path, backwards[1::2])]
    stores.maintain(store.settings, keep=HOUR)
    while any(process.poll() is None for process in processes):
        stores.maintain(store.settings, keep=HOUR)
    for process in processes:
        finish(process)
    assert_same(tmp_path, alone)
    assert stores.maintain(store.settings, keep=HOUR)["observations/demo/v1"]["files_after"] == 4
    assert all(mine.equals(theirs) for mine, theirs in zip(states(tmp_path), whole, strict=True))


def test_killed_processes_leave_nothing_half_done(tmp_path: Path, alone: Path) -> None:
    whole = states(alone)
    for seconds in (0.05, 0.15, 0.3):
        with start(tmp_path, range(RUNS)) as process:
            time.sleep(seconds)
            process.kill()
        with suppress(NotFoundError):  # Killed before there was a table.
            # A run is seen as a whole or not at all: the state is one that the store was in between two runs.
            assert all(any(state.equals(other) for other in whole) for state in states(tmp_path))
    finish(start(tmp_path, range(RUNS)))
    assert_same(tmp_path, alone)


SMALL = pl.Schema({"name": pl.String(), "number": pl.Int64()})


def count_up(table: delta.Table, times: int) -> None:
    for _ in range(times):

        def plan(snapshot: delta.Snapshot) -> tuple[None, delta.Change]:
            number = snapshot.rows.select(pl.len()).collect().item() + 1
            return None, delta.Change(pl.DataFrame({"name": ["n"], "number": [number]}, schema=SMALL))

        table.commit(plan)


def test_what_a_plan_has_read_still_holds_when_it_is_committed(tmp_path: Path) -> None:
    table = delta.Table(str(tmp_path / "numbers"), SMALL)
    with ThreadPoolExecutor(4) as threads:
        # Creation races too.
        list(threads.map(lambda _: count_up(table, 5), range(4)))
    snapshot = table.snapshot()
    assert snapshot is not None
    assert sorted(snapshot.rows.collect()["number"].to_list()) == list(range(1, 21))


def test_a_writer_who_is_never_first_gives_up_with_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "TRIES", 3)
    table = delta.Table(str(tmp_path / "numbers"), SMALL)

    def overtaken(_: delta.Snapshot) -> tuple[None, delta.Change]:
        count_up(table, 1)
        return None, delta.Change(pl.DataFrame({"name": ["late"], "number": [0]}, schema=SMALL))

    with pytest.raises(StorageError, match=r"first at .* 3 times"):
        table.commit(overtaken)
    assert DeltaTable(table.uri).version() == 3


def test_a_writer_gives_up_when_its_patience_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "PATIENCE_S", 0.2)
    table = delta.Table(str(tmp_path / "numbers"), SMALL)

    def overtaken(_: delta.Snapshot) -> tuple[None, delta.Change]:
        time.sleep(0.3)
        count_up(table, 1)
        return None, delta.Change(pl.DataFrame({"name": ["late"], "number": [0]}, schema=SMALL))

    # The other's own commit is given its time; this one is tried once.
    with pytest.raises(StorageError, match="1 times in a row: run again when fewer write at once"):
        table.commit(overtaken)
