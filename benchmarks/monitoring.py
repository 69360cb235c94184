"""Cost of a run of monitoring and of the watch after many hourly runs.

    .energy/venvs/dev/bin/python benchmarks/monitoring.py --root /var/tmp/monitoring-benchmark --runs 20 720 1520

The data are simulated: 76 series. Every hourly run forecasts 24 hours from a day before its reference time on, by one
model, and leaves the checks of monitoring and of two looks of the watch, none of which fires. The runs of a day are
written in one commit, which is what the compaction of a day leaves; observations are ingested once a day. After each
number of runs, monitoring computes the hours up to then, as hourly runs have done by then. Then it and the watch are
timed at the next hours, whose runs are written one by one; figures are medians. Seconds on the wall say little on a
machine that is busy, so CPU seconds stand beside them. The results go to ``benchmarks/results/monitoring.json`` with
the commit and the machine.
"""

import argparse
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import machine

from batch_prediction_pipeline import monitoring
from batch_prediction_pipeline.monitoring import watch
from forecast_core import provenance, tracking
from forecast_core.alarms import CHECKS, OVERALL, Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR, OBSERVATIONS, QUANTILES, RUNS, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance import digests
from forecast_core.tables.delta import Change, Snapshot

START = datetime(2023, 1, 1, tzinfo=UTC)
SERIES, FH, TIMED = 76, 24, 5
DAY = timedelta(days=1)
GROUP: dict[str, Any] = {"dataset": "simulated", "feature_group_version": 1}
KINDS = {
    "monitoring": ("skill", "backtest", "coverage", "error_drift", "fallback", "input_drift"),
    "watch": ("run", "forecast", "data"),
}


def observed(window: Window) -> pl.DataFrame:
    """Return OBSERVATIONS of a window: a level per series, a daily pattern and noise."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True).cast(UTC_HOUR)
    series = pl.DataFrame(
        {"area": [f"A{n % 2}" for n in range(SERIES)], "consumer_type": [f"{n:03d}" for n in range(SERIES)]}
    )
    keys = series.with_row_index("number").join(hours.to_frame("datetime_utc"), how="cross")
    noise = np.random.default_rng(int(window.start.timestamp())).normal(size=keys.height)
    daily = (pl.col("datetime_utc").dt.hour() / 24 * 2 * np.pi).sin() * 20
    value = pl.col("number") * 10.0 + 100 + daily + pl.Series(noise)
    return (
        keys.with_columns(energy_consumption=value)
        .select(OBSERVATIONS.names())
        .sort("area", "consumer_type", "datetime_utc")
    )


class System:
    """A store that hourly runs fill."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(root_dir=root)
        tracking.create(self.settings)
        self.store, self.archive, self.alarms = (
            FeatureStore(self.settings),
            ForecastArchive(self.settings),
            Alarms(self.settings),
        )
        window = Window(START - 30 * DAY, START)
        self.ingest(window, START)
        self.observed = START
        self.view = self.store.feature_view(self.store.create_feature_view(**GROUP))
        self.dataset = self.store.create_training_dataset(
            feature_view_version=self.view.version, window=window, reference_datetime=START
        )
        self.model = self.register()

    def ingest(self, window: Window, reference: datetime) -> None:
        """Store what the source says of a window."""
        self.store.ingest(
            observed(window), **GROUP, window=window, reference_datetime=reference, url="simulated://", record={}
        )

    def register(self) -> int:
        """Register a model version with the figures of a backtest, without files."""
        tags = {"feature_view_version": "1", "reference_datetime": "2023-01-01 00:00", "gap": "0"}
        tags |= {"training_dataset_version": str(self.dataset.version), "metrics": json.dumps({"wape_ratio": 0.5})}
        run_id = tracking.start_run(self.settings, name="train", tags=tags)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "model.json").write_text("{}", encoding="utf-8")
            source = tracking.log_files(self.settings, run_id, Path(folder), folder="model")
        tracking.finish_run(self.settings, run_id, reference_datetime=START)
        return tracking.register_model(self.settings, run_id=run_id, source=source, tags=tags)

    def ingest_until(self, end: datetime) -> None:
        """Store the days that are over at a time, each known at its end."""
        while self.observed + DAY <= end:
            self.ingest(Window(self.observed, self.observed + DAY), self.observed + DAY)
            self.observed += DAY

    def runs(self, first: int, last: int) -> datetime:
        """Write the runs of some hours in one commit for each table and day; return the last reference time."""
        references = [START + DAY + hour * HOUR for hour in range(first, last)]
        self.ingest_until(references[-1])
        forecasts = [self.forecasts(reference) for reference in references]
        facts = [self.facts(rows) for rows in forecasts]
        looks = [(each, "monitoring") for each in references]
        looks += [(each + timedelta(minutes=minutes), "watch") for each in references for minutes in (20, 50)]
        archive, alarms = self.archive, self.alarms
        for table, frames in (
            (archive._runs, facts),
            (archive._forecasts, forecasts),
            (alarms._checks, [self.checks(*look) for look in looks]),
        ):
            change = Change(pl.concat(frames).with_columns(reference_date=pl.col("reference_datetime").dt.date()))
            table.commit(partial(_planned, change))
        return references[-1]

    def forecasts(self, reference: datetime) -> pl.DataFrame:
        """Return FORECASTS of one run."""
        end = reference - DAY
        quantiles = {name: pl.col("energy_consumption") + 6 * (share - 0.5) for name, share in QUANTILES.items()}
        names = {"reference_datetime": reference, "feature_view_version": self.view.version}
        versions = {"training_dataset_version": self.dataset.version, "model_version": self.model}
        target = observed(Window(end, end + FH * HOUR)).with_columns(pl.col("energy_consumption") + 1)
        return provenance.forecast_rows(
            target.with_columns(**quantiles, quality=pl.lit("model")), run={**names, **versions}
        )

    def facts(self, forecasts: pl.DataFrame) -> pl.DataFrame:
        """Return RUNS of one run; its history is not hashed."""
        row = forecasts.row(0, named=True)
        end = row["reference_datetime"] - DAY
        facts = {name: row[name] for name in RUNS if name in row}
        facts |= {"fh": FH, "window_start": end - 30 * DAY, "window_end": end, "history_rows": 1, "history_series": 1}
        facts |= {"history_hash": "a", "forecasts": forecasts.height, "made_by": "{}"}
        facts |= {"forecasts_hash": digests.of_frame(forecasts)}
        return pl.DataFrame([facts], schema=RUNS)

    def checks(self, reference: datetime, source: str) -> pl.DataFrame:
        """Return CHECKS of one evaluation that finds nothing wrong."""
        evaluation, found = (reference, self.view.version, source), (OVERALL, "ok", 0.1, 1.0, "fine")
        rows = [(*evaluation, kind, *found) for kind in KINDS[source]]
        return pl.DataFrame(rows, schema=CHECKS, orient="row")


def _planned(change: Change, _: Snapshot) -> tuple[None, Change]:
    """Plan a change that does not depend on what the table holds."""
    return None, change


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Return the seconds that something takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def measure(root: Path, marks: list[int]) -> dict[str, Any]:
    """Return, by number of runs, the median seconds of monitoring and of the watch at the hours after them."""
    system, hour, result = System(root), 0, {}
    named: dict[str, Any] = {"settings": system.settings}
    for mark in sorted(marks):
        while hour < mark:
            following = min(mark, hour + 24 - hour % 24)
            system.runs(hour, following)
            hour = following
        costs: dict[str, list[dict[str, float]]] = {"monitoring": [], "watch": []}
        # An hourly run has stored the sums of the hours before it; here many hours have come at once.
        first = timed(partial(monitoring.compute, 1, reference_datetime=START + hour * HOUR + DAY, **named))
        for _ in range(TIMED):
            reference = system.runs(hour, hour + 1)
            costs["monitoring"].append(
                timed(partial(monitoring.compute, 1, reference_datetime=reference, settings=system.settings))
            )
            costs["watch"].append(
                timed(partial(watch.check, reference + timedelta(minutes=20), settings=system.settings))
            )
            hour += 1
        result[str(mark)] = {
            name: {key: round(statistics.median(each[key] for each in of), 3) for key in ("wall_s", "cpu_s")}
            for name, of in costs.items()
        }
        result[str(mark)]["monitoring of all hours at once"] = {key: round(value, 3) for key, value in first.items()}
        sys.stderr.write(f"{mark} runs: {result[str(mark)]}\n")
    return result


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder to write in; what is in it is removed")
    parser.add_argument("--runs", type=int, nargs="+", default=[20, 720, 1520], metavar="N", help="when to measure")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    shutil.rmtree(args.root, ignore_errors=True)
    result = {"data": "simulated", "series": SERIES, "runs": measure(args.root, args.runs), "machine": machine()}
    (args.out / "monitoring.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
