"""A member that learns from years: one ridge regression per series corrects a baseline forecast.

The baseline is the Gaussian processes' forecast up to a week ahead, and the pattern of the last weeks further ahead
(``years_near``, ``years_distant``). A year of days is enough to learn how each series' errors go on.

All products are made in tiles (``tiles``): the same bits whatever the number of threads.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster import distant
from load_forecaster.features import mean_known
from load_forecaster.members import years_distant, years_near
from load_forecaster.members.days import DAY, LARGEST_ERROR, Days, calendar_features
from load_forecaster.members.directions import main_directions
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.parallel import each
from load_forecaster.tiles import product, solve_lower_factor

LEAST_DAYS: Final = 365
"""Days of history without which nothing is fitted. EIA-930 of 2022, error as a share of the naive forecast's: .627 with
one year, .597 with two, .590 with all since 2020; the members that learn from 30 days have .688."""

LEAST_SHARE: Final = 0.7
"""A series is learnt if it was fully observed on this share of ``LEAST_DAYS`` days. Not tuned."""

PENALTY: Final = 30.0
"""Ridge penalty of the features that all series have in common. Chosen with the two below on EIA-930 of 2022."""

OWN_PENALTY: Final = 10.0
CALENDAR_PENALTY: Final = 7.5

ROUNDS: Final = 3
"""Rounds of reweighting towards least absolute errors; one round gives .597 where three give .590."""

LEAST_ERROR: Final = 0.3
"""Days with less than this share of the usual error weigh alike: keeps the reweighting finite."""


@dataclass(frozen=True)
class Years:
    """Coefficients [series, feature, lead] of the ``series`` that were learnt, and what makes the features.

    Own features are ``(own - centre) / spread`` [series, own]. Those of all series together, flattened, times
    ``directions`` [series x own, direction] are the common ones. ``scale`` [series] turns the result into shares of the
    level.
    """

    series: tuple[tuple[str, str], ...]
    centre: FloatArray
    spread: FloatArray
    directions: FloatArray
    scale: FloatArray
    coefficients: FloatArray

    def predict(self, own: FloatArray, calendar: FloatArray, series: tuple[tuple[str, str], ...]) -> FloatArray:
        """Return the correction of the baseline, relative to the level: [lead, series]; NaN for series not learnt."""
        return np.asarray(sum(self.contributions(own, calendar, series).values()))

    def contributions(
        self, own: FloatArray, calendar: FloatArray, series: tuple[tuple[str, str], ...]
    ) -> dict[str, FloatArray]:
        """Return what each group of features adds to ``predict``, as [lead, series].

        Args:
            own: Own features [series, own] at the origin, of ``years_near`` or ``years_distant``.
            calendar: Features of the calendar of lead 0, as ``calendar_features`` makes them.
            series: Keys of the series of ``own``.
        """
        position = {key: index for index, key in enumerate(series)}
        there = np.array([position.get(key, -1) for key in self.series])
        # A learnt series that is absent from `series` counts as average (0).
        standard = np.where((there >= 0)[:, None], (own[there] - self.centre) / self.spread, 0.0)
        common = product(standard.reshape(1, -1), self.directions)[0]
        shared = np.tile(np.concatenate([common, calendar]), (len(there), 1))
        features = np.concatenate([standard, shared], axis=1)
        added = features[..., None] * self.coefficients * self.scale[:, None, None]
        first, second = own.shape[1], own.shape[1] + len(common)
        groups = {
            "errors of the day before" if len(common) else "level": added[:, :first],
            "all series": added[:, first:second],
            "calendar": added[:, second:],
        }
        return {name: self._placed(part.sum(axis=1), there, len(series)) for name, part in groups.items()}

    @staticmethod
    def _placed(part: FloatArray, there: np.ndarray, count: int) -> FloatArray:
        """Return a part [learnt series, lead] as [lead, series], NaN where a series was not learnt."""
        placed = np.full((part.shape[1], count), np.nan)
        placed[:, there[there >= 0]] = part[there >= 0].T
        return placed


def fit(
    panel: Panel, *, truth: FloatArray, filled: FloatArray, fh: int, gap: int = 0, threads: int = 1
) -> Years | None:
    """Fit on the daily origins of the whole panel; None if there are too few.

    Args:
        panel: The history.
        truth: What was observed [hour, series] in kWh, NaN where nothing was; targets come from here.
        filled: The same with gaps bridged; features come from here.
        fh: Hours to forecast.
        gap: Hours before them.
        threads: Threads to fit with; the result is the same for any number.
    """
    if panel.hours < DAY * LEAST_DAYS:
        return None
    if gap + fh <= distant.FROM:
        days = years_near.days(panel, filled, ahead=gap + fh, threads=threads)
    else:
        days = years_distant.days(panel, filled, fh=fh, gap=gap)
    residual = _residuals(truth, filled, days)
    known = np.asarray(~np.isnan(residual).any(axis=1))
    learnt = np.flatnonzero(known.sum(axis=0) >= LEAST_SHARE * LEAST_DAYS)
    if learnt.size == 0:
        return None
    calendar = np.stack([calendar_features(panel, origin + days.first) for origin in days.origins.tolist()])
    series = tuple(panel.series[index] for index in learnt.tolist())
    own, targets = days.own[:, learnt], np.nan_to_num(residual[:, :, learnt])
    return _fitted(series, own, calendar, targets, known[:, learnt], errors=days.errors, threads=threads)


def _residuals(truth: FloatArray, filled: FloatArray, days: Days) -> FloatArray:
    """Return truth minus baseline relative to the level, clipped: [origin, lead, series]; NaN where unknown."""
    origins, leads = days.origins.tolist(), days.baseline.shape[1]
    level = np.stack([mean_known(filled[origin - 7 * DAY : origin]) for origin in origins])
    target = np.stack([truth[origin + days.first : origin + days.first + leads] for origin in origins])
    level = np.where(level > 0, level, np.nan)
    return np.clip((target - days.baseline) / level[:, None], -LARGEST_ERROR, LARGEST_ERROR)


def _fitted(
    series: tuple[tuple[str, str], ...],
    own: FloatArray,
    calendar: FloatArray,
    targets: FloatArray,
    known: np.ndarray,
    *,
    errors: bool,
    threads: int,
) -> Years:
    """Fit one ridge regression per series.

    Args:
        series: Keys of the series.
        own: Own features [origin, series, feature].
        calendar: Features of the calendar [origin, feature].
        targets: Residuals to the baseline [origin, lead, series], relative to the level; 0 where unknown.
        known: Whether the targets of a series were all observed: [origin, series].
        errors: Whether the own features are errors of the day before.
        threads: Series that are fitted at once.
    """
    centre = own.mean(axis=0)
    # Errors of the hours of one day share a spread, so that they keep their proportions.
    spread = np.tile(own.std(axis=(0, 2))[:, None], (1, own.shape[2])) if errors else own.std(axis=0)
    spread = spread + 1e-3
    scale = np.sqrt(np.mean(targets**2, axis=(0, 1))) + 1e-6
    standard = (own - centre) / spread
    flat = standard.reshape(len(own), -1)
    directions = main_directions(flat) if errors else np.zeros((flat.shape[1], 0))
    common = np.concatenate([product(flat, directions), calendar], axis=1)
    counts = (own.shape[2], directions.shape[1], calendar.shape[1])
    penalty = np.repeat([OWN_PENALTY, PENALTY, CALENDAR_PENALTY], counts)

    def coefficients(index: int) -> FloatArray:
        features = np.concatenate([standard[:, index], common], axis=1)
        return _ridge(features, targets[:, :, index] / scale[index], known[:, index], penalty)

    learnt = np.stack(each(coefficients, range(len(series)), threads=threads))
    return Years(series, centre, spread, directions, scale, learnt)


def _ridge(features: FloatArray, y: FloatArray, known: np.ndarray, penalty: FloatArray) -> FloatArray:
    """Return coefficients [feature, lead], reweighted towards least absolute errors of whole days."""
    weight = known.astype(np.float64)
    coefficients = np.zeros((features.shape[1], y.shape[1]))
    for _ in range(ROUNDS):
        weighted = np.ascontiguousarray((features * weight[:, None]).T)
        moments = product(weighted, features) + np.diag(penalty)
        inverse = solve_lower_factor(moments, np.eye(len(moments)))
        coefficients = product(np.ascontiguousarray(inverse.T), product(inverse, product(weighted, y)))
        error = np.abs(y - product(features, coefficients)).mean(axis=1)
        usual = max(float(np.median(error[known])), 1e-9)
        weight = known * usual / np.maximum(error, LEAST_ERROR * usual)
    return coefficients
