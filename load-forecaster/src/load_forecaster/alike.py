"""For each series, the most correlated other series."""

from typing import Final

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray
from load_forecaster.tiles import product

DAY: Final = 24
MOST_ALIKE: Final = 10
CANDIDATES: Final = 1000
"""Each series is compared with no more than this many, spread evenly over all: bounds the cost."""


def most_alike(values: FloatArray) -> IntArray:
    """Return, for each series, the others whose day-to-day changes correlate best with its own: [series, rank].

    Args:
        values: Multiples of the level [hour, series], without NaN.
    """
    count = values.shape[1]
    if len(values) <= DAY or count == 0:
        return np.zeros((count, 0), dtype=np.int64)
    change = values[DAY:] - values[:-DAY]
    change = change - change.mean(axis=0)
    change /= np.sqrt((change**2).sum(axis=0)) + 1e-9
    some = np.unique(np.linspace(0, max(count - 1, 0), min(count, CANDIDATES)).astype(int))
    correlation = product(np.ascontiguousarray(change.T), np.ascontiguousarray(change[:, some]))
    correlation[some, np.arange(len(some))] = -2.0
    # Rounded, so that the last bit does not decide between equally correlated series.
    order = np.argsort(-np.round(correlation, 9), axis=1, kind="stable")
    return np.asarray(some[order[:, : min(MOST_ALIKE, count - 1)]])


def mean_of(values: FloatArray, others: IntArray) -> FloatArray:
    """Return the mean of ``values[..., series]`` over the ``others`` of each series; 0 where there are none."""
    if others.shape[1] == 0:
        return np.zeros_like(values)
    return np.asarray(np.mean([values[..., others[:, rank]] for rank in range(others.shape[1])], axis=0))
