"""The fitted forecaster: members blended into one forecast, with fallbacks and intervals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl

from load_forecaster import distant
from load_forecaster.alike import most_alike
from load_forecaster.blend import Members, distant_parts, feature_parts, member_parts
from load_forecaster.cleaning import Cleaned, bridged, cleaned
from load_forecaster.config import DEFAULT, ForecasterConfig
from load_forecaster.contracts import checked
from load_forecaster.errors import InvalidArgument
from load_forecaster.explanation import Parts, reasons
from load_forecaster.factors import Factors
from load_forecaster.fallback import fallback, why_not
from load_forecaster.features import block, variation
from load_forecaster.gaussian import WINDOW_DAYS, gaussian_forecasts, relative
from load_forecaster.intervals import Calibration
from load_forecaster.metrics import FloatArray
from load_forecaster.naive import long_frame
from load_forecaster.panel import IntArray, Panel, check_horizon, from_observations
from load_forecaster.schema import PREDICTIONS
from load_forecaster.training import LEAST_DAYS
from load_forecaster.usual import Mask

LOOKED_AT_DAYS = 90
"""A forecast looks at this many days; older observations only train the member of years."""

DECIMALS = 3
"""Forecasts are rounded to 1 Wh, so that summation order cannot change stored values."""


@dataclass(frozen=True)
class PointForecast:
    """A forecast of every series of a panel.

    Attributes:
        values: [lead, series] in kWh.
        reasons: Why a series has a fallback; None if the model forecasts it.
        left_out: Implausible hours of each series [series] among those that the forecast is made from.
        disturbed: Which series [series] have implausible hours in the last day.
        lowest: The least value of each series [series] that is possible, in kWh.
        variation: Mean absolute change of each series [series] from day to day, in kWh.
        known: Plausible values [hour, series] up to the first forecast hour, NaN where there is none.
        members: What each member adds to the forecast, [lead, series] in kWh.
        features: Makes what each group of inputs adds to what the fitted members say, [lead, series] in kWh.
    """

    values: FloatArray
    reasons: list[str | None]
    left_out: IntArray
    disturbed: Mask
    lowest: FloatArray
    variation: FloatArray
    known: FloatArray
    members: Parts
    features: Callable[[], Parts]


def point_forecast(
    panel: Panel,
    members: Members,
    *,
    fh: int,
    gap: int = 0,
    config: ForecasterConfig,
    factors: Factors | None = None,
) -> PointForecast:
    """Forecast ``fh`` hours, the first of them ``gap`` hours after the panel's end; ``factors`` may serve."""
    panel = panel.until(panel.hours, LOOKED_AT_DAYS)
    clean = cleaned(panel)
    filled = bridged(panel, clean.positive)
    why, parts, features = _modelled(panel, filled, clean, members, fh, gap, config, factors)
    modelled = np.asarray(sum(parts.values()))
    sound = np.isfinite(modelled).all(axis=0)
    reason = [
        first or (second if ok else "the model gave no number")
        for first, second, ok in zip(why_not(clean), why, sound, strict=True)
    ]
    failed = np.array([each is not None for each in reason], dtype=bool)
    values = np.where(failed, fallback(panel, filled, gap=gap, fh=fh, config=config) - clean.offset, modelled)
    # What is missing of the last day makes the forecast less certain.
    missing = np.isnan(clean.known[-24:]).mean(axis=0)
    shown = {name: np.where(failed, 0.0, part) for name, part in parts.items()}
    shown["fallback"] = np.where(failed, values, 0.0)
    return PointForecast(
        np.asarray(np.round(values, DECIMALS)),
        reason,
        clean.implausible[-24 * WINDOW_DAYS :].sum(axis=0),
        np.asarray(clean.implausible[-24:].any(axis=0)),
        np.where(clean.feeds_in, -np.inf, 0.0),
        variation(filled, panel.hours) * (1 + missing),
        clean.known,
        shown,
        lambda: {name: np.where(failed, 0.0, part) for name, part in features().items()},
    )


def _modelled(
    panel: Panel,
    filled: FloatArray,
    clean: Cleaned,
    members: Members,
    fh: int,
    gap: int,
    config: ForecasterConfig,
    factors: Factors | None,
) -> tuple[list[str | None], Parts, Callable[[], Parts]]:
    """Return why each series has no model (None: it has), what each member adds, and what makes its explanation."""
    offset = clean.offset
    if gap + fh > distant.FROM:
        parts, learnt, features = distant_parts(panel, filled, offset, members, fh=fh, gap=gap, config=config)
        return [None if each else f"observations end {gap} hours before" for each in learnt], parts, features
    if members.none:
        none = f"the model needs {LEAST_DAYS} days of history"
        return [none for _ in panel.series], {"none": np.zeros((fh, len(panel.series)))}, dict
    recent = panel.until(panel.hours, WINDOW_DAYS)
    filled = filled[-recent.hours :]
    paths = gaussian_forecasts(recent, filled, fh=gap + fh, origins=2, factors=factors).values
    others = most_alike(relative(filled, filled)[1])
    inputs = block(
        recent,
        filled,
        origin=recent.hours,
        gaussian=paths[0][: gap + fh],
        gaussian_before=paths[-1],
        alike=others,
        config=config,
        unknown=np.isnan(clean.known[-recent.hours :]),
    )
    return (
        [None for _ in panel.series],
        {name: part[gap:] for name, part in member_parts(recent, filled, offset, inputs, members, config).items()},
        lambda: {name: part[gap:] for name, part in feature_parts(recent, offset, inputs, members, config).items()},
    )


def _quality(reason: str | None, left_out: int) -> str:
    """Return the quality of a forecast, as ``schema.PREDICTIONS`` describes it."""
    if reason is not None:
        return f"fallback: {reason}"
    hours = "hour" if left_out == 1 else "hours"
    return f"model: {left_out} implausible {hours} left out" if left_out else "model"


@dataclass(frozen=True)
class Forecaster:
    """A fitted forecaster; made by ``fit`` or ``load``."""

    fh: int
    config: ForecasterConfig = DEFAULT
    members: Members = field(default_factory=Members)
    calibration: Calibration = field(default_factory=Calibration)
    gap: int = 0

    def predict(self, history: pl.DataFrame, *, end: datetime, fh: int | None = None) -> pl.DataFrame:
        """Forecast the ``fh`` hours from ``end`` + ``gap`` hours on, for every series that has a row before ``end``.

        Args:
            history: Rows of ``schema.OBSERVATIONS``, hours may be missing; those at ``end`` or later are not looked at.
            end: The first hour that is not observed, a full hour in UTC.
            fh: Hours to forecast, at most those that the model was fitted for (default).

        Returns:
            ``schema.PREDICTIONS``, sorted by key: finite, quantiles in order, negative only for series that feed in.
            ``quality`` is ``model``, ``model: N implausible hours left out`` or ``fallback: why``.

        Raises:
            InvalidArgument: If an argument is out of range.
            ValidationError: If ``history`` is not as its schema says.
        """
        panel, point = self._point(history, end, fh)
        return self._predictions(panel, point)

    def predict_and_explain(
        self, history: pl.DataFrame, *, end: datetime, fh: int | None = None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return what ``predict`` does, and ``explanation.REASONS``: what drove each of these forecasts."""
        panel, point = self._point(history, end, fh)
        why = reasons(panel, members=point.members, features=point.features(), gap=self.gap)
        return self._predictions(panel, point), why

    def _point(self, history: pl.DataFrame, end: datetime, fh: int | None) -> tuple[Panel, PointForecast]:
        fh = self.fh if fh is None else fh
        check_horizon(fh)
        if fh > self.fh:
            raise InvalidArgument(f"the model was fitted for {self.fh} hours, not {fh}: fit it with fh={fh}", fh=fh)
        config = self.config
        ahead = self.gap + fh
        panel = from_observations(history, end=end, fh=ahead, days=config.history_days, timezone=config.timezone)
        return panel, point_forecast(panel, self.members, fh=fh, gap=self.gap, config=config)

    def _predictions(self, panel: Panel, point: PointForecast) -> pl.DataFrame:
        failed = np.array([reason is not None for reason in point.reasons], dtype=bool)
        bounds = self.calibration.quantiles(
            point.values, variation=point.variation, series=panel.series, fallback=failed, lowest=point.lowest
        )
        columns = {"energy_consumption": point.values}
        columns |= {name: np.round(bound, DECIMALS) for name, bound in bounds.items()}
        quality = [_quality(*each) for each in zip(point.reasons, point.left_out.tolist(), strict=True)]
        labels = pl.Series("quality", np.repeat(np.array(quality, dtype=object), len(point.values)), dtype=pl.String)
        return checked(long_frame(panel, columns, gap=self.gap).with_columns(labels), PREDICTIONS, name="predictions")
