"""Products and factorisations in tiles so small that BLAS takes one thread for each.

The results are then the same for any number of threads, and no threads wait for each other on a busy machine.
"""

import numpy as np

from load_forecaster.metrics import FloatArray

TILE = 64
"""OpenBLAS starts threads for products of more than 64 x 64 x 64."""

ROWS = 256
"""Rows that moments of some thirty terms are summed over at once."""


def solve_lower_factor(covariance: FloatArray, right: FloatArray) -> FloatArray:
    """Return x with L x = ``right``, where L is the Cholesky factor of ``covariance``.

    The first rows of x are the solution for the first rows and columns alone.
    """
    count, columns = right.shape
    padded = np.eye(_padded(count))
    padded[:count, :count] = covariance
    matrix, solution = _tiles(padded), _tiles(right)
    for step in range(len(matrix)):
        inverse = np.linalg.inv(np.linalg.cholesky(matrix[step, step]))
        solution[step] = np.matmul(inverse, solution[step])
        below = np.matmul(matrix[step + 1 :, step], inverse.T)
        matrix[step + 1 :, step + 1 :] -= np.matmul(below[:, None], below.swapaxes(1, 2)[None])
        solution[step + 1 :] -= np.matmul(below[:, None], solution[step][None])
    return solution.swapaxes(1, 2).reshape(_padded(count), -1)[:count, :columns]


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return ``left @ right`` of two matrices.

    >>> product(np.ones((3, 100)), np.ones((100, 2))).tolist()
    [[100.0, 100.0], [100.0, 100.0], [100.0, 100.0]]
    """
    first, second = _tiles(left), _tiles(right)
    total = np.zeros((len(first), second.shape[1], TILE, TILE))
    for step in range(len(second)):
        total += np.matmul(first[:, step, None], second[step])
    return total.swapaxes(1, 2).reshape(_padded(len(left)), -1)[: len(left), : right.shape[1]]


def moments(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return ``left.T @ right`` of matrices [..., row, term]."""
    extra = [(0, 0)] * (left.ndim - 2) + [(0, -left.shape[-2] % ROWS), (0, 0)]
    first, second = (np.pad(each, extra).reshape(*each.shape[:-2], -1, ROWS, each.shape[-1]) for each in (left, right))
    return np.asarray(np.matmul(first.swapaxes(-1, -2), second).sum(axis=-3))


def _padded(size: int) -> int:
    return size + -size % TILE


def _tiles(matrix: FloatArray) -> FloatArray:
    """Return a copy as [tile row, tile column, row, column], filled up with zeros."""
    rows, columns = (_padded(size) for size in matrix.shape)
    whole = np.zeros((rows, columns))
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    return np.ascontiguousarray(whole.reshape(rows // TILE, TILE, columns // TILE, TILE).swapaxes(1, 2))
