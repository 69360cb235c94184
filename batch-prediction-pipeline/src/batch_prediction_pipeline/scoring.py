"""Scoring: forecasts beside what came and beside the seasonal naive forecast; frame in, frame out."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from forecast_core import metrics
from forecast_core.forecasts import METRICS
from forecast_core.schema import KEY, SERIES

SEASON: Final = 24

Measures = Mapping[str, float]


def scored(forecasts: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts whose hour was observed, with the columns ``truth`` and ``naive``.

    The naive forecast of an hour is the value observed a whole number of days before it, the last such hour before
    the run's first forecast hour; it is null where that hour was not observed.

    Args:
        forecasts: Rows of ``schema.FORECASTS``, of any number of runs.
        observed: ``schema.OBSERVATIONS`` of the forecast hours and of the days before them.
    """
    lead = (pl.col("datetime_utc") - pl.col("datetime_utc").min().over("reference_datetime")).dt.total_hours()
    seasons = lead // SEASON + 1
    truth = observed.rename({"energy_consumption": "truth"})
    before = observed.rename({"energy_consumption": "naive", "datetime_utc": "naive_hour"})
    return (
        forecasts.with_columns((pl.col("datetime_utc") - pl.duration(hours=seasons * SEASON)).alias("naive_hour"))
        .join(truth, on=KEY)
        .join(before, on=(*SERIES, "naive_hour"), how="left")
    )


def measures(rows: pl.DataFrame) -> dict[str, float]:
    """Return the measures of ``scored`` rows; NaN where there is nothing to measure or to divide by.

    ``relative_mae`` is the MAE over that of the naive forecast on the rows that have one.
    """
    truth, forecast, naive = (rows[name].to_numpy() for name in ("truth", "energy_consumption", "naive"))
    comparable = rows.filter(pl.col("naive").is_not_null())
    simple = metrics.mae(truth, naive)
    own = metrics.mae(comparable["truth"].to_numpy(), comparable["energy_consumption"].to_numpy())
    return {
        "mape": metrics.mape(truth, forecast),
        "wape": metrics.wape(truth, forecast),
        "mae": metrics.mae(truth, forecast),
        "naive_mae": simple,
        "relative_mae": own / simple if simple > 0 else float("nan"),
    }


def overall(rows: pl.DataFrame) -> dict[str, float]:
    """Return ``measures`` of all rows, with ``rmae24``, the naive forecast's percentages and the intervals' coverage.

    ``rmae24`` is the mean over series of their ``relative_mae``.
    """
    truth, forecast, naive = (rows[name].to_numpy() for name in ("truth", "energy_consumption", "naive"))
    series = rows.select(pl.concat_str(SERIES, separator="/"))["area"].to_numpy()
    low, high = (("q10", "q05"), ("q90", "q95"))
    ranges = {share: (rows[a].to_numpy(), rows[b].to_numpy()) for share, a, b in zip((80, 90), low, high, strict=True)}
    return {
        **measures(rows),
        "rmae24": metrics.relative_mae(truth, forecast, naive, series),
        "naive_mape": metrics.mape(truth, naive),
        "naive_wape": metrics.wape(truth, naive),
        **{f"coverage_{share}": metrics.coverage(truth, *bounds) for share, bounds in ranges.items()},
    }


def history(rows: pl.DataFrame, *, run: Mapping[str, Any]) -> pl.DataFrame:
    """Return ``forecasts.METRICS`` of ``scored`` rows: over all, for each hour and for each series.

    Args:
        rows: At least one.
        run: The run's ``reference_datetime`` and ``feature_view_version``.
    """
    return pl.DataFrame([{**run, **record} for record in _records(rows)], schema=METRICS)


def _records(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    yield from _metrics("overall", {}, overall(rows), rows.height)
    for level, columns in (("hour", ("datetime_utc",)), ("series", SERIES)):
        for key, group in rows.partition_by(columns, as_dict=True).items():
            yield from _metrics(level, dict(zip(columns, key, strict=True)), measures(group), group.height)


def _metrics(level: str, key: dict[str, Any], values: Measures, count: int) -> Iterator[dict[str, Any]]:
    for metric, value in metrics.plain(dict(values)).items():
        yield {"level": level, **key, "metric": metric, "value": value, "n": count}
