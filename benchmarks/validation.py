"""How well the shape rules find real faults: EIA-930 demand as published, compared with its published flags.

    .energy/venvs/dev/bin/python benchmarks/validation.py --data hourly_demand_2020_2023.parquet

The data are those of Ruggles, Farnham, Wongel (2025), Zenodo 10.5281/zenodo.3517196: raw demand of 119 series and a
flag per hour, set by published rules that see years of data on both sides. Here each value is judged as a run would
judge it, from a window of 30 days. ``settled``: it is in the middle (10 to 20 days old); ``first_seen``: it is the
last hour of the window (every 35th hour, so that all hours of the day come). Thresholds were chosen on 2020 to 2022
only; 2023 is the test. What was flagged is compared hour by hour.

Level shifts have no published flag: series without any flag in their window are multiplied by a factor from a random
hour on, and the same windows unchanged give the false alarms. Results are written with commit and machine to
``benchmarks/results/validation-eia930.json``.
"""

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from machine import machine

from feature_pipeline.validation import shape
from forecast_core.contracts.window import Window

RESULTS = Path(__file__).parent / "results" / "validation-eia930.json"
DAYS = 30
ZONE = "America/Chicago"
PERIODS = {
    "tuning 2020-2022": (datetime(2020, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)),
    "test 2023": (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)),
}
FAULTS = {
    "missing": ["MISSING"],
    "zero or negative": ["NEG_OR_ZERO"],
    "flat": ["IDENTICAL_RUN"],
    "spike": ["DELTA", "SINGLE_DELTA", "LOCAL_DEM_UP", "LOCAL_DEM_DOWN", "GLOBAL_DEM"],
}
COLLATERAL = ["ANOMALOUS_REGION", "GLOBAL_DEM_PLUS_MINUS"]
"""Flags on values for their neighbours' sake: most are right, so they count neither as faults nor as false alarms."""


def read_demand(path: Path, start: datetime, end: datetime) -> pl.DataFrame:
    """Return raw demand of [start, end) as OBSERVATIONS with its flag; a missing value stays as a null."""
    rows = pl.read_parquet(path).select(
        area=pl.col("series").cast(pl.String),
        consumer_type=pl.lit("demand"),
        datetime_utc=pl.col("datetime_utc").dt.replace_time_zone("UTC"),
        energy_consumption=pl.col("demand_raw_mwh").cast(pl.Float64) * 1000,
        quality=pl.col("quality").cast(pl.String),
    )
    return rows.filter(pl.col("datetime_utc").is_between(start, end, closed="left")).sort("area", "datetime_utc")


def windows(start: datetime, end: datetime, *, step: timedelta, least_age: timedelta) -> Iterator[Window]:
    """Yield windows of 30 days, ``step`` apart, the first of which judges ``start`` at the least age."""
    last = start + step + least_age
    while last - least_age <= end:
        yield Window(last - timedelta(days=DAYS), last)
        last += step


def judged(rows: pl.DataFrame, each: list[Window], *, least_age: timedelta, span: timedelta) -> pl.DataFrame:
    """Return the hours of the given ages in each window, with the kinds of fault that were found in them."""
    tables = []
    for number, window in enumerate(each):
        inside = rows.filter(pl.col("datetime_utc").is_between(window.start, window.end, closed="left"))
        table = shape.grid(inside.drop("quality"), window, time_zone=ZONE)
        tables.append(table.with_columns(pl.lit(number).alias("window"), pl.col("area") + f"@{number}"))
    table = pl.concat(tables).with_columns(series=pl.struct("area").rank("dense")).sort("area", "datetime_utc")
    found = {
        "flat": shape.flat_lines(table),
        "spike": shape.spikes(table),
        "zero or negative": pl.concat([shape.zeros(table), _negative(table)]),
    }
    ends = pl.DataFrame({"window": range(len(each)), "end": [window.end for window in each]})
    age = pl.col("end") - pl.col("datetime_utc") - timedelta(hours=1)
    hours = table.join(ends, on="window").filter(age >= least_age, age < least_age + span)
    hours = hours.with_columns(missing=pl.col("energy_consumption").is_null())
    for kind, flags in found.items():
        marks = flags.select("area", "datetime_utc").unique().with_columns(pl.lit(value=True).alias(kind))
        hours = hours.join(marks, on=["area", "datetime_utc"], how="left").with_columns(
            pl.col(kind).fill_null(value=False)
        )
    hours = hours.with_columns(pl.col("area").str.replace("@.*", ""))
    return hours.join(rows.select("area", "datetime_utc", "quality"), on=["area", "datetime_utc"])


def _negative(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that the range rule finds."""
    wrong = table.filter(pl.col("energy_consumption") < 0)
    return wrong.with_columns(reason=pl.lit("negative")).select(shape.FLAGS.names())


def judge(
    rows: pl.DataFrame, start: datetime, end: datetime, *, step: timedelta, age: timedelta, span: timedelta
) -> Any:
    """Return precision and recall per kind of fault, over all windows of a period."""
    all_windows = [
        each for each in windows(start, end, step=step, least_age=age) if each.start >= rows["datetime_utc"][0]
    ]
    parts = []
    for first in range(0, len(all_windows), 12):
        part = judged(rows, all_windows[first : first + 12], least_age=age, span=span)
        parts.append(part.select("area", "datetime_utc", "quality", "energy_consumption", *FAULTS))
    hours = pl.concat(parts).filter(~pl.col("quality").is_in(COLLATERAL))
    scores: dict[str, Any] = {"hours": hours.height}
    for kind, flags in FAULTS.items():
        scores[kind] = precision_recall(hours, pl.col(kind), pl.col("quality").is_in(flags))
        if len(flags) > 1:
            scores[kind]["recall_by_flag"] = {
                flag: recall
                for flag in flags
                if (recall := precision_recall(hours, pl.col(kind), pl.col("quality") == flag)["recall"]) is not None
            }
    scores["any"] = precision_recall(hours, pl.any_horizontal(*FAULTS), pl.col("quality") != "OKAY")
    return scores


def precision_recall(hours: pl.DataFrame, found: pl.Expr, true: pl.Expr) -> dict[str, Any]:
    """Return counts, precision and recall; a value found as another kind of fault is no false alarm."""
    counts = hours.select(
        faults=true.sum(), hits=(found & true).sum(), false=(found & ~true & (pl.col("quality") == "OKAY")).sum()
    ).row(0, named=True)
    flagged = counts["hits"] + counts["false"]
    return {
        **counts,
        "precision": round(counts["hits"] / flagged, 3) if flagged else None,
        "recall": round(counts["hits"] / counts["faults"], 3) if counts["faults"] else None,
    }


def judge_shifts(rows: pl.DataFrame, start: datetime, end: datetime) -> dict[str, Any]:
    """Return, by factor, how many injected shifts are found within a day, and the false alarms."""
    result: dict[str, Any] = {}
    each = list(windows(start + timedelta(days=DAYS), end, step=timedelta(days=15), least_age=timedelta(0)))
    for factor in (1.0, 0.5, 0.7, 1.4, 2.0, 1000.0):
        found = total = 0
        for number, window in enumerate(each):
            inside = rows.filter(pl.col("datetime_utc").is_between(window.start, window.end, closed="left"))
            good = inside.filter((pl.col("quality") == "OKAY").all().over("area")).drop("quality")
            at = window.start + timedelta(hours=10 * 24 + (number * 7) % (15 * 24))
            later = pl.when(pl.col("datetime_utc") >= at).then(factor).otherwise(1.0)
            table = shape.grid(good.with_columns(pl.col("energy_consumption") * later), window, time_zone=ZONE)
            flags = shape.level_shifts(table)
            total += good["area"].n_unique()
            near = (pl.col("datetime_utc") - at).abs() <= timedelta(days=1)
            found += flags.height if factor == 1.0 else flags.filter(near)["area"].n_unique()
        name = "windows unchanged: flags" if factor == 1.0 else f"times {factor:g}: found"
        result[name] = {
            "series_windows": total,
            "flags" if factor == 1.0 else "found": found,
            "share": round(found / total, 3),
        }
    return result


def main() -> None:
    """Judge both periods and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--only", choices=["settled", "first_seen", "shifts"], action="append", help="default: all three"
    )
    options = parser.parse_args()
    parts = options.only or ["settled", "first_seen", "shifts"]
    command = " ".join(
        ["benchmarks/validation.py --data hourly_demand_2020_2023.parquet", *map("--only {}".format, parts)]
    )
    result: dict[str, Any] = {"command": command, "machine": machine()}
    for name, (start, end) in PERIODS.items():
        begun, rows = time.perf_counter(), read_demand(options.data, start - timedelta(days=DAYS), end)
        scores: dict[str, Any] = {}
        if "settled" in parts:
            ten = timedelta(days=10)
            scores["settled"] = judge(rows, start, end, step=ten, age=ten, span=ten)
        if "first_seen" in parts:
            scores["first_seen"] = judge(
                rows, start, end, step=timedelta(hours=35), age=timedelta(0), span=timedelta(hours=1)
            )
        if "shifts" in parts:
            scores["level shift"] = judge_shifts(rows, start, end)
        result[name] = scores | {"seconds": round(time.perf_counter() - begun, 1)}
        print(name, json.dumps(scores, indent=1))  # noqa: T201 - a benchmark talks to a person
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
