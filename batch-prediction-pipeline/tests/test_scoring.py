"""Monitoring's measures, which are polars expressions over groups, are those of the forecaster's NumPy."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from batch_prediction_pipeline.monitoring import scoring
from forecast_core.contracts.schema import HOUR, SERIES, UTC_HOUR
from load_forecaster import metrics

START = datetime(2023, 1, 1, tzinfo=UTC)


def scored(seed: int) -> pl.DataFrame:
    """Forecasts of four series with zeros among the values, hours without a naive forecast, and one perfect naive."""
    chance = np.random.default_rng(seed)
    keys = [("DK1", kind, START + hour * HOUR) for kind in ("a", "b", "c", "d") for hour in range(60)]
    schema = pl.Schema({"area": pl.String(), "consumer_type": pl.String(), "datetime_utc": UTC_HOUR})
    truth = np.where(chance.random(len(keys)) < 0.1, 0.0, chance.uniform(1, 9, len(keys)))
    naive = np.where(chance.random(len(keys)) < 0.2, np.nan, truth + chance.normal(size=len(keys)))
    naive[:60] = truth[:60]
    point = truth + chance.normal(size=len(keys))
    widths = {"q05": -2.0, "q10": -1.0, "q90": 1.0, "q95": 2.0}
    return pl.DataFrame(keys, schema=schema, orient="row").with_columns(
        energy_consumption=pl.Series(point),
        truth=pl.Series(truth),
        naive=pl.Series(naive).fill_nan(None),
        lead=pl.int_range(pl.len()) % 24 + 1,
        quality=pl.Series(np.where(chance.random(len(keys)) < 0.3, "fallback: silent", "model")),
        model_version=pl.lit(1, pl.Int64),
        **{name: pl.Series(point + width) for name, width in widths.items()},
    )


def expected(rows: pl.DataFrame) -> dict[str, float]:
    names = ("truth", "energy_consumption", "naive", "q05", "q10", "q90", "q95")
    truth, forecast, naive, q05, q10, q90, q95 = (rows[name].cast(pl.Float64).to_numpy() for name in names)
    compared = np.where(np.isnan(naive), np.nan, truth)
    return {
        "wape": metrics.wape(truth, forecast),
        "mape": metrics.mape(truth, forecast),
        "mae": metrics.mae(truth, forecast),
        "naive_wape": metrics.wape(truth, naive),
        "naive_mape": metrics.mape(truth, naive),
        "naive_mae": metrics.mae(truth, naive),
        "relative_mae": float(np.float64(metrics.mae(compared, forecast)) / metrics.mae(truth, naive)),
        "coverage_80": metrics.coverage(truth, q10, q90),
        "coverage_90": metrics.coverage(truth, q05, q95),
        "bias": float(np.sum(forecast - truth) / np.sum(truth)),
        "fallback_share": float(np.mean(rows["quality"].to_numpy() != "model")),
        "implausible": 0.0,
        "n": rows.height,
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by", [["lead"], ["datetime_utc"], ["consumer_type"]])
def test_the_measures_of_every_group_are_the_forecasters(seed: int, by: list[str]) -> None:
    rows = scored(seed)
    found = {row.pop(by[0]): row for row in scoring.measures(rows, by).to_dicts()}
    for key, group in rows.group_by(by):
        with np.errstate(invalid="ignore", divide="ignore"):
            wanted = {name: value if np.isfinite(value) else None for name, value in expected(group).items()}
        assert found[key[0]] == pytest.approx(wanted), key


@pytest.mark.parametrize("seed", range(3))
def test_the_relative_error_over_all_series_leaves_out_those_whose_naive_forecast_is_perfect(seed: int) -> None:
    rows = scored(seed)
    truth, forecast, naive = (rows[name].to_numpy() for name in ("truth", "energy_consumption", "naive"))
    series = rows.select(pl.concat_str(SERIES)).to_series().to_list()
    sums = scoring.totals(rows, SERIES)
    found = scoring.overall(sums, models={1: rows.height}, backtests={1: {"wape": 0.25}})
    assert found["rmae24"] == pytest.approx(metrics.relative_mae(truth, forecast, naive, series))
    assert (found["backtest_wape"], found["backtest_rmae24"]) == (0.25, None)


def test_a_run_of_which_only_the_last_hours_are_read_has_the_leads_of_all_of_it() -> None:
    reference = START + timedelta(days=9)
    hours = pl.datetime_range(START, START + 23 * HOUR, HOUR, time_unit="us", eager=True).cast(UTC_HOUR)
    made_at = pl.lit(reference).cast(UTC_HOUR).alias("reference_datetime")
    series = [pl.lit("DK1").alias("area"), pl.lit("a").alias("consumer_type")]
    forecasts = pl.DataFrame({"datetime_utc": hours}).with_columns(
        *series, made_at, energy_consumption=pl.lit(1.0), q05=pl.lit(0.5), q95=pl.lit(1.5)
    )
    runs = pl.DataFrame({"fh": [24]}).with_columns(made_at)
    cut = forecasts.tail(5)
    found = scoring.with_first_hours(runs, cut)
    assert found["first_hour"].to_list() == [START]
    observed = cut.select("area", "consumer_type", "datetime_utc", "energy_consumption")
    naive = cut.select("reference_datetime", "area", "consumer_type", "datetime_utc", naive=pl.lit(2.0))
    rows = scoring.scored(cut, runs=found, observed=observed, naive=naive)
    assert rows["lead"].to_list() == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("code", [9_999_999.0, 1e9, -9999.0])
def test_an_error_code_that_came_is_counted_and_not_scored_and_not_repeated_by_the_naive_forecast(code: float) -> None:
    """Class: one hour of a meter's error code among the scored hours; it must not outweigh the other hours."""
    rows = scored(0)
    keys = rows.select(
        "area", "consumer_type", "datetime_utc", pl.lit(START).cast(UTC_HOUR).alias("reference_datetime")
    )
    keys = keys.unique(("area", "consumer_type", "datetime_utc"), maintain_order=True)
    forecasts = keys.with_columns(
        energy_consumption=pl.lit(100.0), q05=pl.lit(80.0), q10=pl.lit(90.0), q90=pl.lit(110.0), q95=pl.lit(120.0)
    ).with_columns(quality=pl.lit("model"), model_version=pl.lit(1, pl.Int64))
    runs = pl.DataFrame({"first_hour": [START]}).select(
        pl.lit(START).cast(UTC_HOUR).alias("reference_datetime"), pl.col("first_hour").cast(UTC_HOUR)
    )
    first = pl.int_range(pl.len()) == 0
    observed = keys.drop("reference_datetime").with_columns(
        energy_consumption=pl.when(first).then(code).otherwise(pl.lit(101.0))
    )
    naive = keys.with_columns(naive=pl.when(pl.int_range(pl.len()) == 1).then(code).otherwise(pl.lit(103.0)))
    rows = scoring.scored(forecasts, runs=runs, observed=observed, naive=naive)
    found = scoring.measures(rows).row(0, named=True)
    assert (found["n"], found["implausible"]) == (keys.height - 1, 1)
    assert found["wape"] == pytest.approx(1 / 101)
    assert found["naive_mae"] == pytest.approx(2.0)
    assert found["relative_mae"] == pytest.approx(0.5)
