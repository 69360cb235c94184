"""A linear member: one ridge regression per lead over all series, reweighted towards least absolute errors.

All products are made in chunks of rows so small that BLAS takes one thread for each: the same sums, in the same order,
whatever the number of threads, and no threads that wait for each other.
"""

from dataclasses import dataclass

import numpy as np

from load_forecaster.config import ForecasterConfig
from load_forecaster.features import CALENDAR, GROUPS, NAMES, NUMERIC, Block
from load_forecaster.metrics import FloatArray
from load_forecaster.training import TrainingSet

LEAST_ERROR = 0.005
"""Errors under this share of the level weigh alike: keeps the reweighting finite."""

CHUNK = 128
"""Rows that are multiplied at once."""


@dataclass(frozen=True)
class Ridge:
    """Coefficients ``[lead, term]`` of the terms that ``design`` makes of the features."""

    coefficients: FloatArray

    def predict(self, features: Block) -> FloatArray:
        """Return the residual to the Gaussian forecast, relative to the level, as [lead, series]."""
        count = features.gaussian.shape[1]
        return _product(_chunks(design(features.x)), self.coefficients)[:, :count]

    def contributions(self, features: Block) -> dict[str, FloatArray]:
        """Return what each group of features adds to ``predict``, as [lead, series]."""
        terms = design(features.x) * self.coefficients[: len(features.x), None]
        groups = np.array([GROUPS[name] for name in NUMERIC] + ["calendar"] * (terms.shape[-1] - len(NUMERIC)))
        return {str(group): terms[..., groups == group].sum(axis=-1) for group in np.unique(groups)}


def design(x: FloatArray) -> FloatArray:
    """Return the terms of the regression: the numeric features, and indicators of the type of day."""
    day_type, before = (x[..., NAMES.index(name)] for name in (CALENDAR[2], CALENDAR[3]))
    indicators = [day_type == 0, day_type == 1, day_type == 2, day_type != before]
    return np.concatenate([x[..., : len(NUMERIC)], np.stack(indicators, axis=-1)], axis=-1)


def fit(training: TrainingSet, *, config: ForecasterConfig) -> Ridge:
    """Fit by iteratively reweighted least squares (Holland and Welsch 1977, doi:10.1080/03610927708827533)."""
    terms = design(training.x)
    weight = training.weight[..., None]
    spread = np.sqrt((weight * terms**2).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)) + 1e-6
    chunks = _chunks(terms / spread[:, None, :])
    y, weight = (_pad(rows) for rows in (training.y, training.weight))
    error = np.ones_like(y)
    coefficients = np.zeros(spread.shape)
    for _ in range(config.ridge_rounds):
        coefficients = _solve(chunks, y, weight / np.maximum(np.abs(error), LEAST_ERROR), config)
        error = y - _product(chunks, coefficients)
    return Ridge(coefficients / spread)


def _solve(chunks: FloatArray, y: FloatArray, weight: FloatArray, config: ForecasterConfig) -> FloatArray:
    """Return the weighted ridge solution of each lead, from its own rows and those of the leads beside it."""
    shape = chunks.shape[:3]
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    weighted = np.swapaxes(chunks * share.reshape(shape)[..., None], -1, -2)
    moments = np.matmul(weighted, chunks).sum(axis=1)
    towards = np.matmul(weighted, y.reshape(shape)[..., None]).sum(axis=1)
    penalty = config.ridge_penalty * np.eye(chunks.shape[-1])
    return np.asarray(np.linalg.solve(_with_neighbours(moments) + penalty, _with_neighbours(towards))[:, :, 0])


def _with_neighbours(values: FloatArray) -> FloatArray:
    """Return the mean of each lead and the ones before and after it."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3)


def _product(chunks: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Return [lead, row]: the terms of each row times the coefficients of its lead."""
    coefficients = coefficients[: len(chunks), None, :, None]
    return np.asarray(np.matmul(chunks, coefficients).reshape(len(chunks), -1))


def _chunks(terms: FloatArray) -> FloatArray:
    """Return [lead, chunk, row in chunk, term], the last chunk filled up with zeros."""
    padded = _pad(terms)
    return padded.reshape(len(terms), -1, CHUNK, terms.shape[-1])


def _pad(rows: FloatArray) -> FloatArray:
    """Return the rows (second axis) filled up with zeros to full chunks."""
    width = [(0, 0)] * rows.ndim
    width[1] = (0, -rows.shape[1] % CHUNK)
    return np.pad(rows, width)
