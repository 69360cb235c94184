"""The principal directions along which many series move together."""

from typing import Final

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.tiles import product, solve_lower_factor

MOST_DIRECTIONS: Final = 64
"""Weather moves many series at once. EIA-930 of 2022, error as a share of the naive forecast's, every second of 24
origins: none .647, 60 .590, 100 .591, 150 .608; all 24 origins: 15 .567, 30 .565, 60 .557."""

ITERATIONS: Final = 12
"""Steps of subspace iteration: fixed, so that the bits do not depend on a test of convergence."""


def main_directions(rows: FloatArray) -> FloatArray:
    """Return the directions [column, direction] along which ``rows[row, column]`` vary most, by subspace iteration.

    Rows times directions have a mean square of one and are not correlated (Halko, Martinsson and Tropp 2011,
    doi:10.1137/090771806, algorithm 4.4). There are fewer than ``MOST_DIRECTIONS`` for less than 512 rows or 252
    columns: an eighth of the rows, a quarter of the columns.
    """
    count = min(MOST_DIRECTIONS, len(rows) // 8, rows.shape[1] // 4 + 1)
    gram = product(rows, np.ascontiguousarray(rows.T))
    basis = np.random.default_rng(0).standard_normal((len(rows), count))
    for _ in range(ITERATIONS):
        image = product(gram, basis)
        inner = product(np.ascontiguousarray(image.T), image)
        basis = solve_lower_factor(inner + 1e-12 * np.trace(inner) * np.eye(count), image.T).T
    within = product(np.ascontiguousarray(basis.T), product(gram, basis))
    weights = product(basis, np.linalg.inv(within + 1e-9 * np.trace(within) * np.eye(count)))
    return np.asarray(product(np.ascontiguousarray(rows.T), weights) * np.sqrt(len(rows)))
