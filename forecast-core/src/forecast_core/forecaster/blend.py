"""The members of the blend, and what each adds to the forecast."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from forecast_core.forecaster import distant
from forecast_core.forecaster.cleaning import bridged, cleaned
from forecast_core.forecaster.config import ForecasterConfig
from forecast_core.forecaster.explanation import Parts
from forecast_core.forecaster.features import USUAL, Block
from forecast_core.forecaster.gaussian import WINDOW_DAYS
from forecast_core.forecaster.members import autoregression, smoothing
from forecast_core.forecaster.members import ridge as linear
from forecast_core.forecaster.members import trees as boosted
from forecast_core.forecaster.panel import Panel
from forecast_core.forecaster.training import training_set
from forecast_core.metrics import FloatArray

CEILING: Final = 1.5
"""A forecast exceeds the highest value of the last two weeks by no more than this factor."""

SHARES: Final = {"ridge": 0.5, "autoregression": 0.3, "smoothing": 0.2}
"""Shares of the members in what the trees leave."""

SERIES_LEARNT_FROM: Final = 1000
"""Members are fitted on no more series than this, spread evenly over all: more teach them nothing, and take time."""


@dataclass(frozen=True)
class Members:
    """The fitted members; without any, every series gets its fallback."""

    ridge: linear.Ridge | None = None
    trees: boosted.Trees | None = None

    @property
    def none(self) -> bool:
        """Whether nothing was fitted."""
        return self.ridge is None and self.trees is None


def fit_members(panel: Panel, *, fh: int, gap: int = 0, config: ForecasterConfig, threads: int) -> Members:
    """Fit every member that the configuration asks for; none if the history is too short, or the hours are distant."""
    if gap + fh > distant.FROM:
        return Members()
    panel = some_series(panel.until(panel.hours, WINDOW_DAYS))
    known = cleaned(panel)
    training = training_set(panel, truth=known, values=bridged(panel, known), fh=gap + fh, config=config)
    if training is None:
        return Members()
    return Members(
        linear.fit(training, config=config) if config.trees_weight < 1 else None,
        boosted.fit(training, config=config, threads=threads) if config.trees_weight > 0 else None,
    )


def some_series(panel: Panel) -> Panel:
    """Return a panel of at most ``SERIES_LEARNT_FROM`` series."""
    count = len(panel.series)
    some = np.unique(np.linspace(0, max(count - 1, 0), min(count, SERIES_LEARNT_FROM)).astype(int))
    return replace(panel, series=tuple(panel.series[index] for index in some), values=panel.values[:, some])


def member_parts(
    panel: Panel, filled: FloatArray, features: Block, members: Members, config: ForecasterConfig
) -> dict[str, FloatArray]:
    """Return what each member adds to the forecast [lead, series] in kWh."""
    fh, rest = len(features.base), 1 - config.trees_weight
    parts: dict[str, tuple[float, FloatArray]] = {}
    if members.trees is not None:
        parts["trees"] = config.trees_weight, (features.base + members.trees.predict(features)) * features.level
    if members.ridge is not None:
        linear_part = (features.base + members.ridge.predict(features)) * features.level
        parts["ridge"] = rest * SHARES["ridge"], linear_part
        changes = autoregression.forecast(panel, filled, fh=fh)
        parts["autoregression"] = rest * SHARES["autoregression"], changes
        parts["smoothing"] = rest * SHARES["smoothing"], smoothing.forecast(panel, filled, fh=fh)
    ceiling = CEILING * np.nan_to_num(filled[-336:]).max(axis=0, initial=0.0)
    return {name: weight * np.clip(values, 0.0, ceiling) for name, (weight, values) in parts.items()}


def feature_parts(features: Block, members: Members, config: ForecasterConfig) -> Parts:
    """Return what each group of inputs adds to the part of the trees and the ridge [lead, series], in kWh."""
    fitted: list[tuple[float, Parts]] = []
    if members.trees is not None:
        fitted.append((config.trees_weight, members.trees.contributions(features)))
    if members.ridge is not None:
        fitted.append(((1 - config.trees_weight) * SHARES["ridge"], members.ridge.contributions(features)))
    total: dict[str, FloatArray] = {USUAL: features.base * sum(weight for weight, _ in fitted)}
    for weight, parts in fitted:
        for name, part in parts.items():
            total[name] = total.get(name, np.zeros(features.base.shape)) + weight * part
    return {name: part * features.level for name, part in total.items()}
