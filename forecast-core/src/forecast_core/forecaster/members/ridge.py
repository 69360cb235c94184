"""A linear member: one ridge regression per lead over all series, reweighted towards least absolute errors."""

from dataclasses import dataclass

import numpy as np

from forecast_core.forecaster.config import ForecasterConfig
from forecast_core.forecaster.features import CALENDAR, NAMES, NUMERIC, Block
from forecast_core.forecaster.training import TrainingSet
from forecast_core.metrics import FloatArray

LEAST_ERROR = 0.005
"""Errors under this share of the level weigh alike: keeps the reweighting finite."""


@dataclass(frozen=True)
class Ridge:
    """Coefficients ``[lead, term]`` of the terms that ``design`` makes of the features."""

    coefficients: FloatArray

    def predict(self, features: Block) -> FloatArray:
        """Return the residual to the seasonal base, relative to the level, as [lead, series]."""
        terms = design(features.x)
        return np.asarray(np.matmul(terms, self.coefficients[: len(terms), :, None])[:, :, 0])


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
    terms /= spread[:, None, :]
    error = np.ones_like(training.y)
    coefficients = np.zeros(spread.shape)
    for _ in range(config.ridge_rounds):
        coefficients = _solve(terms, training.y, training.weight / np.maximum(np.abs(error), LEAST_ERROR), config)
        error = training.y - np.matmul(terms, coefficients[:, :, None])[:, :, 0]
    return Ridge(coefficients / spread)


def _solve(terms: FloatArray, y: FloatArray, weight: FloatArray, config: ForecasterConfig) -> FloatArray:
    """Return the weighted ridge solution of each lead."""
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    weighted = (terms * share[:, :, None]).transpose(0, 2, 1)
    moments = np.matmul(weighted, terms) + config.ridge_penalty * np.eye(terms.shape[-1])
    return np.linalg.solve(moments, np.matmul(weighted, y[:, :, None]))[:, :, 0]
