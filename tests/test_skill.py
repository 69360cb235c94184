"""How good the default forecaster is: numbers that a change must not make worse."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import load_forecaster
from feature_pipeline import demo
from load_forecaster import DEFAULT, ForecasterConfig, metrics
from load_forecaster.schema import KEY, SERIES


def scored(history: pl.DataFrame, *, ends: Sequence[datetime], config: ForecasterConfig = DEFAULT) -> dict[str, float]:
    """Fit, predict and compare as of every one of ``ends``, refitting each time: what production does."""
    rows = []
    for end in ends:
        past = history.filter(pl.col("datetime_utc") < end)
        evaluation = load_forecaster.evaluate(past, end=end, fh=24, config=config, threads=2, origins=5)
        model = load_forecaster.fit(past, end=end, fh=24, config=config, threads=2, calibration=evaluation.calibration)
        yesterday = load_forecaster.seasonal_naive(past, end=end, fh=24)
        rows.append(model.predict(past, end=end).join(yesterday, on=KEY, suffix="_naive"))
    both = pl.concat(rows).join(history, on=KEY, suffix="_true")
    truth, forecast, naive = (both[f"energy_consumption{suffix}"] for suffix in ("_true", "", "_naive"))
    return {
        "wape_ratio": metrics.wape(truth, forecast) / metrics.wape(truth, naive.fill_null(float("nan"))),
        "rmae24": metrics.relative_mae(
            truth, forecast, naive.fill_null(float("nan")), both["area"] + both["consumer_type"]
        ),
        "coverage_80": metrics.coverage(truth, both["q10"], both["q90"]),
        "coverage_90": metrics.coverage(truth, both["q05"], both["q95"]),
    }


def test_the_default_beats_the_seasonal_naive_forecast_on_simulated_data() -> None:
    end = datetime(2024, 11, 20, 16, tzinfo=UTC)
    rows = demo.observations(end - timedelta(days=32), end, known_at=end + timedelta(days=90))
    keys = rows.select(SERIES).unique(maintain_order=True).gather_every(4)
    some = rows.join(keys, on=SERIES, how="semi")
    skill = scored(some, ends=[end - timedelta(days=2), end - timedelta(days=1)])
    assert skill["wape_ratio"] < 0.85
    assert skill["rmae24"] < 0.85
    assert 0.6 < skill["coverage_80"] < 0.95
    assert skill["coverage_80"] < skill["coverage_90"] < 0.99


@pytest.mark.real_data
@pytest.mark.skipif("ML_PIPELINE_REAL_DATA" not in os.environ, reason="ML_PIPELINE_REAL_DATA names no data file")
def test_the_default_beats_the_seasonal_naive_forecast_on_danish_data() -> None:
    file = Path(os.environ["ML_PIPELINE_REAL_DATA"])
    rows = pl.read_parquet(file).select(
        area="PriceArea",
        consumer_type="ConsumerType_DE35",
        datetime_utc=pl.col("HourUTC").str.to_datetime(time_unit="us").dt.replace_time_zone("UTC"),
        energy_consumption=pl.col("TotalCon").cast(pl.Float64),
    )
    # Three of the five origins of the benchmark (benchmarks/skill.py): a third of a minute.
    skill = scored(rows, ends=[datetime(2023, 1, day, 16, tzinfo=UTC) for day in (15, 17, 19)])
    assert skill["wape_ratio"] <= 0.8
    assert skill["rmae24"] <= 0.66
    # The cold days of this week are less certain than the week that the intervals were calibrated on.
    assert 0.65 <= skill["coverage_80"] <= 0.9
    assert 0.78 <= skill["coverage_90"] <= 0.97
