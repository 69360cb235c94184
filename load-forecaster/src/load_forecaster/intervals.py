"""Prediction intervals by split conformal calibration on rolling origins, with a scale for each series.

A score is a signed error divided by the usual error of that series and lead: the series' day-to-day variation, times
the share of it that the model leaves, times the factor of the lead. Quantiles of all scores, pooled, give the intervals
(Lei et al. 2018, doi:10.1080/01621459.2017.1307116, locally weighted form).
"""

from dataclasses import dataclass, field

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.schema import QUANTILES

SERIES_SHRINKAGE = 1.0
"""The share of a series counts as so many origins of the typical share."""

OUTLYING_DAY = 6.0
"""Days with so many times the usual error of their series, and of all series, are not calibrated on."""

NORMAL_SCORES = (-2.06, -1.61, 0.0, 1.61, 2.06)
"""Quantiles of normal errors in units of their mean absolute value: used when there is nothing to calibrate on."""


@dataclass(frozen=True)
class Calibration:
    """What was learnt of errors: ``share`` of each series' variation, factor of each lead, quantiles of the scores."""

    share: dict[tuple[str, str], float] = field(default_factory=dict)
    typical_share: float = 1.0
    lead: tuple[float, ...] = (1.0,)
    scores: tuple[float, ...] = NORMAL_SCORES

    def quantiles(
        self,
        point: FloatArray,
        *,
        variation: FloatArray,
        series: tuple[tuple[str, str], ...],
        fallback: np.ndarray,
        lowest: FloatArray | float = 0.0,
    ) -> dict[str, FloatArray]:
        """Return the quantiles [lead, series] around ``point``, ordered; ``q50`` is the point forecast.

        Args:
            point: Forecast [lead, series] in kWh.
            variation: Mean absolute day-to-day variation of each series, in kWh.
            series: Key of each series; one that was not calibrated on gets the typical share.
            fallback: Whether the forecast of the series is a fallback, which is trusted no more than a naive one.
            lowest: The least possible value of each series [series] in kWh; no quantile is below it.
        """
        share = np.array([self.share.get(key, self.typical_share) for key in series])
        share = np.where(fallback, np.maximum(share, 1.0), share)
        lead = np.array([self.lead[min(index, len(self.lead) - 1)] for index in range(len(point))])
        scale = lead[:, None] * share * variation
        middle = len(self.scores) // 2
        bounds = {}
        for index, (name, score) in enumerate(zip(QUANTILES, self.scores, strict=True)):
            side = 0.0 if index == middle else min(score, 0.0) if index < middle else max(score, 0.0)
            bounds[name] = np.maximum(point + side * scale, lowest)
        return bounds


def calibrate(errors: FloatArray, variation: FloatArray, *, series: tuple[tuple[str, str], ...]) -> Calibration:
    """Learn from the errors of origins that the model was not fitted on.

    Args:
        errors: Truth minus forecast [origin, lead, series], in kWh, NaN where unknown.
        variation: Mean absolute day-to-day variation [origin, series], in kWh.
        series: Key of each series.
    """
    ratio = _without_outliers(errors / np.where(variation > 0, variation, np.nan)[:, None, :])
    if np.isnan(ratio).all():
        return Calibration()
    share, typical = _shares(ratio)
    lead = _lead_factors(ratio / share)
    scores = np.concatenate([_scores_apart(ratio, origin, lead).ravel() for origin in range(len(ratio))])
    quantiles = np.nanquantile(scores, list(QUANTILES.values()))
    return Calibration(
        share={key: float(value) for key, value in zip(series, share, strict=True)},
        typical_share=float(typical),
        lead=tuple(float(value) for value in lead),
        scores=tuple(float(value) for value in quantiles),
    )


def _without_outliers(ratio: FloatArray) -> FloatArray:
    """Return the ratios [origin, lead, series] without days of single series that erred far beyond all other days.

    Such a day is a fault that nothing else shows, and would widen the intervals of every series. A day on which most
    series err, as on a holiday, stays.
    """
    known = ~np.isnan(ratio)
    if not known.any():
        return ratio
    count = known.sum(axis=1)
    size = np.where(count > 0, np.nan_to_num(np.abs(ratio)).sum(axis=1) / np.maximum(count, 1), np.nan)
    own = [float(np.nanmedian(each)) if not np.isnan(each).all() else 0.0 for each in size.T]
    outlier = size > OUTLYING_DAY * np.maximum(own, np.nanmedian(size))
    few = outlier.sum(axis=1) <= (count > 0).sum(axis=1) / 2
    return np.where((outlier & few[:, None])[:, None], np.nan, ratio)


def _shares(ratio: FloatArray) -> tuple[FloatArray, float]:
    """Return the share of each series, drawn to the typical one the fewer origins it has, and the typical one."""
    size = np.abs(ratio)
    known = ~np.isnan(size)
    per_series = np.nan_to_num(size).sum(axis=(0, 1)) / np.maximum(known.sum(axis=(0, 1)), 1)
    seen = known.any(axis=(0, 1))
    typical = max(float(np.median(per_series[seen])), 1e-6) if seen.any() else 1.0
    origins = known.any(axis=1).sum(axis=0)
    return (origins * per_series + SERIES_SHRINKAGE * typical) / (origins + SERIES_SHRINKAGE), typical


def _lead_factors(scores: FloatArray) -> FloatArray:
    """Return how much larger errors are at each lead than on average, smoothed; the last known one goes on."""
    size, known = np.nan_to_num(np.abs(scores)), ~np.isnan(scores)
    count = known.sum(axis=(0, 2))
    reach = int(np.flatnonzero(count)[-1]) + 1
    factor = (size.sum(axis=(0, 2)) / np.maximum(count, 1))[:reach]
    padded = np.pad(factor, 1, mode="edge")
    # Hardly over the first hours, where errors grow fast.
    smooth = np.convolve(padded, [0.25, 0.5, 0.25], mode="valid")
    smooth[0] = factor[0]
    smooth = np.maximum(smooth / max(smooth.mean(), 1e-9), 0.1)
    return np.pad(smooth, (0, len(count) - reach), mode="edge")


def _scores_apart(ratio: FloatArray, origin: int, lead: FloatArray) -> FloatArray:
    """Return the scores of one origin by the shares of the others: a share fitted to its own errors flatters."""
    others = np.delete(ratio, origin, axis=0) if len(ratio) > 1 else ratio
    share, _ = _shares(others)
    return np.asarray(ratio[origin] / share / lead[:, None])
