"""The fitted forecaster: members blended into one forecast, with fallbacks and intervals."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from forecast_core.errors import InvalidArgument
from forecast_core.forecaster.cleaning import bridged, cleaned
from forecast_core.forecaster.config import DEFAULT, ForecasterConfig
from forecast_core.forecaster.fallback import fallback, reasons
from forecast_core.forecaster.features import block
from forecast_core.forecaster.intervals import Calibration
from forecast_core.forecaster.members import ridge as linear
from forecast_core.forecaster.members import trees as boosted
from forecast_core.forecaster.naive import long_frame
from forecast_core.forecaster.panel import Panel, check_horizon, from_observations
from forecast_core.forecaster.training import LEAST_DAYS, training_set
from forecast_core.metrics import FloatArray
from forecast_core.schema import PREDICTIONS

CEILING = 1.5
"""A forecast exceeds the highest value of the last two weeks by no more than this factor."""

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
    known = cleaned(panel)
    training = training_set(panel, truth=known, values=bridged(panel, known), fh=fh, config=config)
    if training is None:
        return Members()
    return Members(
        linear.fit(training, config=config) if config.trees_weight < 1 else None,
        boosted.fit(training, config=config, threads=threads) if config.trees_weight > 0 else None,
    )


def point_forecast(panel: Panel, members: Members, *, fh: int, config: ForecasterConfig) -> PointForecast:
    """Forecast the ``fh`` hours after the panel."""
    known = cleaned(panel)
    filled = bridged(panel, known)
    features = block(panel, filled, origin=panel.hours, fh=fh, config=config)
    why = reasons(known)
    parts = [(1 - config.trees_weight, members.ridge), (config.trees_weight, members.trees)]
    fitted = [(weight, member) for weight, member in parts if member is not None]
    if not fitted:
        why = [reason or f"the model needs {LEAST_DAYS} days of history" for reason in why]
    residual = np.zeros(features.base.shape)
    for weight, member in fitted:
        residual += weight * member.predict(features)
    ceiling = CEILING * np.nan_to_num(filled[-336:]).max(axis=0, initial=0.0)
    modelled = np.clip((features.base + residual) * features.level, 0.0, ceiling)
    sound = np.asarray(np.isfinite(modelled).all(axis=0))
    why = [reason or (None if ok else "the model gave no number") for reason, ok in zip(why, sound, strict=True)]
    failed = np.array([reason is not None for reason in why], dtype=bool)
    values = np.where(failed, fallback(panel, filled, fh=fh, config=config), modelled)
    # What is missing of the last day makes the forecast less certain.
    missing = np.isnan(known[-24:]).mean(axis=0)
    expected = features.variation * features.level * (1 + missing)
    return PointForecast(np.asarray(np.round(values, DECIMALS)), why, expected)


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
