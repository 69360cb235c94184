"""Scoring: forecasts beside what came and beside the seasonal naive forecast; frame in, frame out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import polars as pl

from forecast_core.contracts.schema import HOUR, KEY, METRICS, SERIES
from forecast_core.scored_hours import SUMS

DAYS: Final = (1, 7, 30)
"""Days over which figures are kept, up to the newest observed hour."""

HOUR_DAYS: Final = 7
"""Days of which the single hours are kept."""


IMPLAUSIBLE: Final = 10.0
"""An observed value of so many times the largest bound of its forecast is an error code of a meter: it is not scored,
because the sums are kWh, and one such hour would outweigh all hours of all series."""


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

    ``truth`` and ``naive`` are null where they are more than ``IMPLAUSIBLE`` times what was forecast.

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
        .with_columns(_plausible("truth"), _plausible("naive"))
    )


def _plausible(column: str) -> pl.Expr:
    largest = pl.max_horizontal(pl.col("energy_consumption", "q05", "q95").abs())
    return pl.when((largest <= 0) | (pl.col(column).abs() <= IMPLAUSIBLE * largest)).then(column).alias(column)


def recent(rows: pl.DataFrame, *, days: int) -> pl.DataFrame:
    """Return the rows of the last ``days`` days, up to the newest hour among them."""
    return rows.filter(pl.col("datetime_utc") > pl.col("datetime_utc").max() - pl.duration(days=days))


def totals(rows: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return the sums and counts over ``scored`` rows from which ``figures`` follow, one row per group, sorted.

    ``scored_hours.SUMS`` says what they are. Sums of these sums give those of larger groups (``summed``).
    """
    truth, forecast, naive = pl.col("truth"), pl.col("energy_consumption"), pl.col("naive")
    error, naive_error, size = (forecast - truth).abs(), (naive - truth).abs(), truth.abs()
    known, positive = truth.is_not_null(), truth > 0
    comparable = known & naive.is_not_null()
    sums = {
        "n": known.sum(),
        "error": error.sum(),
        "size": size.sum(),
        "signed": (forecast - truth).sum(),
        "share": (error / truth).filter(positive).sum(),
        "positive": positive.sum(),
        "naive_n": comparable.sum(),
        "naive_error": naive_error.sum(),
        "naive_size": size.filter(comparable).sum(),
        "naive_share": (naive_error / truth).filter(positive).sum(),
        "naive_positive": (positive & comparable).sum(),
        "compared_error": error.filter(comparable).sum(),
        "inside_80": truth.is_between("q10", "q90").sum(),
        "inside_90": truth.is_between("q05", "q95").sum(),
        "fallbacks": (known & pl.col("quality").cast(pl.String).str.starts_with("fallback")).sum(),
        "implausible": (~known).sum(),
    }
    named = [sums[name].cast(pl.Float64).alias(name) for name in SUMS]
    return rows.group_by(by, maintain_order=True).agg(*named).sort(by) if by else rows.select(*named)


def summed(parts: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return ``totals`` of larger groups from those of smaller ones."""
    sums = [pl.col(name).sum() for name in SUMS]
    return parts.group_by(by, maintain_order=True).agg(sums).sort(by) if by else parts.select(sums)


def figures(sums: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of ``totals``, ``n`` and the measures, null where they are not defined.

    The measures are those of ``load_forecaster.metrics``, as fractions and kWh. ``relative_mae`` is the MAE over that
    of the naive forecast, ``naive_wape`` and ``naive_mape`` are the latter's, all three on the rows that have one; over
    all series ``relative_mae`` is also WAPE over the naive forecast's. ``bias`` is sum(forecast - truth) / sum|truth|;
    ``fallback_share`` is the share of forecasts that are fallbacks. ``implausible`` is the number of forecasts that
    are not scored, because the value that came is an error code.
    """
    measured = {
        "wape": _ratio("error", "size"),
        "mape": _ratio("share", "positive"),
        "mae": _ratio("error", "n"),
        "bias": _ratio("signed", "size"),
        "naive_wape": _ratio("naive_error", "naive_size"),
        "naive_mape": _ratio("naive_share", "naive_positive"),
        "naive_mae": _ratio("naive_error", "naive_n"),
        "relative_mae": _ratio("compared_error", "naive_error"),
        "coverage_80": _ratio("inside_80", "n"),
        "coverage_90": _ratio("inside_90", "n"),
        "fallback_share": _ratio("fallbacks", "n"),
        "implausible": pl.col("implausible"),
    }
    keys = [name for name in (*KEY, "lead") if name in sums.columns]
    count = pl.col("n").cast(pl.Int64)
    return sums.select(*keys, count, *(value.alias(name) for name, value in measured.items()))


def _ratio(above: str, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))


def measures(rows: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return ``figures`` of ``scored`` rows, one row per group."""
    return figures(totals(rows, by))


def overall(
    by_series: pl.DataFrame, *, models: Mapping[int, float], backtests: Mapping[int, Mapping[str, Any]]
) -> dict[str, float | None]:
    """Return the measures over all series, with ``rmae24`` and the figures of the models' backtests beside them.

    ``rmae24`` is the mean over series of their ``relative_mae``. ``backtest_...`` are what the training of each
    forecast's model measured on its last origins, averaged over the forecasts.

    Args:
        by_series: ``totals`` by series, at least one.
        models: Number of forecasts of each model version.
        backtests: Metrics of the training, by model version.
    """
    found: dict[str, float | None] = figures(summed(by_series)).row(0, named=True)
    rmae24 = cast("float | None", figures(by_series)["relative_mae"].mean())
    return {**found, "rmae24": rmae24, **_backtest(models, backtests)}


_OF_BACKTEST: Final = {
    "backtest_wape": "wape",
    "backtest_naive_wape": "naive_wape",
    "backtest_relative_mae": "wape_ratio",
    "backtest_rmae24": "rmae24",
    "backtest_coverage_80": "coverage_80",
    "backtest_coverage_90": "coverage_90",
}


def _backtest(models: Mapping[int, float], backtests: Mapping[int, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the mean of each backtest figure over the forecasts, of which ``models`` counts those of each version."""
    result: dict[str, float | None] = {}
    for name, theirs in _OF_BACKTEST.items():
        pairs = [(n, backtests.get(version, {}).get(theirs)) for version, n in sorted(models.items())]
        known = [(n, value) for n, value in pairs if value is not None]
        total = sum(n for n, _ in known)
        result[name] = sum(n * value for n, value in known) / total if total else None
    return result


def history(
    by_series: pl.DataFrame,
    by_run: pl.DataFrame,
    *,
    run: Mapping[str, Any],
    backtests: Mapping[int, Mapping[str, Any]],
) -> pl.DataFrame:
    """Return METRICS of some hours: over all, by series and lead for each of ``DAYS``, and by hour.

    Args:
        by_series: ``totals`` by hour and series, at least one row.
        by_run: ``totals`` by hour, run, lead and model version of the same forecasts.
        run: The run's ``reference_datetime`` and ``feature_view_version``.
        backtests: Metrics of the training, by model version.
    """
    parts = []
    for days in DAYS:
        of_series, of_runs = recent(by_series, days=days), recent(by_run, days=days)
        series, leads = summed(of_series, SERIES), summed(of_runs, ["lead"])
        models = dict(of_runs.group_by("model_version").agg(pl.col("n").sum()).iter_rows())
        total = pl.DataFrame([overall(series, models=models, backtests=backtests)], infer_schema_length=None)
        parts.append(_long(total, "overall", days))
        parts.append(_long(figures(series), "series", days))
        parts.append(_long(figures(leads), "lead", days))
        if days == HOUR_DAYS:
            parts.append(_long(figures(summed(of_series, ["datetime_utc"])), "hour", days))
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
