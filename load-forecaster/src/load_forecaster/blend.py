"""The members of the blend, and what each adds to the forecast."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from load_forecaster import distant
from load_forecaster.cleaning import bridged, cleaned
from load_forecaster.config import ForecasterConfig
from load_forecaster.explanation import Parts
from load_forecaster.factors import Factors
from load_forecaster.features import USUAL, WEEK, Block, mean_known
from load_forecaster.gaussian import WINDOW_DAYS
from load_forecaster.members import autoregression, smoothing, years_distant, years_near
from load_forecaster.members import ridge as linear
from load_forecaster.members import trees as boosted
from load_forecaster.members import years as yearly
from load_forecaster.members.days import calendar_features
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.training import training_set

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
    years: yearly.Years | None = None

    @property
    def none(self) -> bool:
        """Whether nothing was fitted that learns from the last weeks."""
        return self.ridge is None and self.trees is None


def fit_members(
    panel: Panel,
    *,
    fh: int,
    gap: int = 0,
    config: ForecasterConfig,
    threads: int,
    factors: Factors | None = None,
) -> Members:
    """Fit every member that the configuration asks for and the history is long enough for.

    For distant hours that is the member of years only.

    Args:
        panel: The history.
        fh: Hours to forecast.
        gap: Hours between the history and the first of them.
        config: Tunables.
        threads: Threads to fit with; the result is the same for any number.
        factors: Factorised covariances that may serve.
    """
    years = _fit_years(panel, fh, gap, threads) if config.years_weight > 0 else None
    if gap + fh > distant.FROM:
        return Members(years=years)
    panel = some_series(panel.until(panel.hours, WINDOW_DAYS))
    known = cleaned(panel).positive
    training = training_set(
        panel, truth=known, values=bridged(panel, known), fh=gap + fh, config=config, factors=factors
    )
    if training is None:
        return Members()
    return Members(
        linear.fit(training, config=config) if config.trees_weight < 1 else None,
        boosted.fit(training, config=config, threads=threads) if config.trees_weight > 0 else None,
        years,
    )


def _fit_years(panel: Panel, fh: int, gap: int, threads: int) -> yearly.Years | None:
    if panel.hours < yearly.LEAST_DAYS * 24:
        return None
    known = cleaned(panel).positive
    return yearly.fit(panel, truth=known, filled=bridged(panel, known), fh=fh, gap=gap, threads=threads)


def some_series(panel: Panel) -> Panel:
    """Return a panel of at most ``SERIES_LEARNT_FROM`` series."""
    count = len(panel.series)
    some = np.unique(np.linspace(0, max(count - 1, 0), min(count, SERIES_LEARNT_FROM)).astype(int))
    return replace(panel, series=tuple(panel.series[index] for index in some), values=panel.values[:, some])


def member_parts(
    panel: Panel,
    filled: FloatArray,
    offset: FloatArray,
    features: Block,
    members: Members,
    config: ForecasterConfig,
) -> dict[str, FloatArray]:
    """Return what each member adds to the forecast [lead, series] in kWh.

    Args:
        panel: The history.
        filled: Its values [hour, series] in kWh plus ``offset``, with gaps bridged.
        offset: What was added to each series [series], in kWh (``cleaning.Cleaned``); the forecast is without it.
        features: Features at the end of the history.
        members: The fitted members.
        config: Tunables.
    """
    fh, rest = len(features.gaussian), 1 - config.trees_weight
    parts: dict[str, tuple[float, FloatArray]] = {}
    if members.trees is not None:
        parts["trees"] = config.trees_weight, (features.gaussian + members.trees.predict(features)) * features.level
    if members.ridge is not None:
        linear_part = (features.gaussian + members.ridge.predict(features)) * features.level
        parts["ridge"] = rest * SHARES["ridge"], linear_part
        changes = autoregression.forecast(panel, filled, fh=fh)
        parts["autoregression"] = rest * SHARES["autoregression"], changes
        parts["smoothing"] = rest * SHARES["smoothing"], smoothing.forecast(panel, filled, fh=fh)
    ceiling = CEILING * np.nan_to_num(filled[-336:]).max(axis=0, initial=0.0)
    recent = {name: weight * (np.clip(values, 0.0, ceiling) - offset) for name, (weight, values) in parts.items()}
    if members.years is None:
        return recent
    added = members.years.predict(*_of_years(panel, features))
    path = np.clip((features.gaussian + added) * features.level, 0.0, ceiling) - offset
    share = _share_of_years(added, config)
    return {name: (1 - share) * part for name, part in recent.items()} | {"years": share * np.nan_to_num(path)}


def distant_parts(
    panel: Panel,
    filled: FloatArray,
    offset: FloatArray,
    members: Members,
    *,
    fh: int,
    gap: int,
    config: ForecasterConfig,
) -> tuple[Parts, list[bool], Callable[[], Parts]]:
    """Return what adds to a forecast of hours far ahead, which series years know, and what makes the explanation."""
    path = distant.pattern(panel, filled, gap=gap, fh=fh)
    if members.years is None:
        return {"pattern": path - offset}, [False for _ in panel.series], dict
    level = np.nan_to_num(mean_known(filled[-WEEK:]))
    own, calendar = years_distant.own_features(filled, panel.hours), calendar_features(panel, panel.hours + gap)
    groups = members.years.contributions(own, calendar, panel.series)
    added = np.asarray(sum(groups.values()))
    share = _share_of_years(added, config)
    ceiling = CEILING * np.nan_to_num(filled).max(axis=0, initial=0.0)
    years = np.nan_to_num(np.clip(path + added * level, 0.0, ceiling) - offset)
    path = path - offset

    def features() -> Parts:
        return {USUAL: path} | {name: share * np.nan_to_num(part) * level for name, part in groups.items()}

    return {"pattern": (1 - share) * path, "years": share * years}, (share > 0).tolist(), features


def _share_of_years(added: FloatArray, config: ForecasterConfig) -> FloatArray:
    """Return the share of the member of years for each series: none where it has not learnt the series."""
    return np.where(np.isnan(added).any(axis=0), 0.0, config.years_weight)


def _of_years(panel: Panel, features: Block) -> tuple[FloatArray, FloatArray, tuple[tuple[str, str], ...]]:
    return years_near.own_features(features.missed), calendar_features(panel, panel.hours), panel.series


def feature_parts(
    panel: Panel, offset: FloatArray, features: Block, members: Members, config: ForecasterConfig
) -> Parts:
    """Return what each group of inputs adds to the part of the fitted members [lead, series], in kWh."""
    fitted: list[tuple[float, Parts]] = []
    if members.trees is not None:
        fitted.append((config.trees_weight, members.trees.contributions(features)))
    if members.ridge is not None:
        fitted.append(((1 - config.trees_weight) * SHARES["ridge"], members.ridge.contributions(features)))
    usual = features.gaussian - offset / features.level
    total: dict[str, FloatArray] = {USUAL: usual * sum(weight for weight, _ in fitted)}
    for weight, parts in fitted:
        for name, part in parts.items():
            total[name] = total.get(name, np.zeros(features.gaussian.shape)) + weight * part
    if members.years is not None:
        added = members.years.contributions(*_of_years(panel, features))
        share = _share_of_years(next(iter(added.values())), config)
        total = {name: (1 - share) * part for name, part in total.items()}
        total[USUAL] += share * usual
        for name, part in added.items():
            total[name] = total.get(name, np.zeros(features.gaussian.shape)) + share * np.nan_to_num(part)
    return {name: part * features.level for name, part in total.items()}
