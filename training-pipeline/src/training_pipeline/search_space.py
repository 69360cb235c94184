"""What the search may choose, as ranges around the shipped defaults."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from load_forecaster import DEFAULT, ForecasterConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both included; whole numbers if both are."""

    low: float
    high: float
    log: bool = False


SPACE: Final = {
    "origin_decay": Range(0.85, 1.0),
    "variation_power": Range(0.5, 2.5),
    "ridge_penalty": Range(0.01, 1.0, log=True),
    "trees": Range(50, 200),
    "num_leaves": Range(7, 63, log=True),
    "min_data_in_leaf": Range(20, 200, log=True),
    "trees_weight": Range(0.1, 0.6),
}
"""Fields of ``ForecasterConfig``; the others keep their defaults."""


def identity() -> str:
    """Return the space and the defaults around it as text: another text is another search."""
    ranges = {name: asdict(each) for name, each in SPACE.items()}
    return json.dumps({"space": ranges, "default": DEFAULT.to_dict()}, sort_keys=True)


def distributions() -> "dict[str, BaseDistribution]":
    """Return the space as Optuna takes it."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(each.low), int(each.high), log=each.log)
        if isinstance(each.low, int)
        else FloatDistribution(each.low, each.high, log=each.log)
        for name, each in SPACE.items()
    }


def default_point() -> dict[str, float]:
    """Return the point of the space that the shipped configuration is at."""
    return {name: getattr(DEFAULT, name) for name in SPACE}


def config_at(point: Mapping[str, float]) -> ForecasterConfig:
    """Return the configuration at a point of the space.

    >>> config_at(default_point()) == DEFAULT
    True
    """
    return ForecasterConfig.from_dict({**DEFAULT.to_dict(), **point})
