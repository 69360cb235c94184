"""Cost of training and forecasting by number of series, compared with mlforecast.

    .energy/venvs/dev/bin/python benchmarks/cost.py --sizes 76x30 1000x90 10000x90 [--peers-python PYTHON]

Series are those of the demo source, repeated under other names with noise of their own, 5 % of each value. Each size
runs in a process of its own, with one thread: CPU seconds to evaluate against the seasonal naive forecast and fit, and
to predict with explanations, and the most memory held. The peer is mlforecast's recursive LightGBM on logarithms
(``peers/forecast.py``): it fits and predicts once, without evaluation, and on no more than ``--peer-until`` series: it
learns from every row. Results: ``benchmarks/results/cost.json``.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import machine

import load_forecaster
from feature_pipeline import demo
from forecast_core.contracts.schema import OBSERVATIONS, SERIES
from load_forecaster import DEFAULT

END = datetime(2024, 4, 1, 6, tzinfo=UTC)


def history(series: int, days: int) -> pl.DataFrame:
    """Return ``days`` days of that many series."""
    rows = demo.observations(END - timedelta(days=days), END, known_at=END).select(OBSERVATIONS.names())
    keys = rows.select(SERIES).unique(maintain_order=True).height
    random, parts = np.random.default_rng(1), []
    for copy in range(-(-series // keys)):
        noise = np.exp(0.05 * random.normal(size=rows.height)) if copy else np.ones(rows.height)
        kind = pl.col("consumer_type") + f"-{copy:04}" if copy else pl.col("consumer_type")
        noisy = pl.col("energy_consumption") * pl.Series(noise)
        parts.append(rows.with_columns(consumer_type=kind, energy_consumption=noisy))
    every = pl.concat(parts)
    wanted = every.select(SERIES).unique(maintain_order=True).head(series)
    return every.join(wanted, on=SERIES, how="semi")


def measure(series: int, days: int) -> dict[str, Any]:
    """Return the cost of one training and one forecast of that size in this process."""
    rows = history(series, days)
    before, begun = _peak(), time.process_time()
    evaluation, model = load_forecaster.evaluate_and_fit(rows, end=END, fh=24, config=DEFAULT, threads=1, origins=5)
    fitted = time.process_time()
    forecast, reasons = model.predict_and_explain(rows, end=END)
    done = time.process_time()
    return {
        "series": series,
        "days": days,
        "rows": rows.height,
        "forecasts": forecast.height,
        "reasons": reasons.height,
        "evaluate_and_fit_cpu_s": round(fitted - begun, 2),
        "predict_and_explain_cpu_s": round(done - fitted, 2),
        "gigabytes_of_the_data_alone": round(before, 2),
        "gigabytes_at_most": round(_peak(), 2),
        "share_of_naive": evaluation.metrics["wape_ratio"],
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def peer(python: Path, series: int, days: int) -> dict[str, Any]:
    """Return the CPU seconds of the peer's fit and forecast."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "history.parquet"), Path(folder, "forecasts.parquet")
        history(series, days).select(
            unique_id=pl.concat_str("area", "consumer_type", separator="/"),
            ds=pl.col("datetime_utc").dt.replace_time_zone(None),
            y="energy_consumption",
        ).write_parquet(file)
        script = Path(__file__).parent / "peers" / "forecast.py"
        cutoff = f"{END - timedelta(hours=1):%Y-%m-%dT%H:%M}"
        command = [
            str(python),
            str(script),
            "mlforecast-log",
            "--history",
            str(file),
            "--cutoffs",
            cutoff,
            "--days",
            "0",
            "--out",
            str(out),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)}


def main() -> None:
    """Measure each size in a process of its own, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["76x30"], metavar="SERIESxDAYS")
    parser.add_argument("--peers-python", type=Path, help="interpreter of `uv sync --project benchmarks/peers`")
    parser.add_argument("--peer-until", type=int, default=1000, help="most series that the peer is measured on")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cost.json")
    args = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in args.sizes]
    if args.inside:
        sys.stdout.write(json.dumps(measure(*sizes[0])))
        return
    found = []
    for size in sizes:
        command = [sys.executable, __file__, "--inside", "--sizes", "{}x{}".format(*size)]
        ours = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        beside = args.peers_python is not None and size[0] <= args.peer_until
        found.append({**ours, "mlforecast": peer(args.peers_python, *size) if beside else None})
        sys.stderr.write(f"{found[-1]}\n")
        args.out.write_text(json.dumps({"sizes": found, "machine": machine()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
