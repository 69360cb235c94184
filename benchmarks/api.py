"""The API under load: forecasts of single series out of 100,000, beside a constant body of the same size.

    .energy/venvs/dev/bin/python benchmarks/api.py --root /var/tmp/api-benchmark

The archive is simulated: two hourly runs of so many series with 24 hours each, values with a daily pattern. The server
is the one of ``python -m app_api``, with two more routes that return ready bytes as long as a forecast: ``/constant``,
an ordinary FastAPI route without parameters, and ``/floor``, a bare Starlette route before all others, which is less
than FastAPI ever does. wrk asks for series drawn at random and for these, in turn, round by round, so that all meet the
same machine; what is reported are the medians over the rounds, and the server's processor time per request, which
says more than a clock on a machine that is busy. Then a third run is archived while the server is asked,
and the seconds until its forecasts are answered are measured. The results go to ``benchmarks/results/api.json`` with
the commit and the machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import uvicorn
from fastapi import Request, Response
from machine import machine
from starlette.routing import Route

from app_api.__main__ import configured
from app_api.application import create_app
from forecast_core import provenance
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import FORECASTS, HOUR, KEY, OBSERVATIONS, QUANTILES, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

START = datetime(2024, 3, 1, tzinfo=UTC)
HOURS = 24
PATHS = {"constant": "/constant", "forecast": "", "floor": "/floor"}
GOALS = {"p99_ratio": 2.0, "throughput_ratio": 0.7, "memory_mb": 1000.0, "seconds_until_new": 10.0}
# wrk asks for /forecasts/A012/345 and so on; at the end it says what it found, as JSON.
SCRIPT = """
local path = "{path}"
request = function()
  if path ~= "" then return wrk.format("GET", path) end
  local number = math.random(0, {series} - 1)
  return wrk.format("GET", string.format("/api/v1/forecasts/A%03d/%03d", math.floor(number / 1000), number % 1000))
end
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format('{{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors + summary.errors.status + summary.errors.timeout))
end
"""


def names(series: int) -> pl.DataFrame:
    """Return area and consumer type of each series, sorted."""
    number = np.arange(series)
    areas, types = (number // 1000).tolist(), (number % 1000).tolist()
    return pl.DataFrame({"area": [f"A{n:03d}" for n in areas], "consumer_type": [f"{n:03d}" for n in types]})


def keys(series: int, window: Window) -> pl.DataFrame:
    """Return the key of every hour of every series, sorted."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", time_unit="us", eager=True)
    return names(series).join(pl.DataFrame({"datetime_utc": hours.cast(UTC_HOUR)}), how="cross").select(KEY)


def archived(settings: Settings, series: int, *, run: int) -> None:
    """Ingest one hour and archive forecasts of all series for the hours after it."""
    reference = START + run * HOUR
    store, archive = FeatureStore(settings), ForecastArchive(settings)
    seen, target = Window(reference - HOUR, reference), Window(reference, reference + HOURS * HOUR)
    observed = keys(series, seen).with_columns(energy_consumption=pl.int_range(pl.len()) % 997 * 10.0)
    observed = observed.select(OBSERVATIONS.names())
    group: dict[str, Any] = {"dataset": "simulated", "feature_group_version": 1}
    store.ingest(observed, **group, window=seen, reference_datetime=reference, url="simulated", record={})
    view = store.feature_view(store.create_feature_view(**group))
    level = pl.int_range(pl.len()) // HOURS % 997 * 10.0
    point = (level + 500 * (pl.col("datetime_utc").dt.hour() / 24 * 2 * np.pi).sin() + run).round(3)
    facts = {"reference_datetime": reference, "feature_view_version": view.version}
    rows = provenance.forecast_rows(
        keys(series, target)
        .with_columns(energy_consumption=point)
        .with_columns(
            **{name: (pl.col("energy_consumption") * (0.5 + share)).round(3) for name, share in QUANTILES.items()},
            quality=pl.lit("model"),
        ),
        run={**facts, "training_dataset_version": 1, "model_version": 1},
    )
    made_by = {"dag_run_id": None, "code": None}
    archive.write_run(provenance.run_facts(rows, observed, view=view, window=seen, fh=HOURS, made_by=made_by))
    archive.write(rows.select(FORECASTS.names()))


def serve(root: Path, port: int, size: int) -> None:
    """Run the server, with the route ``/constant``, until it is stopped."""
    app = create_app(Settings(root_dir=root), clock=lambda: START + 1000 * HOUR)
    body = b"[" + b"0" * (size - 2) + b"]"

    async def constant() -> Response:
        return Response(body, media_type="application/json")

    async def floor(_: Request) -> Response:
        return Response(body, media_type="application/json")

    app.add_api_route("/constant", constant, include_in_schema=False)
    # Before all others, so that the constant is not found later than a forecast.
    app.router.routes.insert(0, app.router.routes.pop())
    app.router.routes.insert(0, Route("/floor", floor))
    uvicorn.Server(configured(app, host="127.0.0.1", port=port)).run()


@contextmanager
def server(root: Path, port: int, size: int) -> Iterator[tuple[int, float]]:
    """Give the server's process id, and the seconds until it answered with a forecast."""
    command = [sys.executable, __file__, "--root", str(root), "--port", str(port), "--serve", str(size)]
    begun = time.monotonic()
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/api/v1/forecasts/A000/000", timeout=60).is_success:
                    break
            except httpx.HTTPError:
                pass
            if process.poll() is not None or time.monotonic() - begun > 300:
                sys.exit("error: the server does not answer")
            time.sleep(0.05)
        yield process.pid, time.monotonic() - begun
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loaded(
    pid: int, port: int, path: str, *, series: int, seconds: int, connections: int, folder: Path
) -> dict[str, float]:
    """Return what wrk measures of one path, of random series if it is empty, and the server's time per request."""
    script = folder / "wrk.lua"
    script.write_text(SCRIPT.format(path=path, series=series))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    before = cpu_seconds(pid)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    used = cpu_seconds(pid) - before
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if found["errors"]:
        sys.exit(f"error: {found['errors']:.0f} requests of {path or 'forecasts'} failed")
    per_request = {"cpu_us_per_request": 1e6 * used / found["requests"]}
    return found | {"requests_per_second": found["requests"] / found["seconds"]} | per_request


def memory(pid: int) -> dict[str, float]:
    """Return the resident memory of a process in MB: now, and the most it ever was."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("Vm")}
    return {"now_mb": round(found["VmRSS"], 1), "peak_mb": round(found["VmHWM"], 1)}


def until_new(root: Path, port: int, series: int) -> dict[str, float]:
    """Archive a third run, in a process of its own; return the seconds from its last commit until it is served."""
    before = httpx.get(f"http://127.0.0.1:{port}/api/v1/forecasts/A000/000").json()["reference_datetime"]
    command = [sys.executable, __file__, "--root", str(root), "--series", str(series), "--archive", "2"]
    writer = subprocess.Popen(command)
    slowest, ended = 0.0, None
    while True:
        asked = time.monotonic()
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/forecasts/A000/000", timeout=60).json()
        slowest = max(slowest, time.monotonic() - asked)
        if len(answer["forecast"]) != HOURS:
            sys.exit("error: half of a run was answered")
        if ended is None and writer.poll() is not None:
            ended = time.monotonic()
        if answer["reference_datetime"] != before:
            writer.wait()
            seconds = max(0.0, time.monotonic() - ended) if ended is not None else 0.0
            return {"seconds": round(seconds, 2), "slowest_answer_s": round(slowest, 3)}
        time.sleep(0.05)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run the whole benchmark; return the result."""
    root: Path = options.root
    settings = Settings(root_dir=root)
    for run in range(2):
        archived(settings, options.series, run=run)
    with server(root, options.port, 100) as (_, _):
        size = len(httpx.get(f"http://127.0.0.1:{options.port}/api/v1/forecasts/A000/500").content)
    load = {"series": options.series, "seconds": options.seconds, "connections": options.connections, "folder": root}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in PATHS}
    with server(root, options.port, size) as (pid, until_first):
        for path in PATHS.values():
            loaded(pid, options.port, path, **load | {"seconds": 2})
        for _ in range(options.rounds):
            for name, path in PATHS.items():
                rounds[name].append(loaded(pid, options.port, path, **load))
        under_load = memory(pid)
        new = until_new(root, options.port, options.series)
        after_new = memory(pid)
    return report(rounds) | {
        "body_bytes": size,
        "seconds_until_first_answer": round(until_first, 2),
        "new_run": new,
        "memory": {"under_load": under_load, "after_a_new_run": after_new},
    }


def report(rounds: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return the medians over the rounds, and the forecasts' figures divided by those of the constant body."""
    kept = ("requests_per_second", "p50_ms", "p99_ms", "cpu_us_per_request")
    medians = {
        name: {key: round(statistics.median(each[key] for each in found), 3) for key in kept}
        for name, found in rounds.items()
    }
    forecast = medians["forecast"]
    ratios = {
        f"against_{name}": {
            "throughput_ratio": round(forecast["requests_per_second"] / medians[name]["requests_per_second"], 3),
            "p99_ratio": round(forecast["p99_ms"] / medians[name]["p99_ms"], 3),
            # What the throughputs would be to each other if nothing else ran.
            "throughput_ratio_by_cpu": round(medians[name]["cpu_us_per_request"] / forecast["cpu_us_per_request"], 3),
        }
        for name in ("constant", "floor")
    }
    return {**medians, **ratios, "rounds": rounds}


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder for the simulated archive; made anew")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=8109)
    parser.add_argument("--seconds", type=int, default=10, help="of each round and path")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--name", default="api", help="of the result's file")
    parser.add_argument("--serve", type=int, metavar="BYTES", help=argparse.SUPPRESS)
    parser.add_argument("--archive", type=int, metavar="RUN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.root, options.port, options.serve)
        return
    if options.archive is not None:
        archived(Settings(root_dir=options.root), options.series, run=options.archive)
        return
    if shutil.which("wrk") is None:
        sys.exit("error: wrk is not installed (Debian: apt install wrk)")
    shutil.rmtree(options.root, ignore_errors=True)
    options.root.mkdir(parents=True)
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    facts = machine() | {"wrk": wrk.split(" Copyright")[0]}
    facts |= {"series": options.series, "hours": HOURS, "archive": "simulated", "goals": GOALS}
    result = facts | measured(options)
    target = Path(__file__).parent / "results" / f"{options.name}.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(json.dumps({key: value for key, value in result.items() if key != "rounds"}, indent=1) + "\n")


if __name__ == "__main__":
    main()
