"""Skill of the forecaster on the Danish sample, over daily origins, scored by a referee that is not ours.

    .energy/venvs/dev/bin/python benchmarks/skill.py --data ConsumptionDE35Hour.parquet --referee score_forecasts.py

For each origin the forecaster is evaluated, fitted and asked for 24 hours, all from the history up to it; the peers
are the seasonal naive forecasts of 24 and 168 hours. Truth and forecasts are written in the long form that the referee
reads (unique_id, ds, y; unique_id, cutoff, ds, yhat, q05 ... q95), the referee is run on them, and its figures are
written with the cost, the commit and the machine to ``benchmarks/results/skill-<name>.json``.

The referee needs pandas and pyarrow: give it an interpreter that has them with ``--referee-python``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from forecast_core import forecaster
from forecast_core.forecaster import DEFAULT, ForecasterConfig
from forecast_core.schema import QUANTILES

HOURS = 24


def read_observations(path: Path) -> pl.DataFrame:
    """Return a file in the API's columns as rows of ``schema.OBSERVATIONS``."""
    return pl.read_parquet(path).select(
        area="PriceArea",
        consumer_type="ConsumerType_DE35",
        datetime_utc=pl.col("HourUTC").str.to_datetime(time_unit="us").dt.replace_time_zone("UTC"),
        energy_consumption=pl.col("TotalCon").cast(pl.Float64),
    )


def long_form(rows: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Return rows as the referee reads them: one name per series, naive UTC."""
    return rows.select(
        unique_id=pl.concat_str("area", "consumer_type", separator="/"),
        ds=pl.col("datetime_utc").dt.replace_time_zone(None),
        **columns,
    )


def forecast_long(rows: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Return a forecast as the referee reads it; the cutoff is the last observed hour."""
    cutoff = pl.lit(end - timedelta(hours=1)).dt.replace_time_zone(None)
    quantiles = {name: pl.col(name) for name in QUANTILES if name in rows.columns}
    return long_form(rows, cutoff=cutoff, yhat=pl.col("energy_consumption"), **quantiles)


class Stopwatch:
    """Sums up seconds of CPU and wall time by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns, and remember what it cost."""
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        for clock, spent in (("cpu", time.process_time() - cpu), ("wall", time.perf_counter() - wall)):
            self.seconds[f"{name}_{clock}_s"] = self.seconds.get(f"{name}_{clock}_s", 0.0) + spent
        return result


def run_origin(
    history: pl.DataFrame, end: datetime, config: ForecasterConfig, threads: int, watch: Stopwatch
) -> dict[str, pl.DataFrame]:
    """Return the forecasts of every method as of ``end``."""
    evaluation = watch.timed(
        "evaluate",
        lambda: forecaster.evaluate(history, end=end, fh=HOURS, config=config, threads=threads, origins=5),
    )
    model = watch.timed(
        "fit",
        lambda: forecaster.fit(
            history, end=end, fh=HOURS, config=config, threads=threads, calibration=evaluation.calibration
        ),
    )
    forecast = watch.timed("predict", lambda: model.predict(history, end=end))
    naive = {
        f"naive{season}": forecaster.seasonal_naive(history, end=end, fh=HOURS, season=season) for season in (24, 168)
    }
    return {name: forecast_long(rows, end) for name, rows in {"forecaster": forecast, **naive}.items()}


def referee_figures(script: Path, python: str, truth: pl.DataFrame, forecasts: dict[str, pl.DataFrame]) -> Any:
    """Write the files, run the referee on them, return its figures by method."""
    with tempfile.TemporaryDirectory() as folder:
        truth.write_parquet(Path(folder, "truth.parquet"))
        files = []
        for name, rows in forecasts.items():
            files.append(str(Path(folder, name)))
            rows.write_parquet(files[-1])
        command = [python, str(script), "--truth", str(Path(folder, "truth.parquet")), "--json", *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"the referee refused: {done.stderr.strip()}")
        return json.loads(done.stdout)


def machine() -> dict[str, Any]:
    """Return what the figures were made on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "uncommitted_changes": bool(changed.stdout.strip()),
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="parquet file in the API's columns")
    parser.add_argument("--referee", type=Path, required=True, help="scoring script")
    parser.add_argument("--referee-python", default=sys.executable, help="interpreter with pandas and pyarrow")
    parser.add_argument("--first", default="2023-01-15T15", help="first cutoff: last observed hour, UTC")
    parser.add_argument("--origins", type=int, default=5, help="daily origins")
    parser.add_argument("--config", type=json.loads, default={}, help="settings that differ from the default, as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", default="denmark", help="of the result file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()

    config = ForecasterConfig.from_dict({**DEFAULT.to_dict(), **args.config})
    observations = read_observations(args.data)
    first = datetime.fromisoformat(args.first).replace(tzinfo=UTC) + timedelta(hours=1)
    watch = Stopwatch()
    parts = []
    for day in range(args.origins):
        end = first + timedelta(days=day)
        history = observations.filter(pl.col("datetime_utc") < end)
        parts.append(run_origin(history, end, config, args.threads, watch))
    forecasts = {name: pl.concat(part[name] for part in parts) for name in parts[0]}
    truth = long_form(observations, y=pl.col("energy_consumption"))
    figures = referee_figures(args.referee, args.referee_python, truth, forecasts)
    result = {
        "data": args.data.name,
        "first_cutoff": args.first,
        "origins": args.origins,
        "config": config.to_dict(),
        "figures": figures,
        "wape_share_of_naive24": figures["forecaster"]["WAPE"] / figures["naive24"]["WAPE"],
        "seconds_per_origin": {name: seconds / args.origins for name, seconds in watch.seconds.items()},
        "machine": machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"skill-{args.name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + f"\nwritten to {path}\n")


if __name__ == "__main__":
    main()
