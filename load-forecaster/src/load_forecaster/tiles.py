"""Products and factorisations in tiles so small that BLAS takes one thread for each.

The results are then the same for any number of threads, and no threads wait for each other on a busy machine.
"""

import numpy as np

from load_forecaster.metrics import FloatArray

TILE = 64
"""OpenBLAS starts threads for products of more than 64 x 64 x 64."""

ROWS = 256
"""Rows that moments of some thirty terms are summed over at once."""


class LowerFactor:
    """The Cholesky factor L of a covariance [row, row], kept in tiles; it also solves for the first rows alone."""

    def __init__(self, covariance: FloatArray) -> None:
        count = len(covariance)
        padded = np.eye(_padded(count))
        padded[:count, :count] = covariance
        matrix = _tiles(padded)
        self._diagonal: list[FloatArray] = []
        self._inverse: list[FloatArray] = []
        self._below: list[FloatArray] = []
        for step in range(len(matrix)):
            inverse = _inverse(matrix[step, step])
            below = np.matmul(matrix[step + 1 :, step], inverse.T)
            for column in range(len(below)):
                matrix[step + 1 + column :, step + 1 + column] -= np.matmul(below[column:], below[column].T)
            self._diagonal.append(matrix[step, step].copy())
            self._inverse.append(inverse)
            self._below.append(below)

    def solve(self, right: FloatArray) -> FloatArray:
        """Return x [row, column] with L x = ``right``, for the first rows of L: as many as ``right`` has.

        The bits are those of a factorisation of these rows alone.
        """
        count, columns = right.shape
        solution = _tiles(right)
        for step in range(len(solution)):
            solution[step] = np.matmul(self._inverse_of(step, count), solution[step])
            below = self._below[step][: len(solution) - step - 1]
            solution[step + 1 :] -= np.matmul(below[:, None], solution[step][None])
        return solution.swapaxes(1, 2).reshape(_padded(count), -1)[:count, :columns]

    def _inverse_of(self, step: int, count: int) -> FloatArray:
        """Return the inverse of a tile on the diagonal, of its first rows alone where only those are asked for."""
        rows = count - step * TILE
        if rows >= TILE:
            return self._inverse[step]
        tile = np.eye(TILE)
        tile[:rows, :rows] = self._diagonal[step][:rows, :rows]
        return _inverse(tile)


def solve_lower_factor(covariance: FloatArray, right: FloatArray) -> FloatArray:
    """Return x with L x = ``right``, where L is the Cholesky factor of ``covariance``.

    The first rows of x are the solution for the first rows and columns alone.
    """
    return LowerFactor(covariance).solve(right)


def _inverse(tile: FloatArray) -> FloatArray:
    """Return the inverse of the Cholesky factor of one tile."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(tile)))


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
    """Return ``left.T @ right`` of matrices [..., row, term], summed over blocks of ``ROWS`` rows."""
    whole = left.shape[-2] - left.shape[-2] % ROWS
    blocks = [_block_moments(left[..., :whole, :], right[..., :whole, :])]
    if whole < left.shape[-2]:
        blocks.append(_block_moments(_filled_block(left[..., whole:, :]), _filled_block(right[..., whole:, :])))
    return np.asarray(np.concatenate(blocks, axis=-3).sum(axis=-3))


def _block_moments(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the moments of each block of ``ROWS`` rows: [..., block, term, term]."""
    first, second = (each.reshape(*each.shape[:-2], -1, ROWS, each.shape[-1]) for each in (left, right))
    return np.asarray(np.matmul(first.swapaxes(-1, -2), second))


def _filled_block(rows: FloatArray) -> FloatArray:
    """Return fewer than ``ROWS`` rows filled up with zeros: BLAS adds up a block of another size in another order."""
    block = np.zeros((*rows.shape[:-2], ROWS, rows.shape[-1]))
    block[..., : rows.shape[-2], :] = rows
    return block


def _padded(size: int) -> int:
    return size + -size % TILE


def _tiles(matrix: FloatArray) -> FloatArray:
    """Return a copy as [tile row, tile column, row, column], filled up with zeros."""
    rows, columns = (_padded(size) for size in matrix.shape)
    whole = np.zeros((rows, columns))
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    return np.ascontiguousarray(whole.reshape(rows // TILE, TILE, columns // TILE, TILE).swapaxes(1, 2))
