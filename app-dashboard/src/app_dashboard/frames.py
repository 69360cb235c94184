"""Answers of the API as frames; times are UTC, energy is in kWh."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

HOUR_COLUMNS: Final = ("energy_consumption", "q05", "q10", "q50", "q90", "q95")
_UTC: Final = pl.Datetime("us", "UTC")


def hours(forecast: Mapping[str, Any] | None) -> pl.DataFrame:
    """Return a forecast's hours: ``datetime_utc``, point forecast and quantiles as floats, ``quality``."""
    schema = {"datetime_utc": pl.String(), **dict.fromkeys(HOUR_COLUMNS, pl.Float64()), "quality": pl.String()}
    return _timed(pl.DataFrame(forecast["forecast"] if forecast else [], schema=schema, orient="row"))


def observations(forecast: Mapping[str, Any]) -> pl.DataFrame:
    """Return the observations beside a forecast: ``datetime_utc``, ``observed``."""
    schema = {"datetime_utc": pl.String(), "energy_consumption": pl.Float64()}
    frame = pl.DataFrame(forecast.get("observations") or [], schema=schema, orient="row")
    return _timed(frame).rename({"energy_consumption": "observed"})


def side_by_side(forecast: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row per hour with what was observed, is forecast now, and was forecast before.

    Columns: ``datetime_utc``, ``observed``, ``forecast``, ``q05`` … ``q95``, ``quality``, ``previous``,
    ``previous_q10``, ``previous_q90``; null where there is nothing. No hour between first and last is left out, so
    that a chart shows a gap as one.
    """
    now = hours(forecast).rename({"energy_consumption": "forecast"})
    before = hours(forecast.get("previous")).select(
        "datetime_utc",
        previous="energy_consumption",
        previous_q10="q10",
        previous_q90="q90",
    )
    joined = (
        observations(forecast)
        .join(now, on="datetime_utc", how="full", coalesce=True)
        .join(before, on="datetime_utc", how="full", coalesce=True)
    )
    if joined.is_empty():
        return joined
    first, last = pl.col("datetime_utc").min(), pl.col("datetime_utc").max()
    span = joined.select(pl.datetime_range(first, last, "1h").alias("datetime_utc"))
    return span.join(joined, on="datetime_utc", how="left").sort("datetime_utc")


def kept(compared: pl.DataFrame) -> pl.DataFrame:
    """Return the hours of ``side_by_side`` in which an earlier forecast met an observation, with its ``error``."""
    met = compared.filter(pl.col("previous").is_not_null() & pl.col("observed").is_not_null())
    return met.with_columns(error=pl.col("previous") - pl.col("observed"))


def wape(met: pl.DataFrame) -> float | None:
    """Return sum of absolute errors over sum of observations; None if there is nothing to measure."""
    total = float(met["observed"].abs().sum())
    return float(met["error"].abs().sum()) / total if total else None


def table(items: Sequence[Mapping[str, Any]], *times: str) -> pl.DataFrame:
    """Return items of a list as a frame, with the columns ``times`` as times."""
    frame = pl.DataFrame(list(items), infer_schema_length=None)
    present = [name for name in times if name in frame.columns]
    return frame.with_columns(pl.col(name).cast(pl.String).str.to_datetime(time_zone="UTC") for name in present)


def tasks(run: Mapping[str, Any], as_of: str) -> pl.DataFrame:
    """Return the tasks of a DAG run: ``task``, ``state``, ``begin`` and ``seconds``, ``tries``.

    ``begin`` is in seconds since the run began; a task that runs has taken what there is until ``as_of``. What has not
    begun is at 0 and takes nothing.
    """
    started, now = run["started_at"], datetime.fromisoformat(as_of)
    zero = datetime.fromisoformat(started) if started else now
    rows = [
        {
            "task": task["task_id"].replace("_", " "),
            "state": task["state"] or "not scheduled",
            "begin": max((begun - zero).total_seconds(), 0.0),
            "seconds": max((ended - begun).total_seconds(), 0.0),
            "tries": task["tries"],
        }
        for task in run["tasks"]
        for begun in [datetime.fromisoformat(task["started_at"]) if task["started_at"] else zero]
        for ended in [_ended(task, begun, now)]
    ]
    schema = {"task": pl.String(), "state": pl.String(), "begin": pl.Float64(), "seconds": pl.Float64()}
    return pl.DataFrame(rows, schema={**schema, "tries": pl.Int64()})


def _ended(task: Mapping[str, Any], begun: datetime, now: datetime) -> datetime:
    if task["ended_at"]:
        return datetime.fromisoformat(task["ended_at"])
    return now if task["state"] == "running" else begun


def missing_hours(references: pl.Series) -> list[datetime]:
    """Return the full hours between the first and the last of some times that are not among them."""
    times = references.alias("time").to_frame()
    every = times.select(pl.datetime_range(pl.col("time").min(), pl.col("time").max(), "1h"))
    return every.join(times, on="time", how="anti").sort("time")["time"].to_list()


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("datetime_utc").str.to_datetime(time_zone="UTC").cast(_UTC)).sort("datetime_utc")
