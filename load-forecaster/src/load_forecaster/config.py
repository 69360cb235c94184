"""What of the forecaster can be tuned."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from load_forecaster.errors import InvalidArgument

ConfigValue: TypeAlias = str | int | float
"""The value of a field of ``ForecasterConfig``."""


@dataclass(frozen=True, kw_only=True)
class ForecasterConfig:
    """Tunables; benchmarks/results/experiments-forecaster.md says what each default was chosen on.

    Raises:
        InvalidArgument: If a value is outside its range.
    """

    timezone: str = "Europe/Copenhagen"  # whose days and weeks people live by
    history_days: int = 1096  # older observations are not looked at: bounds time and memory
    day_decay: float = 0.7  # weight of a day in the seasonal base, against that of the day after
    other_day_weight: float = 0.03  # weight in the seasonal base of days of another type (workday, Saturday, Sunday)
    origin_decay: float = 0.93  # weight of a training origin, against that of the origin a day later
    variation_power: float = 1.5  # series weigh by their day-to-day variation to the minus this power
    ridge_penalty: float = 0.1
    ridge_rounds: int = 8  # rounds of reweighting that turn least squares into least absolute errors
    bags: int = 1  # independently grown models of boosted trees, averaged
    trees: int = 100  # in each of them
    learning_rate: float = 0.1
    num_leaves: int = 15
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.7
    trees_weight: float = 0.3  # share of the trees in the blend, the rest is the other members'; 0 fits no trees
    years_weight: float = 0.8  # share of the member that learns from a year and more, where there is one; 0 fits none
    seed: int = 1

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "history_days": (2, 3660),
            "day_decay": (0.01, 1),
            "other_day_weight": (0, 1),
            "origin_decay": (0.01, 1),
            "variation_power": (0, 4),
            "ridge_penalty": (1e-9, 1e6),
            "ridge_rounds": (1, 100),
            "bags": (1, 100),
            "trees": (1, 10_000),
            "learning_rate": (1e-4, 1),
            "num_leaves": (2, 4096),
            "min_data_in_leaf": (1, 1_000_000),
            "feature_fraction": (0.01, 1),
            "bagging_fraction": (0.01, 1),
            "trees_weight": (0, 1),
            "years_weight": (0, 1),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not low <= value <= high:
                raise InvalidArgument(f"{name} must be from {low} to {high}, not {value!r}", argument=name, value=value)
        try:
            ZoneInfo(self.timezone)
        except (KeyError, OSError, ValueError) as error:
            raise InvalidArgument(f"timezone {self.timezone!r} is not an IANA name", argument="timezone") from error

    def to_dict(self) -> dict[str, ConfigValue]:
        """Return all fields by name, as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ForecasterConfig":
        """Return the configuration with ``values``; what is absent keeps its default.

        Raises:
            InvalidArgument: If a key is unknown, or a value has the wrong type or range.
        """
        known = {field.name: type(field.default) for field in fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise InvalidArgument(f"unknown forecaster settings {unknown}; known are {sorted(known)}", unknown=unknown)
        for name, value in values.items():
            accepted = (int, float) if known[name] is float else known[name]
            if isinstance(value, bool) or not isinstance(value, accepted):
                raise InvalidArgument(f"{name} must be a {known[name].__name__}, not {value!r}", argument=name)
        return cls(**values)


DEFAULT = ForecasterConfig()
