"""Measures of forecast errors, in plain numpy.

All take arrays of one shape; pairs in which either value is missing (NaN) are left out. A measure that has nothing to
measure, or nothing to divide by, is NaN.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def _pairs(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    actual, predicted = np.asarray(truth, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    known = ~(np.isnan(actual) | np.isnan(predicted))
    return actual[known], predicted[known]


def mae(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Return the mean absolute error, in the unit of ``truth``.

    >>> mae([100.0, 200.0], [110.0, 180.0])
    15.0
    """
    actual, predicted = _pairs(truth, forecast)
    return float(np.abs(predicted - actual).mean()) if actual.size else float("nan")


def wape(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Return the weighted absolute percentage error, sum|error| / sum|truth|, as a fraction.

    >>> wape([100.0, 300.0], [110.0, 290.0])
    0.05
    """
    actual, predicted = _pairs(truth, forecast)
    total = np.abs(actual).sum()
    return float(np.abs(predicted - actual).sum() / total) if total > 0 else float("nan")


def mape(truth: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Return the mean absolute percentage error over the pairs with a positive truth, as a fraction.

    >>> mape([100.0, 0.0, 200.0], [110.0, 5.0, 180.0])
    0.1
    """
    actual, predicted = _pairs(truth, forecast)
    positive = actual > 0
    if not positive.any():
        return float("nan")
    return float((np.abs(predicted - actual)[positive] / actual[positive]).mean())


def relative_mae(truth: npt.ArrayLike, forecast: npt.ArrayLike, naive: npt.ArrayLike, series: npt.ArrayLike) -> float:
    """Return the mean over series of MAE of ``forecast`` / MAE of ``naive``, on the pairs that both have.

    Series whose naive forecast has no error are left out: nothing can be compared with it.

    >>> relative_mae([10.0, 10.0, 50.0, 50.0], [11.0, 11.0, 54.0, 54.0], [12.0, 12.0, 52.0, 52.0], ["a", "a", "b", "b"])
    1.25
    """
    actual, predicted, simple = (np.asarray(values, dtype=np.float64) for values in (truth, forecast, naive))
    known = ~(np.isnan(actual) | np.isnan(predicted) | np.isnan(simple))
    _, group = np.unique(np.asarray(series)[known], return_inverse=True)
    error = np.bincount(group, weights=np.abs(predicted - actual)[known])
    simple_error = np.bincount(group, weights=np.abs(simple - actual)[known])
    comparable = simple_error > 0
    return float((error[comparable] / simple_error[comparable]).mean()) if comparable.any() else float("nan")


def pinball(truth: npt.ArrayLike, forecast: npt.ArrayLike, *, probability: float) -> float:
    """Return the mean pinball (quantile) loss of a forecast of the quantile ``probability``.

    >>> pinball([10.0, 10.0], [8.0, 14.0], probability=0.75)
    1.25
    """
    actual, predicted = _pairs(truth, forecast)
    error = actual - predicted
    loss = np.maximum(probability * error, (probability - 1) * error)
    return float(loss.mean()) if actual.size else float("nan")


def coverage(truth: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> float:
    """Return the share of values inside [low, high].

    >>> coverage([1.0, 5.0, 9.0, 20.0], [0.0] * 4, [10.0] * 4)
    0.75
    """
    actual, lower, upper = (np.asarray(values, dtype=np.float64) for values in (truth, low, high))
    known = ~(np.isnan(actual) | np.isnan(lower) | np.isnan(upper))
    inside = (actual >= lower) & (actual <= upper)
    return float(inside[known].mean()) if known.any() else float("nan")


def plain(measures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the measures as JSON can hold them: None for NaN.

    >>> plain({"mae": 15.0, "wape": float("nan")})
    {'mae': 15.0, 'wape': None}
    """
    return {name: None if value is None or np.isnan(value) else value for name, value in measures.items()}
