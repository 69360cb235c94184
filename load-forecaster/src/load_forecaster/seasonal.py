"""Values at the same local hour of earlier days, and the seasonal base that is their weighted mean."""

from dataclasses import dataclass

import numpy as np

from load_forecaster.config import ForecasterConfig
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel

LAG_DAYS = 14
"""How many earlier days the seasonal base is made of."""


@dataclass(frozen=True)
class EarlierDays:
    """For each hour of ``leads``: the values at the same local hour of the ``LAG_DAYS`` latest known days.

    ``values[lag, lead, series]``, NaN where unknown; ``seasonal_base[lead, series]`` is their weighted mean, NaN
    where all are unknown.
    """

    values: FloatArray
    seasonal_base: FloatArray


def latest_known_day(leads: IntArray) -> IntArray:
    """Return how many days to go back from each lead (0 is the first hour to forecast) to hours already observed.

    >>> latest_known_day(np.array([-24, -1, 0, 23, 24]))
    array([1, 1, 1, 1, 2])
    """
    return np.maximum(1, -(-(leads + 1) // 24))


def earlier_days(
    panel: Panel, values: FloatArray, *, origin: int, leads: IntArray, config: ForecasterConfig
) -> EarlierDays:
    """Return what earlier days tell of the hours ``origin + leads``, from the values of hours before ``origin``.

    The seasonal base weighs days down by age, and days of another type (workday, Saturday, Sunday) much further.
    """
    target = origin + leads
    lags = np.arange(LAG_DAYS)[:, None]
    back = 24 * (latest_known_day(leads) + lags)
    # The same local hour is another UTC hour when the clocks changed in between.
    same_utc_hour = np.maximum(target - back, 0)
    source = target - back + panel.local.offset[target] - panel.local.offset[same_utc_hour]
    known = (source >= 0) & (source < np.minimum(origin, target))
    source = np.where(known, source, 0)
    found = np.where(known[..., None], values[source], np.nan)
    same_type = panel.local.day_type[source] == panel.local.day_type[target]
    weight: FloatArray = np.power(config.day_decay, lags) * np.where(same_type, 1.0, config.other_day_weight)
    return EarlierDays(found, weighted_mean(found, weight[..., None]))


def weighted_mean(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the mean over the first axis of the values that are not NaN; NaN where there is none."""
    weights = np.where(np.isnan(values), 0.0, weight)
    total = weights.sum(axis=0)
    mean = (weights * np.nan_to_num(values)).sum(axis=0) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)
