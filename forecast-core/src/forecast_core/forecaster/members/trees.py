"""A member of boosted trees (LightGBM) with absolute loss: some bags, each one model for all leads and series.

Every bag is grown by one thread, several bags at a time: LightGBM's own threads wait for each other at every split,
which on a busy machine takes ten times the time (docs/decisions/0004-forecaster.md). LightGBM is imported when it is
used: that takes half a second.
"""

from concurrent.futures import ThreadPoolExecutor
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
    """Boosters as LightGBM's own text, which holds numbers only; their mean is the forecast."""

    texts: tuple[str, ...]

    @cached_property
    def _boosters(self) -> list[Any]:
        import lightgbm

        return [lightgbm.Booster(model_str=text) for text in self.texts]

    def predict(self, features: Block) -> FloatArray:
        """Return the residual to the seasonal base, relative to the level, as [lead, series]."""
        rows = features.x.reshape(-1, features.x.shape[-1])
        predicted = [booster.predict(rows, num_threads=1) for booster in self._boosters]
        return np.asarray(np.mean(predicted, axis=0).reshape(features.base.shape))


def fit(training: TrainingSet, *, config: ForecasterConfig, threads: int) -> Trees:
    """Fit on the rows that were observed; the same input gives the same trees, whatever ``threads`` is."""
    observed = training.weight > 0
    rows = (training.x[observed], training.y[observed], training.weight[observed])

    def grow(bag: int) -> str:
        import lightgbm

        parameters = _parameters(config, seed=config.seed + bag)
        data = lightgbm.Dataset(rows[0], rows[1], weight=rows[2], feature_name=list(NAMES), params=parameters)
        text: str = lightgbm.train(parameters, data, num_boost_round=config.trees).model_to_string()
        return text

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return Trees(tuple(pool.map(grow, range(config.bags))))


def _parameters(config: ForecasterConfig, *, seed: int) -> dict[str, Any]:
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
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
