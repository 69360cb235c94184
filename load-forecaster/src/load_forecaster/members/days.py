"""The days that the member of years learns from: daily origins with the baseline and what was known then.

The baseline is the forecast that the member corrects: near, the Gaussian processes' (``years_near``); far ahead, the
pattern of the last weeks (``years_distant``).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel

DAY: Final = 24

LARGEST_ERROR: Final = 0.5
"""Errors are clipped to this share of the level, so that one faulty value does not decide a coefficient. Not tuned."""

HARMONICS: Final = 4
"""Waves of the year in the calendar's features. Far ahead on EIA-930 of 2022, error as a share of the naive forecast's:
two .704, three .694, four .692."""

YEAR_HOURS: Final = 24 * 365.2425


@dataclass(frozen=True)
class Days:
    """Daily ``origins`` [origin] (indices of hours of the panel), newest first.

    ``baseline`` [origin, lead, series] is in kWh, ``own`` [origin, series, feature] are each series' own features.
    Lead 0 is the hour ``first`` hours after the origin: the origin itself (0) when near, origin + gap when distant.
    ``errors`` says whether the own features are errors of the day before, which move along common directions.
    """

    origins: IntArray
    baseline: FloatArray
    own: FloatArray
    first: int
    errors: bool


def calendar_features(panel: Panel, hour: int) -> FloatArray:
    """Return the features of an hour of the panel: waves of the year, one for each local weekday, and a constant."""
    angle = 2 * np.pi * (panel.start.timestamp() / 3600 + hour) / YEAR_HOURS
    waves = [wave(angle * order) for order in range(1, HARMONICS + 1) for wave in (np.cos, np.sin)]
    return np.concatenate([waves, np.eye(7)[panel.local.weekday[hour]], [1.0]])
