"""The rows that members learn from: one training origin a day, at the phase of the forecast."""

from dataclasses import dataclass

import numpy as np

from load_forecaster.alike import most_alike
from load_forecaster.config import ForecasterConfig
from load_forecaster.factors import Factors
from load_forecaster.features import block
from load_forecaster.gaussian import gaussian_forecasts, relative
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel

LEAST_VARIATION = 0.01
"""Series that vary less than this share of their level weigh no more than this."""

LEAST_ORIGIN_DAYS = 7
"""Days of history that a training origin needs before it."""

LEAST_ORIGINS = 3
"""Training origins without which no model is fitted."""

LEAST_DAYS = LEAST_ORIGIN_DAYS + LEAST_ORIGINS
"""Days of history without which no model is fitted."""


@dataclass(frozen=True)
class TrainingSet:
    """Features ``x[lead, row, feature]``, residuals to the Gaussian forecast ``y[lead, row]`` and their weights.

    A row is a series at an origin. A weight of 0 marks what was not observed. Weights fall with age and with the
    series' day-to-day variation, so that each series counts by how well it can be forecast, not by its size.
    """

    x: FloatArray
    y: FloatArray
    weight: FloatArray


def training_set(
    panel: Panel,
    *,
    truth: FloatArray,
    values: FloatArray,
    fh: int,
    config: ForecasterConfig,
    factors: Factors | None = None,
) -> TrainingSet | None:
    """Return all that can be learnt from a panel, newest origin first; None if the history is too short.

    Args:
        panel: The history.
        truth: What was observed, NaN where nothing was; targets come from here.
        values: The same with gaps bridged; features come from here.
        fh: Hours to forecast.
        config: Tunables.
        factors: Factorised covariances that may serve.
    """
    if panel.hours < LEAST_DAYS * 24:
        return None
    paths = gaussian_forecasts(panel, values, fh=fh, factors=factors)
    triples = list(zip(paths.origins, paths.values, paths.values[1:], strict=False))[1:]
    enough = [each for each in triples if each[0] >= LEAST_ORIGIN_DAYS * 24]
    others = most_alike(relative(values, values)[1])
    enough = [(origin, path[:fh], before) for origin, path, before in enough]
    parts = [_at(panel, truth, values, *each, others, config, age) for age, each in enumerate(enough)]
    x, y, weight = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    return TrainingSet(x, y, weight) if (weight > 0).any() else None


def _at(
    panel: Panel,
    truth: FloatArray,
    values: FloatArray,
    origin: int,
    path: FloatArray,
    before: FloatArray,
    others: IntArray,
    config: ForecasterConfig,
    age: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    features = block(
        panel,
        values,
        origin=origin,
        gaussian=path,
        gaussian_before=before,
        alike=others,
        config=config,
        unknown=np.isnan(truth),
    )
    target = np.full(features.gaussian.shape, np.nan)
    known = truth[origin : origin + len(path)]
    target[: len(known)] = known
    y = target / features.level - features.gaussian
    # A series that had said nothing for the last day is not forecast by the model, so not learnt from either.
    alive = features.usable & ~np.isnan(truth[origin - 24 : origin]).all(axis=0)
    weight = config.origin_decay**age * np.maximum(features.variation, LEAST_VARIATION) ** -config.variation_power
    usable = alive & ~np.isnan(y)
    return features.x, np.where(usable, y, 0.0), np.where(usable, weight, 0.0)
