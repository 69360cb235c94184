"""Gain of the hyperparameter search on origins that it did not use.

    .energy/venvs/dev/bin/python benchmarks/tuning.py --data ConsumptionDE35Hour.parquet --ends 2023-01-15T16
    .energy/venvs/dev/bin/python benchmarks/tuning.py --data hourly_demand_2020_2023.parquet --name eia \
        --series 29 --ends 2023-02-15T00 2023-08-15T12

At each end the search of the training pipeline (same space, folds, pruning and number of trials) runs on at most
``--days`` days of history before it, and what it found is compared with the default as training does it, on the latest
origins before the end, which the search did not look at. Then both configurations forecast ``--origins`` daily origins
from the end on, each fitted once on what was known at the end. Neither the search nor the comparison has seen those.

For each end and over all ends: WAPE over that of the seasonal naive forecast, rMAE24, and their mean, which is what
the search minimises, for the default, for what the search found, and for what training would have used: what was found
if it passed the test, else the default. Written with cost, commit and machine to ``results/tuning-<name>.json``.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl
from machine import machine
from skill import read_observations

from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.tracking import Trial
from load_forecaster import DEFAULT, ForecasterConfig
from training_pipeline import study
from training_pipeline.comparison import backtest, compare
from training_pipeline.evaluation import evaluate_fold, folds, held_out, objective
from training_pipeline.search_space import config_at

HOURS = 24


def search(history: pl.DataFrame, window: Window, trials: int, threads: int) -> tuple[ForecasterConfig, dict[str, Any]]:
    """Return the configuration that the training pipeline's search finds, and the search's cost."""
    ends = folds(window)

    def measure(point: Mapping[str, float], report: study.Report) -> study.Measured:
        measured: list[float] = []
        for step, end in enumerate(ends):
            figures = evaluate_fold(history, end=end, fh=HOURS, config=config_at(point), threads=threads)
            measured.append(objective(figures))
            if step + 1 < len(ends):
                report(step, fmean(measured))
        return fmean(measured), {}

    opened = study.study_of([])
    cpu = time.process_time()
    study.search(opened, measure, trials=trials, timeout=14400, after_each=_tell)
    done = study.finished(opened)
    facts = {
        "folds": len(ends),
        "pruned": sum(map(study.is_pruned, done)),
        "cpu_s": time.process_time() - cpu,
        "default": done[0].value,
        "best": opened.best_value,
        "found": opened.best_params,
    }
    return config_at(opened.best_params), facts


def _tell(trial: Trial) -> None:
    sys.stderr.write(f"trial {trial.number}: {trial.value:.4f}{', given up' if trial.pruned else ''}\n")


def figures(rows: pl.DataFrame) -> dict[str, float]:
    """Return the objective of backtest rows and its two parts."""
    error, naive = (pl.col("forecast") - pl.col("truth")).abs().sum(), (pl.col("naive") - pl.col("truth")).abs().sum()
    ratio = rows.select(error / naive).item()
    by_series = (
        rows.group_by("area", "consumer_type").agg(relative=error / naive).filter(pl.col("relative").is_finite())
    )
    relative = by_series["relative"].mean()
    return {"wape_ratio": ratio, "rmae24": relative, "objective": (ratio + relative) / 2}


def run_end(observations: pl.DataFrame, end: datetime, args: argparse.Namespace) -> dict[str, Any]:
    """Return the configuration found for a window that ends at ``end``, and its scores on later origins."""
    [first] = observations.select(pl.col("datetime_utc").min()).to_series()
    window = Window(max(end - timedelta(days=args.days), first), end)
    known = observations.filter(pl.col("datetime_utc").is_between(window.start, end, "left"))
    found, facts = search(known, window, args.trials, args.threads)
    options: dict[str, Any] = {"fh": HOURS, "threads": args.threads}
    held = [backtest(known, end=end, config=each, origins=held_out(window), **options) for each in (DEFAULT, found)]
    test = compare(*held)
    promoted = found == DEFAULT or test.is_not_worse(Settings().promotion_margin)
    last = end + timedelta(days=args.origins)
    future = observations.filter(pl.col("datetime_utc").is_between(window.start, last, "left"))
    unseen = {
        name: backtest(future, end=last, config=config, origins=args.origins, **options)
        for name, config in (("default", DEFAULT), ("found", found))
    }
    after = compare(unseen["default"], unseen["found"])
    return {
        "end": end.isoformat(),
        "history_days": window.hours / 24,
        "search": facts,
        "test_on_held_out_origins": test.to_dict(),
        "promoted": promoted,
        "unseen": {
            **{name: figures(rows) for name, rows in unseen.items()},
            "used": figures(unseen["found" if promoted else "default"]),
            "found_against_default": after.to_dict(),
        },
    }


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="parquet file, as for benchmarks/skill.py")
    parser.add_argument("--ends", nargs="+", required=True, help="ends of the training windows, UTC")
    parser.add_argument("--days", type=int, default=30, help="days of history, at most")
    parser.add_argument("--origins", type=int, default=5, help="daily origins after each end")
    parser.add_argument("--series", type=int, help="only so many series, spread evenly over their names")
    parser.add_argument("--trials", type=int, default=Settings().tuning_trials)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", default="denmark", help="of the result file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    observations = read_observations(args.data)
    if args.series:
        names = observations.select("area", "consumer_type").unique().sort("area", "consumer_type")
        observations = observations.join(names.gather_every(max(1, names.height // args.series)), on=names.columns)
    runs = []
    for text in args.ends:
        runs.append(run_end(observations, datetime.fromisoformat(text).replace(tzinfo=UTC), args))
        over_all = {
            name: {part: fmean(run["unseen"][name][part] for run in runs) for part in runs[0]["unseen"][name]}
            for name in ("default", "found", "used")
        }
        result = {
            "data": args.data.name,
            "origins_after_each_end": args.origins,
            "trials": args.trials,
            "series": observations.select("area", "consumer_type").n_unique(),
            "unseen_mean": over_all,
            "found_against_default": over_all["found"]["objective"] / over_all["default"]["objective"] - 1,
            "used_against_default": over_all["used"]["objective"] / over_all["default"]["objective"] - 1,
            "ends": runs,
            "machine": machine(),
        }
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / f"tuning-{args.name}.json"
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + f"\nwritten to {path}\n")


if __name__ == "__main__":
    main()
