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

from load_forecaster.config import ForecasterConfig
from load_forecaster.features import GROUPS, NAMES, USUAL, Block
from load_forecaster.metrics import FloatArray
from load_forecaster.training import TrainingSet


@dataclass(frozen=True)
class Trees:
    """Boosters as LightGBM's own text, which holds numbers only; their mean is the forecast."""

    texts: tuple[str, ...]

    @cached_property
    def _boosters(self) -> list[Any]:
        import lightgbm

        return [lightgbm.Booster(model_str=text) for text in self.texts]

    def predict(self, features: Block) -> FloatArray:
        """Return the residual to the Gaussian forecast, relative to the level, as [lead, series]."""
        rows = features.x.reshape(-1, features.x.shape[-1])
        predicted = [booster.predict(rows, num_threads=1) for booster in self._boosters]
        return np.asarray(np.mean(predicted, axis=0).reshape(features.gaussian.shape))

    def contributions(self, features: Block) -> dict[str, FloatArray]:
        """Return what each group of features adds to ``predict``, as [lead, series]; what all rows share is usual.

        Along the path of a row through a tree, each split's feature adds the change of the mean that it brings (Saabas
        2014, as in the package treeinterpreter): unlike Shapley values as cheap as a forecast.
        """
        rows = features.x.reshape(-1, features.x.shape[-1])
        groups = [*dict.fromkeys(GROUPS.values())]
        total = np.zeros((len(rows), len(groups)))
        for booster in self._boosters:
            leaves = np.asarray(booster.predict(rows, num_threads=1, pred_leaf=True), dtype=np.int64)
            for tree, info in enumerate(booster.dump_model(num_iteration=-1)["tree_info"]):
                total += _paths(info, groups)[leaves.reshape(len(rows), -1)[:, tree]]
        shape = features.gaussian.shape
        return {name: total[:, index].reshape(shape) / len(self.texts) for index, name in enumerate(groups)}


def _paths(tree: dict[str, Any], groups: list[str]) -> FloatArray:
    """Return what each group adds on the way to each leaf: [leaf, group]; the mean over all rows is usual."""
    found = np.zeros((tree["num_leaves"], len(groups)))

    def walk(node: dict[str, Any], added: FloatArray) -> None:
        if "split_feature" not in node:
            found[node.get("leaf_index", 0)] = added
            return
        group = groups.index(GROUPS[NAMES[node["split_feature"]]])
        for child in (node["left_child"], node["right_child"]):
            step = added.copy()
            step[group] += _mean(child)[0] - _mean(node)[0]
            walk(child, step)

    start = np.zeros(len(groups))
    start[groups.index(USUAL)] = _mean(tree["tree_structure"])[0]
    walk(tree["tree_structure"], start)
    return found


def _mean(node: dict[str, Any]) -> tuple[float, int]:
    """Return the mean of the leaves under a node over the rows that it was grown on, and their number."""
    if "split_feature" not in node:
        return float(node["leaf_value"]), int(node.get("leaf_count", 1))
    (left, some), (right, rest) = (_mean(node[child]) for child in ("left_child", "right_child"))
    return (left * some + right * rest) / (some + rest), some + rest


def fit(training: TrainingSet, *, config: ForecasterConfig, threads: int) -> Trees:
    """Fit on the rows that were observed; the same input gives the same trees, whatever ``threads`` is.

    Rows that were not observed stay, without weight: each tree draws the rows that it sees by their place, and a
    fault in one series must not draw other rows of all others.
    """
    rows = (training.x.reshape(-1, len(NAMES)), training.y.ravel(), training.weight.ravel())

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
