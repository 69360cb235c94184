"""Evaluation, intervals and skill."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import load_forecaster
from load_forecaster import ForecasterConfig, intervals, metrics, testing
from load_forecaster.schema import KEY, SERIES

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
QUICK = ForecasterConfig(trees=20, learning_rate=0.2)


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    return testing.observations(END - timedelta(days=20), END, series=12)


def test_an_evaluation_measures_what_replaying_the_model_by_hand_gives(data: pl.DataFrame) -> None:
    evaluation = load_forecaster.evaluate(data, end=END, fh=24, config=QUICK, threads=1, origins=3)
    first = END - timedelta(days=3)
    model = load_forecaster.fit(data, end=first, fh=24, config=QUICK, threads=1)
    rows = []
    for days in (3, 2, 1):
        origin = END - timedelta(days=days)
        yesterday = load_forecaster.seasonal_naive(data, end=origin, fh=24)
        rows.append(model.predict(data, end=origin).join(yesterday, on=KEY, suffix="_naive"))
    both = pl.concat(rows).join(data, on=KEY, suffix="_true").drop_nulls("energy_consumption_naive")
    truth, forecast, naive = (both[f"energy_consumption{suffix}"].to_numpy() for suffix in ("_true", "", "_naive"))
    measured = evaluation.metrics
    assert measured["origins"] == 3
    assert measured["values"] == both.height
    assert measured["wape"] == pytest.approx(np.abs(forecast - truth).sum() / truth.sum(), rel=1e-12)
    assert measured["naive_wape"] == pytest.approx(np.abs(naive - truth).sum() / truth.sum(), rel=1e-12)
    assert measured["mae"] == pytest.approx(np.abs(forecast - truth).mean(), rel=1e-12)
    assert measured["wape"] is not None
    assert measured["naive_wape"] is not None
    assert measured["wape_ratio"] == pytest.approx(measured["wape"] / measured["naive_wape"])
    ratios = both.group_by(SERIES).agg(
        (pl.col("energy_consumption") - pl.col("energy_consumption_true")).abs().mean().alias("model"),
        (pl.col("energy_consumption_naive") - pl.col("energy_consumption_true")).abs().mean().alias("naive"),
    )
    assert measured["rmae24"] == pytest.approx((ratios["model"] / ratios["naive"]).mean(), rel=1e-12)
    assert measured["fallback_share"] == 0


def test_the_measures_are_strict_json(data: pl.DataFrame) -> None:
    for origins, days in ((2, 20), (5, 1), (5, 4)):
        past = data.filter(pl.col("datetime_utc") >= END - timedelta(days=days))
        evaluation = load_forecaster.evaluate(past, end=END, fh=24, config=QUICK, threads=1, origins=origins)
        json.dumps(evaluation.metrics, allow_nan=False)


@pytest.mark.parametrize(("days", "origins"), [(20, 5), (13, 3), (11, 1), (10, 5), (5, 3), (3, 1), (2, 0), (1, 0)])
def test_a_short_history_has_fewer_origins(data: pl.DataFrame, days: int, origins: int) -> None:
    past = data.filter(pl.col("datetime_utc") >= END - timedelta(days=days))
    measured = load_forecaster.evaluate(past, end=END, fh=24, config=QUICK, threads=1, origins=5).metrics
    assert measured["origins"] == origins
    assert (measured["wape"] is None) == (origins == 0)
    assert measured["fallback_share"] == (None if origins == 0 else 0.0 if days > 10 else 1.0)


def test_no_history_is_an_evaluation_of_nothing(data: pl.DataFrame) -> None:
    measured = load_forecaster.evaluate(data.clear(), end=END, fh=24, config=QUICK, threads=1, origins=5).metrics
    assert measured["origins"] == 0
    assert measured["wape"] is None


def test_intervals_of_random_errors_cover_what_they_say() -> None:
    random = np.random.default_rng(1)
    series = tuple(("DK1", str(number)) for number in range(40))
    expected = random.gamma(2.0, 50.0, 40)
    share = random.uniform(0.2, 1.5, 40)
    errors = random.laplace(size=(30, 24, 40)) * expected * share * np.linspace(0.5, 1.5, 24)[:, None]
    calibration = intervals.calibrate(errors[:10], np.tile(expected, (10, 1)), series=series)
    point = np.full((24, 40), 1e6)
    bounds = calibration.quantiles(point, variation=expected, series=series, fallback=np.full(40, False))
    truth = point + errors[10:]
    every = {name: np.broadcast_to(values, truth.shape) for name, values in bounds.items()}
    assert metrics.coverage(truth, every["q10"], every["q90"]) == pytest.approx(0.80, abs=0.02)
    assert metrics.coverage(truth, every["q05"], every["q95"]) == pytest.approx(0.90, abs=0.02)
    by_series = [
        metrics.coverage(truth[..., i], every["q10"][..., i], every["q90"][..., i]) for i in range(len(series))
    ]
    assert min(by_series) > 0.6
    by_lead = [metrics.coverage(truth[:, h], every["q10"][:, h], every["q90"][:, h]) for h in (0, 12, 23)]
    assert np.ptp(by_lead) < 0.12


def test_intervals_never_go_below_zero_and_never_cross() -> None:
    lopsided = intervals.Calibration(scores=(0.5, 0.2, 0.1, -0.3, -0.1))
    bounds = lopsided.quantiles(
        np.array([[10.0, 0.0]]), variation=np.array([100.0, 5.0]), series=(("a", "b"), ("a", "c")), fallback=np.zeros(2)
    )
    stacked = np.stack(list(bounds.values()))
    assert (stacked >= 0).all()
    assert (np.diff(stacked, axis=0) >= 0).all()
    assert (bounds["q50"] == [[10.0, 0.0]]).all()
