"""Inputs made fit for features: impossible values out, missing hours bridged, with nothing but the past."""

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel

OUTLIER_FACTOR = 10.0
"""A value of more than this many times the series' 95 % quantile is not believed."""


def cleaned(panel: Panel) -> FloatArray:
    """Return the values without negative ones and without outliers: those become NaN."""
    values = panel.values
    seen = ~np.isnan(values).all(axis=0)
    limit = np.full(values.shape[1], np.inf)
    if seen.any():
        high = np.nanquantile(values[:, seen], 0.95, axis=0)
        limit[seen] = np.where(high > 0, OUTLIER_FACTOR * high, np.inf)
    believed = (values >= 0) & (values <= limit)
    return np.where(believed, values, np.nan)


def bridged(panel: Panel, values: FloatArray) -> FloatArray:
    """Return ``values`` with missing hours taken from the same local hour a week before, else a day before.

    An hour is filled only from earlier ones (themselves filled, if need be), so no later value leaks into it. What has
    nothing before it stays NaN.
    """
    filled, offset = values.copy(), panel.local.offset
    for hour in np.flatnonzero(np.isnan(values).any(axis=1)).tolist():
        for back in (168, 24):
            source = hour - back + int(offset[hour] - offset[max(hour - back, 0)])
            if 0 <= source < hour:
                gap = np.isnan(filled[hour])
                filled[hour, gap] = filled[source, gap]
    return filled
