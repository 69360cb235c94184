"""Remove implausible values; fill gaps from earlier hours only."""

from dataclasses import dataclass

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.plausibility import feeds_in, implausible
from load_forecaster.usual import BLOCK_DAYS, DAY, Mask


@dataclass(frozen=True)
class Cleaned:
    """A history without its faults.

    Attributes:
        known: Plausible values [hour, series] in kWh, NaN where there is none.
        implausible: Which values [hour, series] were removed.
        feeds_in: Which series [series] are ordinarily negative.
        offset: What is added to each series [series] before it is forecast and taken away after it, in kWh. Levels and
            logarithms need positive values; 0 for series that are.
    """

    known: FloatArray
    implausible: Mask
    feeds_in: Mask
    offset: FloatArray

    @property
    def positive(self) -> FloatArray:
        """Known values [hour, series] plus the offset: what levels and members are made of."""
        return self.known + self.offset


def cleaned(panel: Panel) -> Cleaned:
    """Return the values of a panel without faults of measurement and transmission, judged by this panel alone."""
    feed_in = feeds_in(panel.values)
    removed = implausible(panel.values, feed_in)
    known = np.where(removed, np.nan, panel.values)
    return Cleaned(known, removed, feed_in, _offset(known, feed_in))


def _offset(known: FloatArray, feed_in: Mask) -> FloatArray:
    """Return the offset of each series: one that feeds in then lies between its usual range and twice that."""
    offset = np.zeros(known.shape[1])
    recent = known[-DAY * BLOCK_DAYS :]
    for series in np.flatnonzero(feed_in & ~np.isnan(recent).all(axis=0)).tolist():
        low, high = np.nanquantile(recent[:, series], [0.01, 0.99])
        offset[series] = max(0.0, (high - low) - low)
    return offset


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
