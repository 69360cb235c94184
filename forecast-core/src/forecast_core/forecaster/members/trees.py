"""A member of boosted trees (LightGBM) with absolute loss, one model for all leads and series.

LightGBM is imported when it is used: that takes half a second.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from forecast_core.forecaster.config import ForecasterConfig
from forecast_core.forecaster.features import NAMES, Block
from forecast_core.forecaster.training import TrainingSet
from forecast_core.metrics import FloatArray


@dataclass(frozen=True)
class Trees:
    """A booster as LightGBM's own text, which holds numbers only."""

    text: str

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def predict(self, features: Block) -> FloatArray:
        """Return the residual to the seasonal base, relative to the level, as [lead, series]."""
        rows = features.x.reshape(-1, features.x.shape[-1])
        # One thread: for some thousand rows more cost more than they bring.
        predicted = self._booster.predict(rows, num_threads=1)
        return np.asarray(predicted, dtype=np.float64).reshape(features.base.shape)


def fit(training: TrainingSet, *, config: ForecasterConfig, threads: int) -> Trees:
    """Fit on the rows that were observed; the same input gives the same trees, whatever ``threads`` is."""
    import lightgbm

    observed = training.weight > 0
    parameters = _parameters(config, threads)
    data = lightgbm.Dataset(
        training.x[observed],
        training.y[observed],
        weight=training.weight[observed],
        feature_name=list(NAMES),
        params=parameters,
    )
    booster = lightgbm.train(parameters, data, num_boost_round=config.trees)
    return Trees(booster.model_to_string())


def _parameters(config: ForecasterConfig, threads: int) -> dict[str, Any]:
    return {
        "objective": "l1",
        "learning_rate": config.learning_rate,
        "num_leaves": config.num_leaves,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "seed": config.seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
