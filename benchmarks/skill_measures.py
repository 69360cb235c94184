"""Errors by lead hour, weekday, series and peaks, and bootstrap intervals of differences between methods.

Rows in the referee's long form: truth (unique_id, ds, y), forecasts (unique_id, cutoff, ds, yhat, quantiles). Errors
are compared with the seasonal naive forecast of 24 hours on the same rows.
"""

from typing import Any

import numpy as np
import polars as pl

PEAKS = 0.95
RESAMPLES = 2000
QUANTILES = {"q05": 0.05, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q95": 0.95}


def errors(truth: pl.DataFrame, forecasts: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return each method's rows with ``y``, ``lead``, ``error`` and ``naive``, the error of the naive forecast."""
    keys = ["unique_id", "cutoff", "ds"]
    times = [pl.col(name).cast(pl.Datetime("us")) for name in ("cutoff", "ds")]
    truth = truth.with_columns(pl.col("ds").cast(pl.Datetime("us")))
    naive = forecasts["naive24"].with_columns(times).select(*keys, other="yhat")
    result = {}
    for name, rows in forecasts.items():
        joined = rows.with_columns(times).join(truth, on=["unique_id", "ds"]).join(naive, on=keys)
        result[name] = joined.with_columns(
            lead=(pl.col("ds") - pl.col("cutoff")).dt.total_hours(),
            error=(pl.col("yhat") - pl.col("y")).abs(),
            naive=(pl.col("other") - pl.col("y")).abs(),
        ).sort(keys)
    return result


def slices(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the share of the naive error, and the coverage, by lead hour, weekday and series, and at peaks."""
    high = pl.col("y") >= pl.col("y").quantile(PEAKS).over("unique_id")
    series = _by(rows, pl.col("unique_id").alias("of"))
    return {
        "lead": _by(rows, pl.col("lead").alias("of")),
        "weekday": _by(rows, pl.col("ds").dt.weekday().alias("of")),
        "peaks": _by(rows.filter(high), pl.lit("top 5 % of hours").alias("of"))[0],
        "series": sorted(series, key=lambda each: each["share"]),
    }


def _by(rows: pl.DataFrame, key: pl.Expr) -> list[dict[str, Any]]:
    measures = [
        (pl.col("error").sum() / pl.col("naive").sum()).alias("share"),
        (pl.col("error").sum() / pl.col("y").abs().sum()).alias("wape"),
        pl.len().alias("rows"),
    ]
    if "q05" in rows.columns:
        for name, low, high in (("coverage_80", "q10", "q90"), ("coverage_90", "q05", "q95")):
            measures.append(pl.col("y").is_between(low, high).mean().alias(name))
        losses = [(pl.col("y") - pl.col(name)) * probability for name, probability in QUANTILES.items()]
        over = [(pl.col(name) - pl.col("y")) * (1 - probability) for name, probability in QUANTILES.items()]
        pinball = pl.sum_horizontal(pl.max_horizontal(*pair).sum() for pair in zip(losses, over, strict=True))
        measures.append((2 * pinball / len(QUANTILES) / pl.col("y").abs().sum()).alias("wql"))
    return rows.group_by(key).agg(measures).sort("of").to_dicts()


def difference(ours: pl.DataFrame, peer: pl.DataFrame) -> dict[str, Any]:
    """Return our measures minus a peer's with bootstrap intervals of 95 %, resampling origins and series."""
    one, other = (_table(rows) for rows in (ours, peer))
    random = np.random.default_rng(1)
    origins, series = one["error"].shape
    found = []
    for _ in range(RESAMPLES):
        some = np.ix_(random.integers(0, origins, origins), random.integers(0, series, series))
        found.append([a - b for a, b in zip(_measures(one, some), _measures(other, some), strict=True)])
    whole = np.ix_(range(origins), range(series))
    result = {}
    for index, name in enumerate(("share", "rmae24")):
        low, high = np.quantile([each[index] for each in found], [0.025, 0.975])
        value = _measures(one, whole)[index] - _measures(other, whole)[index]
        result[name] = {"difference": float(value), "low": float(low), "high": float(high)}
    return result


def _table(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    sums = rows.group_by("cutoff", "unique_id").agg(pl.col("error", "naive").sum()).sort("cutoff", "unique_id")
    shape = (rows["cutoff"].n_unique(), rows["unique_id"].n_unique())
    return {name: sums[name].to_numpy().reshape(shape) for name in ("error", "naive")}


def _measures(table: dict[str, np.ndarray], some: Any) -> tuple[float, float]:
    error, naive = table["error"][some], table["naive"][some]
    per_series, simple = error.sum(axis=0), naive.sum(axis=0)
    known = simple > 0
    return float(error.sum() / naive.sum()), float((per_series[known] / simple[known]).mean())
