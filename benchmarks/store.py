"""Cost of the feature store by size: each operation in its own process, compared with a lower bound.

    .energy/venvs/dev/bin/python benchmarks/store.py --root /var/tmp/store-benchmark --sizes small medium large
    .energy/venvs/dev/bin/python benchmarks/store.py --root /var/tmp/store-benchmark --sizes --hourly-runs 3000

The data are simulated: values with a daily pattern, a level per series and two decimals; a restatement changes one in a
hundred. The floor of an operation is what plain polars takes to write, or read, one parquet file with the same rows.
Peaks are those of the whole process; a process that ingests holds the frame that it ingests, which is told apart. CPU
seconds stand beside wall seconds, which say little on a machine that is busy. The results go to
``benchmarks/results/store-<size>.json`` with the commit and the machine.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import machine

from forecast_core import stores
from forecast_core.contracts.schema import HOUR, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

SIZES = {"tiny": (76, 2), "small": (76, 30), "medium": (10_000, 90), "large": (100_000, 30)}
"""Number of series and days of history."""
START = datetime(2023, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
GROUP: dict[str, Any] = {"dataset": "simulated", "feature_group_version": 1}


def simulated(series: int, window: Window, *, restated: float = 0.0) -> pl.DataFrame:
    """Return OBSERVATIONS of a window, sorted by key; a share of them is restated."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    number = np.arange(series)
    clock = np.arange(window.hours) + (window.start - START) // HOUR
    values = (number % 997 * 10.0)[:, None] + np.round(50 * np.sin(clock / 24 * 2 * np.pi), 2)[None, :]
    values += (number % 13)[:, None] * (clock % 17)[None, :] * 0.25
    values = values.reshape(-1)
    if restated:
        values[np.random.default_rng(1).random(values.size) < restated] += 1
    rows = np.repeat(number.astype(np.uint32), window.hours)
    return pl.DataFrame(
        [
            pl.Series("area", [f"A{each // 1000:03d}" for each in number]).gather(rows),
            pl.Series("consumer_type", [f"{each % 1000:03d}" for each in number]).gather(rows),
            pl.Series("datetime_utc", np.tile(hours.to_physical().to_numpy(), series)).cast(UTC_HOUR),
            pl.Series("energy_consumption", values),
        ]
    )


def whole(days: int) -> Window:
    """Return the hours of all the history."""
    return Window(START, START + timedelta(days=days))


def newest(days: int) -> Window:
    """Return the newest 30 days of the history."""
    return Window(START + timedelta(days=max(days - 30, 0)), whole(days).end)


def operations(root: Path, series: int, days: int) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """Return the operations by name, in the order to run them: the untimed preparation, and the part that is timed."""
    store, known_at = FeatureStore(Settings(root_dir=root / "root")), whole(days).end
    floor = root / "floor.parquet"
    next_hour = Window(whole(days).end, whole(days).end + HOUR)

    def ingest(window: Window, at: datetime) -> Callable[[pl.DataFrame], Any]:
        return lambda frame: store.ingest(
            frame, **GROUP, window=window, reference_datetime=at, url="simulated://", record={"rows": frame.height}
        )

    def read(at: datetime, **only: Any) -> Callable[[Any], Any]:
        return lambda _: store.read(**GROUP, window=newest(days), reference_datetime=at, **only)

    def training(_: Any) -> Any:
        view = store.create_feature_view(**GROUP)
        return store.create_training_dataset(
            feature_view_version=view, window=newest(days), reference_datetime=known_at + 2 * WEEK
        )

    def nothing() -> None:
        return None

    one = pl.col("area").eq("A000") & pl.col("consumer_type").eq("007")
    return {
        "floor: write one parquet file": (
            lambda: simulated(series, newest(days)),
            lambda rows: rows.write_parquet(floor),
        ),
        "floor: read one parquet file": (nothing, lambda _: pl.read_parquet(floor)),
        "floor: one series of one parquet file": (nothing, lambda _: pl.scan_parquet(floor).filter(one).collect()),
        "floor: write an hour": (
            lambda: simulated(series, next_hour),
            lambda rows: rows.write_parquet(root / "hour.parquet"),
        ),
        "ingest all for the first time": (lambda: simulated(series, whole(days)), ingest(whole(days), known_at)),
        "ingest an hour": (lambda: simulated(series, next_hour), ingest(next_hour, known_at + HOUR)),
        "ingest 30 days again": (lambda: simulated(series, newest(days)), ingest(newest(days), known_at + 2 * HOUR)),
        "ingest 30 days, 1 % restated": (
            lambda: simulated(series, newest(days), restated=0.01),
            ingest(newest(days), known_at + WEEK + HOUR),
        ),
        "read as of now": (nothing, read(known_at + 2 * WEEK)),
        "read as of a week ago": (nothing, read(known_at + WEEK)),
        "materialise a training dataset": (nothing, training),
        "read one series": (nothing, read(known_at + 2 * WEEK, series=[("A000", "007")])),
        "maintain": (nothing, lambda _: stores.maintain(store.settings, keep=WEEK)),
        "read as of now, maintained": (nothing, read(known_at + 2 * WEEK)),
        "read one series, maintained": (nothing, read(known_at + 2 * WEEK, series=[("A000", "007")])),
    }


FLOORS = {
    "ingest an hour": "floor: write an hour",
    "read as of now": "floor: read one parquet file",
    "read as of a week ago": "floor: read one parquet file",
    "read as of now, maintained": "floor: read one parquet file",
    "materialise a training dataset": "floor: write one parquet file",
    "ingest 30 days again": "floor: write one parquet file",
    "ingest 30 days, 1 % restated": "floor: write one parquet file",
    "read one series": "floor: one series of one parquet file",
    "read one series, maintained": "floor: one series of one parquet file",
}


def measure(root: Path, series: int, days: int, name: str) -> dict[str, Any]:
    """Run one operation in this process; return its cost."""
    prepare, work = operations(root, series, days)[name]
    FeatureStore(Settings(root_dir=root / "root")).feature_group_versions()  # Libraries load when first used.
    given = prepare()
    before, cpu, wall = _peak_gb(), time.process_time(), time.perf_counter()
    work(given)
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_gb": round(_peak_gb(), 3),
        "peak_gb_before": round(before, 3),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def run_size(root: Path, size: str) -> dict[str, Any]:
    """Return the cost of every operation at a size."""
    series, days = SIZES[size]
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    found: dict[str, Any] = {}
    for name in operations(root, series, days):
        command = [sys.executable, __file__, "--root", str(root), "--operation", size, name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout)
        floor = found.get(FLOORS.get(name, ""))
        if floor is not None:
            found[name]["cpu_over_floor"] = round(found[name]["cpu_s"] / max(floor["cpu_s"], 0.001), 1)
        sys.stderr.write(f"{size} {name}: {found[name]}\n")
    return {"series": series, "days": days, "rows": series * days * 24, "operations": found}


class Hours:
    """Hourly runs of 76 series and 30 days, one after the other, on one store.

    A run ingests its window, in which one value in a thousand is restated, and makes a training dataset of it.
    """

    def __init__(self, runs: int) -> None:
        number = pl.int_range(pl.len()).alias("number")
        hour = (pl.col("datetime_utc") - START).dt.total_hours().alias("hour")
        self._said = simulated(SIZES["small"][0], whole(30 + runs // 24 + 1)).with_columns(hour, number)

    def run(self, root: Path, run: int) -> tuple[float, float]:
        """Do one run; return its CPU and wall seconds."""
        store = FeatureStore(Settings(root_dir=root))
        window = Window(START + run * HOUR, START + (run + 720) * HOUR)
        shift = pl.when((pl.col("number") * 7919 + run) % 1000 == 0).then(run % 7).otherwise(0)
        value = pl.col("energy_consumption") + shift
        inside = self._said.filter(pl.col("hour").is_between(run, run + 720, closed="left"))
        frame = inside.select("area", "consumer_type", "datetime_utc", value)
        begun = time.process_time(), time.perf_counter()
        store.ingest(
            frame, **GROUP, window=window, reference_datetime=window.end, url="simulated://", record={"run": run}
        )
        view = store.create_feature_view(**GROUP)
        dataset = store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=window.end)
        cost = time.process_time() - begun[0], time.perf_counter() - begun[1]
        # The files of training datasets are kept for ever; here they would fill the disk.
        (root / "store" / "training_dataset_files" / f"{dataset.content_hash}.parquet").unlink()
        return cost


def run_hours(root: Path, runs: int) -> dict[str, Any]:
    """Return the cost of the last of many hourly runs and of the tenth, with maintenance every 24 hours.

    The store as it was after 10 runs is put aside, and at the end both go on for a day, in turns, so that whatever
    else the machine does meets both. Before each maintenance the tables' logs are dated back by a day: they are kept
    for a week, and here 24 runs pass in seconds.
    """
    shutil.rmtree(root, ignore_errors=True)
    old, young, hours = root / "old", root / "young", Hours(runs + 24)
    maintenance: list[float] = []
    for run in range(runs):
        hours.run(old, run)
        if run == 9:
            shutil.copytree(old, young)
        if run % 24 == 23:
            date_back(old)
            started = time.process_time()
            stores.maintain(Settings(root_dir=old), keep=HOUR)
            maintenance.append(time.process_time() - started)
        if run % 250 == 249:
            sys.stderr.write(f"run {run + 1}\n")
    costs = [(*hours.run(young, 10 + turn), *hours.run(old, runs + turn)) for turn in range(24)]
    first, last = ({"cpu_s": _median(costs, at), "wall_s": _median(costs, at + 1)} for at in (0, 2))
    return {
        "runs": runs,
        "from_the_10th": first,
        "from_the_last": last,
        "cpu_ratio": round(last["cpu_s"] / first["cpu_s"], 2),
        "wall_ratio": round(last["wall_s"] / first["wall_s"], 2),
        "maintenance_cpu_s": {"first": round(maintenance[0], 3), "last": round(maintenance[-1], 3)},
        "load_average": round(os.getloadavg()[0], 1),
    }


def date_back(root: Path) -> None:
    """Make the logs of all tables a day older: entries expire after a week, and here a day passes in seconds."""
    for entry in (root / "store").rglob("_delta_log/*"):
        written = entry.stat().st_mtime - timedelta(days=1).total_seconds()
        os.utime(entry, (written, written))


def _median(costs: Sequence[tuple[float, ...]], at: int) -> float:
    return round(statistics.median(each[at] for each in costs), 4)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder to write in; what is in it is removed")
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), default=["small", "medium"])
    parser.add_argument("--hourly-runs", type=int, default=0, metavar="N", help="also N hourly runs, e.g. 3000")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--operation", nargs=2, metavar=("SIZE", "NAME"), help="run one operation (internal)")
    args = parser.parse_args()
    if args.operation:
        sys.stdout.write(json.dumps(measure(args.root, *SIZES[args.operation[0]], args.operation[1])))
        return
    results: dict[str, Callable[[], dict[str, Any]]] = {
        size: partial(run_size, args.root / size, size) for size in args.sizes
    }
    if args.hourly_runs:
        results["hourly"] = lambda: run_hours(args.root / "hourly", args.hourly_runs)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, run in results.items():
        result = {"data": "simulated", **run(), "machine": machine()}
        (args.out / f"store-{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
