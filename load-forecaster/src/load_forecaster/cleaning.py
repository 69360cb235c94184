"""Remove implausible values; fill gaps from earlier hours only."""

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel

OUTLIER_FACTOR = 10.0
"""A value of more than this many times the series' 95 % quantile is removed."""


def cleaned(panel: Panel) -> FloatArray:
    """Return the values [hour, series] in kWh with negative ones and outliers replaced by NaN."""
    values = panel.values
    seen = ~np.isnan(values).all(axis=0)
    limit = np.full(values.shape[1], np.inf)
    if seen.any():
        high = np.nanquantile(values[:, seen], 0.95, axis=0)
        limit[seen] = np.where(high > 0, OUTLIER_FACTOR * high, np.inf)
    plausible = (values >= 0) & (values <= limit)
    return np.where(plausible, values, np.nan)


def bridged(panel: Panel, values: FloatArray) -> FloatArray:
    """Return ``values`` with missing hours taken from the same local hour a week before, else a day before.

    An hour is filled only from earlier ones (which may be filled themselves), so no later value leaks into it. An hour
    without an earlier one stays NaN.
    """
    filled, offset = values.copy(), panel.local.offset
    for hour in np.flatnonzero(np.isnan(values).any(axis=1)).tolist():
        for back in (168, 24):
            source = hour - back + int(offset[hour] - offset[max(hour - back, 0)])
            if 0 <= source < hour:
                gap = np.isnan(filled[hour])
                filled[hour, gap] = filled[source, gap]
    return filled
