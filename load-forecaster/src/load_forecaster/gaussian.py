"""A forecast from each series' own past by Gaussian processes, averaged over kernels by how well each has done.

All series share the kernels (``kernels``), so one factorisation serves them all (``factors``), and forecasts as of
earlier origins cost next to nothing. Those say how much each kernel is worth for each series, and are what the members
learn from.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster.factors import Factors
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel

WINDOW_DAYS: Final = 30
"""Older hours are not looked at: the factorisation grows with their third power."""

LEAST_HOURS: Final = 96
"""Hours that an earlier origin needs before it."""

REPLAYED: Final = 10
"""Latest daily origins that the kernels are compared on."""

REPLAY_DECAY: Final = 0.93
SHARPNESS: Final = 30.0
"""A kernel that errs 1 % more than the best one has exp(-.3) of its weight."""

HIGHEST: Final = 10.0
"""Values count for at most so many times the level."""


@dataclass(frozen=True)
class GaussianForecasts:
    """Forecasts ``values[origin, lead, series]`` in kWh as of each of ``origins``, newest first."""

    origins: tuple[int, ...]
    values: FloatArray


def gaussian_forecasts(
    panel: Panel, filled: FloatArray, *, fh: int, origins: int | None = None, factors: Factors | None = None
) -> GaussianForecasts:
    """Forecast the ``fh`` hours (24 at least) after the panel, and as of 24, 48, ... hours before its end.

    Args:
        panel: The history; older hours than ``WINDOW_DAYS`` are not looked at.
        filled: Its values [hour, series] in kWh with gaps bridged, NaN where nothing is known.
        fh: Hours to forecast.
        origins: How many to return; by default all that have ``LEAST_HOURS`` of the window before them.
        factors: Factorised covariances of a window that begins at the same hour; made anew where they do not serve.
    """
    window = panel.until(panel.hours, WINDOW_DAYS)
    hours = window.hours
    level, values = relative(filled, filled[-hours:])
    middle = values.mean(axis=0)
    earlier = [hours - 24 * back for back in range(1, WINDOW_DAYS) if hours - 24 * back >= LEAST_HOURS]
    kept = earlier if origins is None else earlier[: origins - 1]
    replayed = [*dict.fromkeys([*earlier[:REPLAYED], *kept])]
    if factors is None or not factors.serve(window, fh=fh):
        factors = Factors(window, fh=fh)
    paths = factors.paths(values - middle, [hours, *replayed])
    weight = _weights(paths[:, 1 : 1 + len(earlier[:REPLAYED])], values - middle, earlier[:REPLAYED])
    blended = (weight[:, None, None] * paths[:, : 1 + len(kept)]).sum(axis=0) + middle
    within = np.clip(blended, 0.0, values[-336:].max(axis=0, initial=0.0) * 1.5)
    first = panel.hours - hours
    return GaussianForecasts(tuple(first + origin for origin in (hours, *kept)), np.asarray(within * level))


def shared_factors(panel: Panel, *, fh: int, threads: int) -> Factors | None:
    """Return factors that serve a panel and those that begin with it; None if its windows begin at different hours.

    Args:
        panel: The history.
        fh: Hours to forecast after its end, the gap included.
        threads: Kernels that are factorised at once.
    """
    if not LEAST_HOURS <= panel.hours <= 24 * WINDOW_DAYS or fh > 24 * 7:
        return None
    return Factors(panel, fh=fh, threads=threads)


def relative(filled: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the level of each series, the mean of its last seven days, and ``values`` as multiples of it.

    What is unknown counts as the level; a level that is not positive counts as 1 kWh.
    """
    week = filled[-168:]
    known = (~np.isnan(week)).sum(axis=0)
    mean = np.nan_to_num(week).sum(axis=0) / np.maximum(known, 1)
    level = np.where(mean > 0, mean, 1.0)
    return level, np.clip(np.nan_to_num(values / level, nan=1.0), 0.0, HIGHEST)


def _weights(paths: FloatArray, values: FloatArray, origins: list[int]) -> FloatArray:
    """Return the weight [kernel, series] of each kernel from its errors over the day after each of ``origins``."""
    count = (len(paths), values.shape[1])
    if not origins:
        return np.full(count, 1 / len(paths))
    errors = np.stack([np.abs(paths[:, i, :24] - values[o : o + 24]).mean(axis=1) for i, o in enumerate(origins)])
    age = REPLAY_DECAY ** np.arange(len(origins))
    error = np.einsum("o,oks->ks", age / age.sum(), errors) + 1e-9
    weight = np.exp(-SHARPNESS * (error / error.min(axis=0) - 1))
    return np.asarray(weight / weight.sum(axis=0))
