"""The fitted forecaster: members blended into one forecast, with fallbacks and intervals."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from forecast_core.errors import InvalidArgument
from forecast_core.forecaster.cleaning import bridged, cleaned
from forecast_core.forecaster.config import DEFAULT, ForecasterConfig
from forecast_core.forecaster.fallback import fallback, reasons
from forecast_core.forecaster.features import Block, block
from forecast_core.forecaster.gaussian import WINDOW_DAYS, expected
from forecast_core.forecaster.intervals import Calibration
from forecast_core.forecaster.members import autoregression, smoothing
from forecast_core.forecaster.members import ridge as linear
from forecast_core.forecaster.members import trees as boosted
from forecast_core.forecaster.naive import long_frame
from forecast_core.forecaster.panel import Panel, check_horizon, from_observations
from forecast_core.forecaster.training import LEAST_DAYS, training_set
from forecast_core.metrics import FloatArray
from forecast_core.schema import PREDICTIONS

CEILING = 1.5
"""A forecast exceeds the highest value of the last two weeks by no more than this factor."""

SHARES = {"ridge": 0.5, "autoregression": 0.3, "smoothing": 0.2}
"""Shares of the members in what the trees leave."""

SERIES_LEARNT_FROM = 1000
"""Members are fitted on no more series than this, spread evenly over all: more teach them nothing, and take time."""

DECIMALS = 3
"""Forecasts are rounded to a watt-hour: what differs by less differs by the order of additions only."""


@dataclass(frozen=True)
class Members:
    """The fitted members; without any, every series gets its fallback."""

    ridge: linear.Ridge | None = None
    trees: boosted.Trees | None = None


@dataclass(frozen=True)
class PointForecast:
    """Forecast ``values[lead, series]`` in kWh; why it is a fallback (None: it is not); expected day-to-day change."""

    values: FloatArray
    reasons: list[str | None]
    expected: FloatArray


def fit_members(panel: Panel, *, fh: int, config: ForecasterConfig, threads: int) -> Members:
    """Fit every member that the configuration asks for; none if the history is too short."""
    panel = _some_series(panel.until(panel.hours, WINDOW_DAYS))
    known = cleaned(panel)
    training = training_set(panel, truth=known, values=bridged(panel, known), fh=fh, config=config)
    if training is None:
        return Members()
    return Members(
        linear.fit(training, config=config) if config.trees_weight < 1 else None,
        boosted.fit(training, config=config, threads=threads) if config.trees_weight > 0 else None,
    )


def _some_series(panel: Panel) -> Panel:
    count = len(panel.series)
    some = np.unique(np.linspace(0, max(count - 1, 0), min(count, SERIES_LEARNT_FROM)).astype(int))
    return replace(panel, series=tuple(panel.series[index] for index in some), values=panel.values[:, some])


def point_forecast(panel: Panel, members: Members, *, fh: int, config: ForecasterConfig) -> PointForecast:
    """Forecast the ``fh`` hours after the panel."""
    known = cleaned(panel)
    filled = bridged(panel, known)
    recent = panel.until(panel.hours, WINDOW_DAYS)
    features = _features(recent, filled[-recent.hours :], fh, config)
    why = reasons(known)
    if members.ridge is None and members.trees is None:
        why = [reason or f"the model needs {LEAST_DAYS} days of history" for reason in why]
    modelled = _blend(recent, filled[-recent.hours :], features, members, config)
    sound = np.asarray(np.isfinite(modelled).all(axis=0))
    why = [reason or (None if ok else "the model gave no number") for reason, ok in zip(why, sound, strict=True)]
    failed = np.array([reason is not None for reason in why], dtype=bool)
    values = np.where(failed, fallback(panel, filled, fh=fh, config=config), modelled)
    # What is missing of the last day makes the forecast less certain.
    missing = np.isnan(known[-24:]).mean(axis=0)
    expected = features.variation * features.level * (1 + missing)
    return PointForecast(np.asarray(np.round(values, DECIMALS)), why, expected)


def _features(panel: Panel, filled: FloatArray, fh: int, config: ForecasterConfig) -> Block:
    path = expected(panel, filled, fh=fh, origins=1).values[0]
    return block(panel, filled, origin=panel.hours, expected=path, config=config)


def _blend(panel: Panel, filled: FloatArray, features: Block, members: Members, config: ForecasterConfig) -> FloatArray:
    """Return the weighted mean of the members' forecasts [lead, series] in kWh; without any, the expected."""
    fh = len(features.base)
    parts: list[tuple[float, FloatArray]] = []
    if members.trees is not None:
        parts.append((config.trees_weight, (features.base + members.trees.predict(features)) * features.level))
    if members.ridge is not None:
        rest = 1 - config.trees_weight
        parts += [
            (rest * SHARES["ridge"], (features.base + members.ridge.predict(features)) * features.level),
            (rest * SHARES["autoregression"], autoregression.forecast(panel, filled, fh=fh)),
            (rest * SHARES["smoothing"], smoothing.forecast(panel, filled, fh=fh)),
        ]
    ceiling = CEILING * np.nan_to_num(filled[-336:]).max(axis=0, initial=0.0)
    blended = np.zeros(features.base.shape)
    for weight, values in parts or [(1.0, features.base * features.level)]:
        blended += weight * np.clip(values, 0.0, ceiling)
    return blended


@dataclass(frozen=True)
class Forecaster:
    """A fitted forecaster; made by ``fit`` or ``load``."""

    fh: int
    config: ForecasterConfig = DEFAULT
    members: Members = field(default_factory=Members)
    calibration: Calibration = field(default_factory=Calibration)

    def predict(self, history: pl.DataFrame, *, end: datetime, fh: int | None = None) -> pl.DataFrame:
        """Forecast the hours [end, end + fh) for every series that has a row before ``end``.

        Args:
            history: Rows of ``schema.OBSERVATIONS``, hours may be missing; those at ``end`` or later are not looked at.
            end: The first hour to forecast, a full hour in UTC.
            fh: Hours to forecast, at most those that the model was fitted for (default).

        Returns:
            ``schema.PREDICTIONS``, sorted by key: finite, not negative, quantiles in order; ``quality`` is ``model``
            or ``fallback: why``.

        Raises:
            InvalidArgument: If an argument is out of range.
            ValidationError: If ``history`` is not as its schema says.
        """
        fh = self.fh if fh is None else fh
        check_horizon(fh)
        if fh > self.fh:
            raise InvalidArgument(f"the model was fitted for {self.fh} hours, not {fh}: fit it with fh={fh}", fh=fh)
        config = self.config
        panel = from_observations(history, end=end, fh=fh, days=config.history_days, timezone=config.timezone)
        point = point_forecast(panel, self.members, fh=fh, config=config)
        failed = np.array([reason is not None for reason in point.reasons], dtype=bool)
        bounds = self.calibration.quantiles(point.values, expected=point.expected, series=panel.series, fallback=failed)
        columns = {"energy_consumption": point.values}
        columns |= {name: np.round(bound, DECIMALS) for name, bound in bounds.items()}
        quality = [f"fallback: {reason}" if reason else "model" for reason in point.reasons]
        labels = pl.Series("quality", np.repeat(np.array(quality, dtype=object), fh), dtype=pl.String)
        return long_frame(panel, columns).with_columns(labels).select(PREDICTIONS.names())

    def save(self, directory: Path) -> None:
        """Write the forecaster into ``directory``, which is made if absent; see ``storage`` for the format."""
        from forecast_core.forecaster import storage

        storage.save(self, directory)
