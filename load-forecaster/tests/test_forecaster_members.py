"""The members of the blend."""

import doctest
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from load_forecaster import alike, factors, features, gaussian, kernels, tiles
from load_forecaster.members import autoregression, smoothing
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel

SPRING = datetime(2024, 3, 31, 1, tzinfo=UTC)
"""Clocks go forward in Copenhagen."""


def panel(values: FloatArray, *, end: datetime = datetime(2024, 2, 15, 7, tzinfo=UTC), ahead: int = 24) -> Panel:
    keys = tuple(("DK1", str(index)) for index in range(values.shape[1]))
    return Panel(end - timedelta(hours=len(values)), keys, values, "Europe/Copenhagen", ahead)


def pattern(end: datetime, *, days: int = 28, ahead: int = 24) -> FloatArray:
    """Three series that repeat every local week exactly, ``ahead`` hours past ``end``."""
    empty = panel(np.zeros((24 * days, 3)), end=end, ahead=ahead)
    hour, weekday = empty.local.hour, empty.local.weekday
    day = 2 + np.sin(2 * np.pi * (hour[:, None] + np.array([0, 5, 11])) / 24)
    return np.asarray(1000 * day * np.where(weekday >= 5, 0.8, 1.0)[:, None])


def members() -> dict[str, Callable[[Panel, FloatArray, int], FloatArray]]:
    return {
        "gaussian": lambda then, filled, fh: gaussian.gaussian_forecasts(then, filled, fh=fh, origins=1).values[0],
        "smoothing": lambda then, filled, fh: smoothing.forecast(then, filled, fh=fh),
        "autoregression": lambda then, filled, fh: autoregression.forecast(then, filled, fh=fh),
    }


@pytest.mark.parametrize("name", members())
@pytest.mark.parametrize("end", [datetime(2024, 2, 15, 7, tzinfo=UTC), datetime(2024, 2, 17, 23, tzinfo=UTC)])
def test_what_repeats_every_week_is_forecast_to_repeat(name: str, end: datetime) -> None:
    whole = pattern(end)
    past = whole[:-24]
    forecast = members()[name](panel(past, end=end), past, 24)
    assert np.abs(forecast - whole[-24:]).sum() / whole[-24:].sum() < 0.04


@pytest.mark.parametrize("name", members())
def test_the_local_hour_is_kept_when_the_clocks_change(name: str) -> None:
    end = SPRING - timedelta(hours=4)
    whole = pattern(end)
    past = whole[:-24]
    forecast = members()[name](panel(past, end=end), past, 24)
    shifted = np.roll(whole[-24:], 1, axis=0)
    assert np.abs(forecast - whole[-24:]).sum() < 0.6 * np.abs(forecast - shifted).sum()


@pytest.mark.parametrize("name", members())
@pytest.mark.parametrize("hours", [1, 25, 100, 250, 500])
def test_every_member_gives_numbers_whatever_the_history(name: str, hours: int) -> None:
    values = np.random.default_rng(hours).uniform(0, 100, (hours, 4))
    values[:, 1] = 0
    values[:, 2] = np.nan
    values[: hours // 2, 3] = np.nan
    forecast = members()[name](panel(values, ahead=48), values, 48)
    assert forecast.shape == (48, 4)
    assert np.isfinite(forecast).all()


@pytest.mark.parametrize("name", members())
def test_the_unit_of_a_series_changes_nothing(name: str) -> None:
    values = np.random.default_rng(3).uniform(50, 100, (24 * 20, 3))
    factor = np.array([1.0, 1e-3, 1e6])
    forecast = members()[name](panel(values), values, 24)
    scaled = members()[name](panel(values * factor), values * factor, 24)
    np.testing.assert_allclose(scaled, forecast * factor, rtol=1e-6)


def test_a_path_is_the_mean_of_the_process_given_the_values_before_its_origin_only() -> None:
    values = np.random.default_rng(5).normal(size=(150, 2))
    then = panel(values)
    calendar = kernels.Calendar.of(then, 174)
    paths = factors.Factors(then, fh=24).paths(values, [150, 126])
    for kernel, of_kernel in zip(kernels.KERNELS, paths, strict=True):
        for path, origin in zip(of_kernel, (150, 126), strict=True):
            past, ahead = np.arange(origin), origin + np.arange(24)
            slow = np.linalg.solve(kernels.covariance(kernel, calendar, past, past), values[:origin])
            expected = kernels.covariance(kernel, calendar, past, ahead).T @ slow
            np.testing.assert_allclose(path, expected, atol=1e-8)


@pytest.mark.parametrize("hours", [120, 130, 191, 192, 200, 240])
def test_a_window_that_ends_earlier_gets_the_same_bits_from_the_factors_of_the_whole(hours: int) -> None:
    values = np.random.default_rng(6).uniform(1, 2, size=(240, 5))
    whole = panel(values)
    shared = factors.Factors(whole, fh=24, threads=2)
    then = whole.until(hours, 30)
    assert shared.serve(then, fh=24)
    assert not shared.serve(whole.until(hours, 4), fh=24), "it begins later"
    assert not shared.serve(then, fh=48), "it looks further ahead"
    origins = [hours, *range(hours - 24, 96, -24)]
    alone = factors.Factors(then, fh=24).paths(values[:hours], origins)
    assert np.array_equal(shared.paths(values[:hours], origins), alone)
    assert np.array_equal(shared.paths(values[:hours], origins), alone), "also when it was asked before"


@pytest.mark.parametrize("count", [1, 63, 64, 65, 100, 127, 128, 200])
def test_the_first_rows_of_a_factor_solve_as_a_factor_of_these_rows_alone(count: int) -> None:
    random = np.random.default_rng(count)
    square, right = random.normal(size=(200, 200)), random.normal(size=(200, 70))
    covariance = square @ square.T + np.eye(200)
    alone = tiles.solve_lower_factor(covariance[:count, :count], right[:count])
    assert np.array_equal(tiles.LowerFactor(covariance).solve(right[:count]), alone)


@pytest.mark.parametrize("rows", [1, 64, 100, 200, 300])
def test_tiles_give_what_numpy_gives(rows: int) -> None:
    random = np.random.default_rng(rows)
    square, right = random.normal(size=(rows, rows)), random.normal(size=(rows, 70))
    covariance = square @ square.T + np.eye(rows)
    expected = np.linalg.solve(np.linalg.cholesky(covariance), right)
    np.testing.assert_allclose(tiles.solve_lower_factor(covariance, right), expected, atol=1e-8)
    np.testing.assert_allclose(tiles.product(square, right), square @ right, atol=1e-9)
    stack = random.normal(size=(3, rows, 5))
    np.testing.assert_allclose(tiles.moments(stack, stack), stack.swapaxes(1, 2) @ stack, atol=1e-9)


def test_the_number_of_threads_of_blas_changes_nothing() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from load_forecaster import tiles\n"
        "x = np.random.default_rng(1).normal(size=(700, 700))\n"
        "y = tiles.solve_lower_factor(tiles.product(x, np.ascontiguousarray(x.T)) + np.eye(700), x[:, :300])\n"
        "print(hashlib.sha256(y.tobytes() + tiles.moments(x[:, :30], x[:, :30]).tobytes()).hexdigest())\n"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2")
    ]
    assert digests[0] == digests[1]


def test_the_examples_in_the_docstrings_run() -> None:
    result = doctest.testmod(tiles)
    assert result.attempted >= 1
    assert result.failed == 0


def test_the_series_most_alike_are_those_whose_changes_correlate_best() -> None:
    random = np.random.default_rng(3)
    drivers = random.normal(size=(200, 2)).cumsum(axis=0)
    groups = np.array([0, 1, 0, 1, 0, 1] * 5)
    values = 1 + 0.1 * drivers[:, groups] + 0.01 * random.normal(size=(200, 30))
    others = alike.most_alike(values)
    assert others.shape == (30, 10)
    assert (groups[others] == groups[:, None]).all()
    assert not (others == np.arange(30)[:, None]).any()
    slow = np.stack([values[:, ranked].mean(axis=1) for ranked in others], axis=1)
    assert alike.mean_of(values, others) == pytest.approx(slow)


def test_one_series_alone_has_none_alike() -> None:
    assert alike.most_alike(np.ones((100, 1))).shape == (1, 0)
    assert (alike.mean_of(np.ones((5, 1)), alike.most_alike(np.ones((100, 1)))) == 0).all()


def test_the_day_before_is_the_local_one_also_when_the_clocks_have_changed() -> None:
    # The first local hour of the Monday after the change; 24 hours before it was Saturday still.
    monday = datetime(2024, 3, 31, 22, tzinfo=UTC)
    then = panel(np.ones((240, 1)), end=monday)
    calendar = dict(zip(features.CALENDAR, features._calendar(then, 240, 24), strict=True))
    assert (calendar["hour"][0], calendar["weekday"][0]) == (0, 0)
    assert (calendar["day_type_before"] == 2).all()
