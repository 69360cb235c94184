"""Cost of the three commits that archive a run, after 10 and after many hourly runs, without any maintenance.

    .energy/venvs/dev/bin/python benchmarks/archive.py --root /var/tmp/archive-benchmark --runs 1500

Each run has 24 hours of four series, three contributions to each forecast and the record of the run: the commits are
measured, and not the rows. The results go to ``benchmarks/results/archive.json`` with the commit and the machine.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable
from machine import machine
from store import date_back

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import EXPLANATIONS, FORECASTS, HOUR, KEY, QUANTILES, RUNS, UTC_HOUR
from forecast_core.contracts.settings import Settings

START = datetime(2024, 1, 1, tzinfo=UTC)
SERIES = [("DK1", str(number)) for number in (111, 112, 119, 121)]
YOUNG = 10
"""Runs of the archive that the other is compared with."""
AVERAGED = 24
"""Runs that a figure is of: one of them compacts each table."""


def archive_run(archive: ForecastArchive, reference: datetime) -> tuple[float, float]:
    """Archive one run; return its CPU and wall seconds."""
    run: dict[str, Any] = {"feature_view_version": 1, "reference_datetime": reference}
    named = [pl.lit(value, FORECASTS[name]).alias(name) for name, value in run.items()]
    hours = pl.datetime_range(reference, reference + 23 * HOUR, HOUR, time_unit="us", eager=True)
    keys = pl.DataFrame(
        [(*series, hour) for series in SERIES for hour in hours],
        schema={name: FORECASTS[name] for name in KEY},
        orient="row",
    )
    versions = [pl.lit(1, pl.Int64).alias(name) for name in ("training_dataset_version", "model_version")]
    values = [pl.lit(100.0).alias(name) for name in ("energy_consumption", *QUANTILES)]
    forecasts = keys.with_columns(*named, *versions, *values, quality=pl.lit("model")).select(FORECASTS.names())
    explanations = pl.concat(
        keys.with_columns(*named, kind=pl.lit("member"), name=pl.lit(member), value=pl.lit(50.0))
        for member in ("trees", "ridge", "years")
    ).select(EXPLANATIONS.names())
    facts = pl.DataFrame([_facts(reference)], schema=RUNS)
    begun = time.process_time(), time.perf_counter()
    archive.write_explanations(explanations, **run)
    archive.write_run(facts)
    archive.write(forecasts)
    return time.process_time() - begun[0], time.perf_counter() - begun[1]


def _facts(reference: datetime) -> dict[str, Any]:
    numbers = {name: 1 for name, dtype in RUNS.items() if dtype == pl.Int64}
    texts = {name: "0" * 64 for name, dtype in RUNS.items() if dtype == pl.String}
    times = {name: reference for name, dtype in RUNS.items() if dtype == UTC_HOUR}
    return {**numbers, **texts, **times, "forecasts": len(SERIES) * 24}


def measured(root: Path, runs: int) -> dict[str, Any]:
    """Return the cost of a run's commits after 10 runs and after many, and what lies on the disk then.

    The archive as it was after 10 runs is put aside, and at the end both go on for a day, in turns, so that whatever
    else the machine does meets both. The tables' logs are dated back by a day every 24 runs.
    """
    shutil.rmtree(root, ignore_errors=True)
    old, young = (ForecastArchive(Settings(root_dir=root / name)) for name in ("old", "young"))
    for number in range(runs):
        archive_run(old, START + number * HOUR)
        if number == YOUNG - 1:
            shutil.copytree(root / "old", root / "young")
        if number % 24 == 23:
            date_back(root / "old")
        if number % 250 == 249:
            sys.stderr.write(f"run {number + 1}\n")
    costs = [
        (archive_run(young, START + (YOUNG + turn) * HOUR), archive_run(old, START + (runs + turn) * HOUR))
        for turn in range(AVERAGED)
    ]
    first, last = (_figures([each[at] for each in costs]) for at in (0, 1))
    tables = {path.name: _on_disk(path) for path in sorted((root / "old" / "store").iterdir())}
    ratio = round(last["mean_cpu_s"] / first["mean_cpu_s"], 2)
    return {"runs": runs, "from_the_10th": first, "from_the_last": last, "cpu_ratio": ratio, "tables": tables}


def _figures(costs: list[tuple[float, float]]) -> dict[str, float]:
    cpu, wall = zip(*costs, strict=True)
    return {
        "median_cpu_s": round(statistics.median(cpu), 4),
        "mean_cpu_s": round(statistics.mean(cpu), 4),
        "median_wall_s": round(statistics.median(wall), 4),
        "longest_wall_s": round(max(wall), 4),
    }


def _on_disk(table: Path) -> dict[str, float]:
    log = [path.stat().st_size for path in (table / "_delta_log").iterdir()]
    return {"files": len(DeltaTable(str(table)).file_uris()), "log_mb": round(sum(log) / 1e6, 2)}


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder to write in; what is in it is removed")
    parser.add_argument("--runs", type=int, default=1500, metavar="N", help="hourly runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "archive.json")
    args = parser.parse_args()
    result = {"data": "simulated", **measured(args.root, args.runs), "machine": machine()}
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
