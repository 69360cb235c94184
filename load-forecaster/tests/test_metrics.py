import doctest
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from load_forecaster import metrics
from load_forecaster.metrics import FloatArray


def by_loop(truth: FloatArray, forecast: FloatArray, naive: FloatArray, series: NDArray[np.int64]) -> dict[str, float]:
    """The obvious version of every measure, pair by pair."""
    errors, sizes, count = 0.0, 0.0, 0
    shares: list[float] = []
    per_series: dict[int, tuple[list[float], list[float]]] = {}
    for y, f in zip(truth, forecast, strict=True):
        if math.isnan(y) or math.isnan(f):
            continue
        count += 1
        errors += abs(f - y)
        sizes += abs(y)
        if y > 0:
            shares.append(abs(f - y) / y)
    for y, f, n, s in zip(truth, forecast, naive, series, strict=True):
        if math.isnan(y) or math.isnan(f) or math.isnan(n):
            continue
        model_errors, naive_errors = per_series.setdefault(s, ([], []))
        model_errors.append(abs(f - y))
        naive_errors.append(abs(n - y))
    ratios = [sum(m) / sum(n) for m, n in per_series.values() if sum(n) > 0]
    return {
        "mae": errors / count,
        "wape": errors / sizes,
        "mape": sum(shares) / len(shares),
        "relative_mae": sum(ratios) / len(ratios),
    }


@pytest.mark.parametrize("seed", range(5))
def test_measures_agree_with_a_slow_loop_also_when_values_are_missing(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, forecast, naive = random.gamma(2.0, 100.0, (3, 400))
    truth[random.random(400) < 0.1] = np.nan
    truth[:20] = 0.0
    forecast[random.random(400) < 0.05] = np.nan
    naive[random.random(400) < 0.05] = np.nan
    series = random.integers(0, 7, 400)
    slow = by_loop(truth, forecast, naive, series)
    assert metrics.mae(truth, forecast) == pytest.approx(slow["mae"], rel=1e-12)
    assert metrics.wape(truth, forecast) == pytest.approx(slow["wape"], rel=1e-12)
    assert metrics.mape(truth, forecast) == pytest.approx(slow["mape"], rel=1e-12)
    assert metrics.relative_mae(truth, forecast, naive, series) == pytest.approx(slow["relative_mae"], rel=1e-12)


def test_measures_agree_with_numbers_worked_out_by_hand() -> None:
    # Errors 10, 10 and 40 of 100, 200 and 400: 60/3, 60/700, (.1 + .05 + .1)/3.
    truth, forecast = [100.0, 200.0, 400.0], [110.0, 190.0, 440.0]
    assert metrics.mae(truth, forecast) == 20
    assert metrics.wape(truth, forecast) == pytest.approx(60 / 700)
    assert metrics.mape(truth, forecast) == pytest.approx(0.25 / 3)


def test_the_pinball_loss_of_the_median_is_half_the_mean_absolute_error() -> None:
    truth, forecast = [3.0, 8.0, 1.0], [5.0, 5.0, 5.0]
    assert metrics.pinball(truth, forecast, probability=0.5) == pytest.approx(metrics.mae(truth, forecast) / 2)


def test_the_pinball_loss_is_least_at_the_quantile_itself() -> None:
    truth = np.arange(1000.0)
    loss = {q: metrics.pinball(truth, np.full(1000, q), probability=0.9) for q in (800.0, 899.5, 950.0)}
    assert min(loss, key=loss.__getitem__) == 899.5


def test_coverage_counts_the_bounds_as_inside() -> None:
    assert metrics.coverage([1.0, 2.0, 3.0, np.nan], [1.0] * 4, [2.0] * 4) == pytest.approx(2 / 3)


def test_a_series_that_the_naive_forecast_gets_right_is_left_out_of_the_relative_error() -> None:
    assert metrics.relative_mae([5.0, 5.0], [6.0, 6.0], [5.0, 4.0], ["constant", "other"]) == 1.0


@pytest.mark.parametrize("measure", [metrics.mae, metrics.wape, metrics.mape])
def test_nothing_to_measure_is_not_a_number_rather_than_an_error(measure: Callable[..., float]) -> None:
    assert math.isnan(measure([], []))
    assert math.isnan(measure([np.nan], [1.0]))


def test_nothing_to_divide_by_is_not_a_number_rather_than_an_error() -> None:
    assert math.isnan(metrics.wape([0.0], [1.0]))
    assert math.isnan(metrics.mape([0.0], [1.0]))
    assert math.isnan(metrics.relative_mae([1.0], [2.0], [1.0], ["a"]))
    assert math.isnan(metrics.coverage([], [], []))
    assert math.isnan(metrics.pinball([], [], probability=0.5))


def test_plain_measures_are_strict_json() -> None:
    assert json.dumps(metrics.plain({"wape": float("nan"), "origins": 3}), allow_nan=False) == (
        '{"wape": null, "origins": 3}'
    )


def test_the_examples_in_the_docstrings_run() -> None:
    result = doctest.testmod(metrics)
    assert result.attempted >= 6
    assert result.failed == 0
