"""Scoring: forecasts beside what came and beside the seasonal naive forecast; frame in, frame out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from forecast_core.contracts.schema import HOUR, KEY, METRICS, SERIES

DAYS: Final = (1, 7, 30)
"""Days over which figures are kept, up to the newest observed hour."""

HOUR_DAYS: Final = 7
"""Days of which the single hours are kept."""


def with_first_hours(runs: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that have forecasts, with ``first_hour``: the first hour that each forecasts.

    It follows from the last one, because a reader of the newest days may have cut off the first ones.

    Args:
        runs: ``archive.RUNS`` of one feature view.
        forecasts: ``schema.FORECASTS`` of these runs, at least with the last hour of each.
    """
    ends = forecasts.group_by("reference_datetime").agg(last=pl.col("datetime_utc").max())
    first = pl.col("last") - (pl.col("fh") - 1) * pl.lit(HOUR)
    return runs.join(ends, on="reference_datetime").with_columns(first_hour=first).drop("last")


def scored(forecasts: pl.DataFrame, *, runs: pl.DataFrame, observed: pl.DataFrame, naive: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts whose hour was observed, with the columns ``lead``, ``truth`` and ``naive``.

    Args:
        forecasts: Rows of ``schema.FORECASTS`` of one feature view.
        runs: The runs that the forecasts are of, as ``with_first_hours`` returned them; forecasts of others are left
            out.
        observed: ``schema.OBSERVATIONS`` of the forecast hours.
        naive: ``naive.NAIVE`` of the runs.
    """
    lead = (pl.col("datetime_utc") - pl.col("first_hour")).dt.total_hours() + 1
    truth = observed.rename({"energy_consumption": "truth"})
    return (
        forecasts.join(runs.select("reference_datetime", "first_hour"), on="reference_datetime")
        .with_columns(lead=lead)
        .drop("first_hour")
        .join(truth, on=KEY)
        .join(naive, on=("reference_datetime", *KEY), how="left")
    )


def recent(rows: pl.DataFrame, *, days: int) -> pl.DataFrame:
    """Return the ``scored`` rows of the last ``days`` days, up to the newest hour among them."""
    return rows.filter(pl.col("datetime_utc") > pl.col("datetime_utc").max() - pl.duration(days=days))


def measures(rows: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return one row per group of ``scored`` rows: its key, ``n`` and its measures, null where they are not defined.

    The measures are those of ``load_forecaster.metrics``, as fractions and kWh. ``relative_mae`` is the MAE over that
    of the naive forecast, ``naive_wape`` and ``naive_mape`` are the latter's, all three on the rows that have one; over
    all series ``relative_mae`` is also WAPE over the naive forecast's. ``bias`` is sum(forecast - truth) / sum|truth|;
    ``fallback_share`` the share of forecasts that did not come from the model.
    """
    truth, forecast, naive = pl.col("truth"), pl.col("energy_consumption"), pl.col("naive")
    error, naive_error, size = (forecast - truth).abs(), (naive - truth).abs(), truth.abs()
    comparable, positive = naive.is_not_null(), truth > 0
    figures = {
        "wape": _ratio(error.sum(), size.sum()),
        "mape": (error / truth).filter(positive).mean(),
        "mae": error.mean(),
        "bias": _ratio((forecast - truth).sum(), size.sum()),
        "naive_wape": _ratio(naive_error.sum(), size.filter(comparable).sum()),
        "naive_mape": (naive_error / truth).filter(positive).mean(),
        "naive_mae": naive_error.mean(),
        "relative_mae": _ratio(error.filter(comparable).sum(), naive_error.sum()),
        "coverage_80": truth.is_between("q10", "q90").mean(),
        "coverage_90": truth.is_between("q05", "q95").mean(),
        "fallback_share": (pl.col("quality") != "model").mean(),
    }
    named = [value.alias(name) for name, value in figures.items()]
    if not by:
        return rows.select(pl.len().cast(pl.Int64).alias("n"), *named)
    return rows.group_by(by).agg(pl.len().cast(pl.Int64).alias("n"), *named).sort(by)


def _ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    return pl.when(below > 0).then(above / below)


def overall(rows: pl.DataFrame, backtests: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the measures of all rows, with ``rmae24`` and what the models had measured of themselves beside them.

    ``rmae24`` is the mean over series of their ``relative_mae``. ``backtest_...`` are the figures that the training of
    each forecast's model measured on its last origins, averaged over the forecasts.

    Args:
        rows: ``scored`` rows, at least one.
        backtests: Metrics of the training, by model version.
    """
    figures: dict[str, Any] = measures(rows).row(0, named=True)
    relative = measures(rows, SERIES)["relative_mae"]
    return {**figures, "rmae24": relative.mean(), **_backtest(rows, backtests)}


_OF_BACKTEST: Final = {
    "backtest_wape": "wape",
    "backtest_naive_wape": "naive_wape",
    "backtest_relative_mae": "wape_ratio",
    "backtest_rmae24": "rmae24",
    "backtest_coverage_80": "coverage_80",
    "backtest_coverage_90": "coverage_90",
}


def _backtest(rows: pl.DataFrame, backtests: Mapping[int, Mapping[str, Any]]) -> dict[str, float | None]:
    counts = dict(rows["model_version"].value_counts().iter_rows())
    result: dict[str, float | None] = {}
    for name, theirs in _OF_BACKTEST.items():
        pairs = [(n, backtests.get(version, {}).get(theirs)) for version, n in counts.items()]
        known = [(n, value) for n, value in pairs if value is not None]
        total = sum(n for n, _ in known)
        result[name] = sum(n * value for n, value in known) / total if total else None
    return result


def history(rows: pl.DataFrame, *, run: Mapping[str, Any], backtests: Mapping[int, Mapping[str, Any]]) -> pl.DataFrame:
    """Return ``forecasts.METRICS`` of ``scored`` rows: over all, by series and lead for each of ``DAYS``, and by hour.

    Args:
        rows: ``scored`` rows, at least one.
        run: The run's ``reference_datetime`` and ``feature_view_version``.
        backtests: Metrics of the training, by model version.
    """
    parts = []
    for days in DAYS:
        window = recent(rows, days=days)
        total = pl.DataFrame([overall(window, backtests)], infer_schema_length=None)
        parts.append(_long(total, "overall", days))
        parts.extend(_long(measures(window, by), level, days) for level, by in (("series", SERIES), ("lead", ["lead"])))
        if days == HOUR_DAYS:
            parts.append(_long(measures(window, ["datetime_utc"]), "hour", days))
    constants = [pl.lit(value, dtype=METRICS[name]).alias(name) for name, value in run.items()]
    return pl.concat(parts).with_columns(*constants).select(METRICS.names())


def _long(figures: pl.DataFrame, level: str, days: int) -> pl.DataFrame:
    keys = {name: METRICS[name] for name in (*KEY, "lead")}
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in keys.items() if name not in figures.columns]
    index = [*keys, "n"]
    wide = figures.with_columns(*absent).with_columns(pl.exclude(*index).cast(pl.Float64))
    return wide.unpivot(index=index, variable_name="metric", value_name="value").with_columns(
        level=pl.lit(level), days=pl.lit(days, dtype=pl.Int64), lead=pl.col("lead").cast(pl.Int64)
    )
