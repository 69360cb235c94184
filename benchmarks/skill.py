"""Skill of the forecaster on real data, over rolling origins, scored by a referee that is not ours.

    .energy/venvs/dev/bin/python benchmarks/skill.py --data ConsumptionDE35Hour.parquet --referee score_forecasts.py
    .energy/venvs/dev/bin/python benchmarks/skill.py --data hourly_demand_2020_2023.parquet --year 2023 --name eia \
        --referee score_forecasts.py

The Danish sample has daily origins from ``--first``. EIA-930 (the cleaned demand, without the series AEC and PSEI,
which hold long runs of zeros) has 24 origins over ``--year``: the 8th and 23rd of each month, each seven hours later in
the day than the one before. At most ``--days`` days of history are given.

For each origin the forecaster is evaluated, fitted and asked for 24 hours, all from the history up to it; the peers
are the seasonal naive forecasts of 24 and 168 hours. Truth and forecasts are written in the long form that the referee
reads (unique_id, ds, y; unique_id, cutoff, ds, yhat, q05 ... q95), the referee is run on them, and its figures are
written with the cost, the commit and the machine to ``benchmarks/results/skill-<name>.json``.

With ``--peers`` other forecasters are scored beside ours (``peers/forecast.py``), in an environment of their own.

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
LEFT_OUT = ("AEC", "PSEI")


def read_observations(path: Path) -> pl.DataFrame:
    """Return a file in the API's columns, or EIA-930's, as rows of ``schema.OBSERVATIONS``."""
    file = pl.read_parquet(path)
    if "demand_mwh" in file.columns:
        return file.filter(~pl.col("series").cast(pl.String).is_in(LEFT_OUT)).select(
            area=pl.lit("US"),
            consumer_type=pl.col("series").cast(pl.String),
            datetime_utc=pl.col("datetime_utc").dt.replace_time_zone("UTC"),
            energy_consumption=pl.col("demand_mwh").cast(pl.Float64),
        )
    return file.select(
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


def cutoffs(first: str, count: int, year: int | None) -> list[datetime]:
    """Return the last observed hour of each origin: daily from ``first``, or two a month of ``year``."""
    if year is None:
        start = datetime.fromisoformat(first).replace(tzinfo=UTC)
        return [start + timedelta(days=day) for day in range(count)]
    days = [(month, day) for month in range(1, 13) for day in (8, 23)]
    return [datetime(year, *day, 7 * index % 24, tzinfo=UTC) for index, day in enumerate(days)]


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


def peer_forecasts(
    name: str, python: Path, truth: pl.DataFrame, ends: list[datetime], days: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return a peer's forecasts and what it says of their cost; it runs in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        history, out = Path(folder, "history.parquet"), Path(folder, "forecasts.parquet")
        truth.write_parquet(history)
        cutoffs = [f"{end - timedelta(hours=1):%Y-%m-%dT%H:%M}" for end in ends]
        script = Path(__file__).parent / "peers" / "forecast.py"
        command = [python, script, name, "--history", history, "--cutoffs", *cutoffs, "--days", str(days), "--out", out]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"the peer {name} failed with exit code {done.returncode}")
        return pl.read_parquet(out), json.loads(done.stdout)


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
    parser.add_argument("--year", type=int, help="two origins in each month of this year, instead of daily ones")
    parser.add_argument("--days", type=int, default=30, help="days of history given, at most")
    parser.add_argument("--peers", nargs="*", default=[], help="peers to score in the same run: see peers/forecast.py")
    parser.add_argument("--peers-python", type=Path, help="interpreter of `uv sync --project benchmarks/peers`")
    parser.add_argument("--config", type=json.loads, default={}, help="settings that differ from the default, as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", default="denmark", help="of the result file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    if args.peers and args.peers_python is None:
        parser.error("--peers needs --peers-python: `uv sync --project benchmarks/peers` makes benchmarks/peers/.venv")

    config = ForecasterConfig.from_dict({**DEFAULT.to_dict(), **args.config})
    observations = read_observations(args.data)
    watch = Stopwatch()
    parts = []
    ends = [cutoff + timedelta(hours=1) for cutoff in cutoffs(args.first, args.origins, args.year)]
    for end in ends:
        history = observations.filter(pl.col("datetime_utc").is_between(end - timedelta(days=args.days), end, "left"))
        parts.append(run_origin(history, end, config, args.threads, watch))
    forecasts = {name: pl.concat(part[name] for part in parts) for name in parts[0]}
    truth = long_form(observations, y=pl.col("energy_consumption"))
    costs = {}
    for peer in args.peers:
        forecasts[peer], costs[peer] = peer_forecasts(peer, args.peers_python, truth, ends, args.days)
    figures = referee_figures(args.referee, args.referee_python, truth, forecasts)
    result = {
        "data": args.data.name,
        "first_cutoff": (ends[0] - timedelta(hours=1)).isoformat(),
        "origins": len(ends),
        "days_of_history": args.days,
        "config": config.to_dict(),
        "figures": figures,
        "wape_share_of_naive24": figures["forecaster"]["WAPE"] / figures["naive24"]["WAPE"],
        "seconds_per_origin": {name: seconds / len(ends) for name, seconds in watch.seconds.items()},
        "peers": costs,
        "machine": machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"skill-{args.name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + f"\nwritten to {path}\n")


if __name__ == "__main__":
    main()
