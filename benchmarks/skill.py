"""Skill of the forecaster on real data over rolling origins, scored by a script that is not ours.

    .energy/venvs/dev/bin/python benchmarks/skill.py --data ConsumptionDE35Hour.parquet --referee score_forecasts.py
    .energy/venvs/dev/bin/python benchmarks/skill.py --data hourly_demand_2020_2023.parquet --year 2023 --name eia \
        --referee score_forecasts.py

The Danish sample has daily origins from ``--first``, and so has the demo source (``--data demo``). EIA-930 (the cleaned
demand, without the series AEC and PSEI, which hold long runs of zeros) has 24 origins over ``--year``: the 8th and 23rd
of each month, each seven hours later in the day than the one before. At most ``--days`` days of history are given.

For each origin the forecaster is evaluated, fitted and asked for 24 hours, all from the history up to it, as training
and batch prediction do it (``tests/test_replay.py`` holds the two against each other). ``--gap`` leaves hours between
the last observation and the first forecast hour. Truth and forecasts are written in the long form that the referee
reads (unique_id, ds, y; unique_id, cutoff, ds, yhat, q05 ... q95) and the referee is run on them. Its figures, those of
``skill_measures.py``, the cost, the commit and the machine go to ``benchmarks/results/skill-<name>.json``, and a page
for people to ``docs/skill.md``.

With ``--peers`` other forecasters are scored beside ours (``peers/forecast.py``), in an environment of their own; what
they forecast is kept in ``--peer-forecasts`` and used again when the same is asked of them. ``skforecast@30`` gives
that one no more than 30 days, whatever ours is given.

The referee needs pandas and pyarrow: give it an interpreter that has them with ``--referee-python``.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import skill_measures
import skill_page
from machine import machine

import load_forecaster
from feature_pipeline import demo
from forecast_core.contracts.schema import OBSERVATIONS, QUANTILES, UTC_HOUR
from load_forecaster import DEFAULT, ForecasterConfig

HOURS = 24
ORIGINS = 5
"""Origins that a model is evaluated on, as the training pipeline does."""
LEFT_OUT = ("AEC", "PSEI")
DEMO = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC))


def read_observations(path: Path) -> pl.DataFrame:
    """Return a file in the API's columns, or EIA-930's, or the demo source, as rows of ``schema.OBSERVATIONS``."""
    if str(path) == "demo":
        return demo.observations(*DEMO, known_at=DEMO[1] + timedelta(days=30)).select(OBSERVATIONS.names())
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
    """Sums of CPU and wall seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns, and add its cost to ``seconds``."""
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        for clock, spent in (("cpu", time.process_time() - cpu), ("wall", time.perf_counter() - wall)):
            self.seconds[f"{name}_{clock}_s"] = self.seconds.get(f"{name}_{clock}_s", 0.0) + spent
        return result


def run_origin(
    history: pl.DataFrame, end: datetime, config: ForecasterConfig, watch: Stopwatch, *, threads: int = 1, gap: int = 0
) -> dict[str, pl.DataFrame]:
    """Return the forecasts of every method from the observations before ``end``."""
    _, model = watch.timed(
        "evaluate_and_fit",
        lambda: load_forecaster.evaluate_and_fit(
            history, end=end, fh=HOURS, gap=gap, config=config, threads=threads, origins=ORIGINS
        ),
    )
    forecast, _ = watch.timed("predict", lambda: model.predict_and_explain(history, end=end))
    naive = {f"naive{season}": late_naive(history, end, gap, season) for season in (24, 168)}
    late = {"mean-of-last-7-days": mean_of_seven_days(history, end, gap)} if gap else {}
    return {"forecaster": forecast} | late | naive


def late_naive(history: pl.DataFrame, end: datetime, gap: int, season: int) -> pl.DataFrame:
    """Return the seasonal naive forecast from ``gap`` hours after the observations on: their last season, repeated."""
    if gap == 0:
        return load_forecaster.seasonal_naive(history, end=end, fh=HOURS, season=season)
    hours = [end + timedelta(hours=gap + hour) for hour in range(HOURS)]
    sources = [
        hour - timedelta(hours=season) * -(-((hour - end) // timedelta(hours=1) + 1) // season) for hour in hours
    ]
    target = pl.DataFrame({"source": sources, "datetime_utc": hours}, schema_overrides={"source": UTC_HOUR})
    rows = history.rename({"datetime_utc": "source"}).join(target, on="source")
    return rows.select(OBSERVATIONS.names()).cast({"datetime_utc": UTC_HOUR})


def mean_of_seven_days(history: pl.DataFrame, end: datetime, gap: int) -> pl.DataFrame:
    """Return the mean of the last seven days at the same hour of the day, for the hours from ``gap`` after them."""
    last = history.filter(pl.col("datetime_utc").is_between(end - timedelta(days=7), end, "left"))
    means = last.group_by("area", "consumer_type", hour=pl.col("datetime_utc").dt.hour()).agg(
        pl.col("energy_consumption").mean()
    )
    first = end + timedelta(hours=gap)
    hours = pl.datetime_range(first, first + timedelta(hours=HOURS), "1h", closed="left", eager=True)
    return means.join(pl.DataFrame({"datetime_utc": hours, "hour": hours.dt.hour()}), on="hour")


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
    name: str, python: Path, truth: pl.DataFrame, ends: list[datetime], days: int, kept: Path
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return a peer's forecasts and what it says of their cost; it runs in an environment of its own.

    Both are kept under what was asked, and not made again.
    """
    script = Path(__file__).parent / "peers" / "forecast.py"
    cutoffs = [f"{end - timedelta(hours=1):%Y-%m-%dT%H:%M}" for end in ends]
    asked = [name, days, *cutoffs, script.read_text(encoding="utf-8"), int(truth.hash_rows(seed=1).sum())]
    folder = kept / f"{name}-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}"
    history, out, cost = (folder / file for file in ("history.parquet", "forecasts.parquet", "cost.json"))
    if not cost.exists():
        folder.mkdir(parents=True, exist_ok=True)
        truth.write_parquet(history)
        command = [str(python), str(script), name, "--history", str(history), "--cutoffs", *cutoffs]
        command += ["--days", str(days), "--out", str(out)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        history.unlink()
        if done.returncode != 0:
            raise SystemExit(f"the peer {name} failed with exit code {done.returncode}")
        cost.write_text(done.stdout, encoding="utf-8")
    return pl.read_parquet(out), json.loads(cost.read_text(encoding="utf-8"))


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="parquet in the API's or EIA-930's columns, or demo")
    parser.add_argument("--referee", type=Path, required=True, help="scoring script")
    parser.add_argument("--referee-python", default=sys.executable, help="interpreter with pandas and pyarrow")
    parser.add_argument("--first", default="2023-01-15T15", help="first cutoff: last observed hour, UTC")
    parser.add_argument("--origins", type=int, default=5, help="daily origins")
    parser.add_argument("--year", type=int, help="two origins in each month of this year, instead of daily ones")
    parser.add_argument("--days", type=int, default=30, help="days of history given, at most")
    parser.add_argument("--peers", nargs="*", default=[], help="peers to score beside: PEER or PEER@DAYS")
    parser.add_argument("--peers-python", type=Path, help="interpreter of `uv sync --project benchmarks/peers`")
    parser.add_argument("--peer-forecasts", type=Path, default=Path(".energy/peers"), help="where theirs are kept")
    parser.add_argument("--gap", type=int, default=0, help="hours between the last observation and the first forecast")
    parser.add_argument("--page", type=Path, default=Path(__file__).parent.parent / "docs" / "skill.md")
    parser.add_argument("--config", type=json.loads, default={}, help="settings that differ from the default, as JSON")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="denmark", help="of the result file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    if args.peers and args.peers_python is None:
        parser.error("--peers needs --peers-python: `uv sync --project benchmarks/peers` makes benchmarks/peers/.venv")

    config = ForecasterConfig.from_dict({**DEFAULT.to_dict(), **args.config})
    observations = read_observations(args.data)
    ends = [cutoff + timedelta(hours=1) for cutoff in cutoffs(args.first, args.origins, args.year)]
    ends = [end for end in ends if end + timedelta(hours=args.gap + HOURS - 1) <= last_hour(observations)]
    watch = Stopwatch()
    forecasts = own_forecasts(observations, ends, config, watch, args)
    truth = long_form(observations, y=pl.col("energy_consumption"))
    costs = {}
    for peer in args.peers:
        name, _, days = peer.partition("@")
        forecasts[peer], costs[peer] = peer_forecasts(
            name, args.peers_python, truth, ends, int(days or args.days), args.peer_forecasts
        )
    forecasts = {name: observed_only(rows, truth) for name, rows in forecasts.items()}
    figures = referee_figures(args.referee, args.referee_python, truth, forecasts)
    result = {
        "data": args.data.name,
        "first_cutoff": (ends[0] - timedelta(hours=1)).isoformat(),
        "origins": len(ends),
        "days_of_history": args.days,
        "gap_hours": args.gap,
        "config": config.to_dict(),
        "figures": figures,
        "wape_share_of_naive24": {name: each["WAPE"] / figures["naive24"]["WAPE"] for name, each in figures.items()},
        **comparison(truth, forecasts, figures),
        "seconds_per_origin": {name: seconds / len(ends) for name, seconds in watch.seconds.items()},
        "peers": costs,
        "machine": machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"skill-{args.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    skill_page.write(args.out, args.page)
    shown = {**result, "slices": "in the file"}
    sys.stdout.write(json.dumps(shown, indent=2) + f"\nwritten to {path} and {args.page}\n")


def last_hour(observations: pl.DataFrame) -> datetime:
    """Return the newest hour of the data."""
    newest: datetime = observations.select(pl.col("datetime_utc").max()).item()
    return newest


def own_forecasts(
    observations: pl.DataFrame, ends: list[datetime], config: ForecasterConfig, watch: Stopwatch, args: Any
) -> dict[str, pl.DataFrame]:
    """Return our forecasts and the naive ones of all origins, in the referee's form."""
    parts = []
    for end in ends:
        history = observations.filter(pl.col("datetime_utc").is_between(end - timedelta(days=args.days), end, "left"))
        made = run_origin(history, end, config, watch, threads=args.threads, gap=args.gap)
        parts.append({name: forecast_long(rows, end) for name, rows in made.items()})
        sys.stderr.write(f"{end}: {watch.seconds}\n")
    return {name: pl.concat(part[name] for part in parts) for name in parts[0]}


def observed_only(rows: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts of hours that were observed: others cannot be scored."""
    rows = rows.cast({"ds": truth.schema["ds"]})
    return rows.join(truth, on=["unique_id", "ds"], how="semi", maintain_order="left")


def comparison(truth: pl.DataFrame, forecasts: dict[str, pl.DataFrame], figures: Any) -> dict[str, Any]:
    """Return our errors by slices, those of the best peer beside them, and the difference to every peer."""
    rows = skill_measures.errors(truth, forecasts)
    peers = [name for name in forecasts if name != "forecaster"]
    best = min(peers, key=lambda name: figures[name]["rMAE24"] + figures[name]["WAPE"] / figures["naive24"]["WAPE"])
    return {
        "best_peer": best,
        "difference_to": {name: skill_measures.difference(rows["forecaster"], rows[name]) for name in peers},
        "slices": {name: skill_measures.slices(rows[name]) for name in ("forecaster", best)},
    }


if __name__ == "__main__":
    main()
