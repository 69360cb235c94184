"""The base of every forecast: Gaussian processes over the hours of each series, averaged by how well they have done.

A kernel says how alike two hours are: by their distance, by their local hour and type of day, and by both together
(Rasmussen and Williams 2006, chapter 5; kernels of this kind for hourly load: Roberts et al. 2013,
doi:10.1098/rsta.2011.0550). All series share the kernels, so one factorisation serves them all; and the factor of the
first hours is a part of the factor of all hours, so forecasts as of earlier origins cost next to nothing. They say how
much each kernel is worth for each series, and are what the members learn from.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel
from load_forecaster.tiles import product, solve_lower_factor

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


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Variances of the parts of the covariance, and how far each reaches."""

    hours: float = 1.0  # rough path
    hours_reach: float  # hours
    smooth: float  # smooth path (Matern 3/2)
    smooth_reach: float  # hours
    level: float  # slow path
    level_reach: float  # days, as all below
    constant: float = 1.0
    daily: float  # pattern of the local day
    daily_reach: float
    day_type: float  # pattern of workdays, Saturdays and Sundays
    day_type_level: float
    day_type_reach: float
    weekly: float  # pattern of the local weekday
    weekly_reach: float
    width: float  # of the patterns: the less, the sharper
    noise: float


KERNELS: Final = (
    Kernel(
        hours_reach=58, smooth=0.053, smooth_reach=11, level=0.58, level_reach=7.5, daily=2.3,
        daily_reach=22, day_type=1.7,
        day_type_level=0.17, day_type_reach=44, weekly=0.056, weekly_reach=24, width=0.55, noise=0.014,
    ),
    Kernel(
        hours_reach=42, smooth=0.067, smooth_reach=1.7, level=0.32, level_reach=8.8, daily=0.46,
        daily_reach=31, day_type=0.68,
        day_type_level=0.081, day_type_reach=61, weekly=0.09, weekly_reach=49, width=1.3, noise=0.0038,
    ),
    Kernel(
        hours_reach=6.6, smooth=0.076, smooth_reach=5.8, level=0.075, level_reach=18, daily=0.96,
        daily_reach=30, day_type=15,
        day_type_level=0.56, day_type_reach=66, weekly=0.13, weekly_reach=58, width=0.42, noise=0.0026,
    ),
    Kernel(
        hours_reach=33, smooth=0.11, smooth_reach=12, level=1.1, level_reach=24, daily=4.3,
        daily_reach=53, day_type=21,
        day_type_level=0.05, day_type_reach=59, weekly=0.17, weekly_reach=67, width=1.0, noise=0.28,
    ),
    Kernel(
        hours_reach=19, smooth=0.041, smooth_reach=11, level=0.07, level_reach=24, daily=5.1,
        daily_reach=36, day_type=11,
        day_type_level=0.038, day_type_reach=75, weekly=0.58, weekly_reach=56, width=0.26, noise=0.0012,
    ),
    Kernel(
        hours_reach=13, smooth=2.1, smooth_reach=7.6, level=1.2, level_reach=14, daily=0.59,
        daily_reach=23, day_type=0.87,
        day_type_level=0.94, day_type_reach=82, weekly=0.053, weekly_reach=22, width=0.25, noise=0.025,
    ),
)  # fmt: skip
"""Chosen one by one from 120 drawn at random; docs/decisions/0004-forecaster.md says on what."""


@dataclass(frozen=True)
class Expected:
    """Forecasts ``values[origin, lead, series]`` in kWh as of each of ``origins``, newest first."""

    origins: tuple[int, ...]
    values: FloatArray


def expected(panel: Panel, filled: FloatArray, *, fh: int, origins: int | None = None) -> Expected:
    """Forecast the ``fh`` hours (24 at least) after the panel, and as of 24, 48, ... hours before its end.

    Args:
        panel: The history.
        filled: Its values with gaps bridged, NaN where nothing is known.
        fh: Hours to forecast.
        origins: How many to return; by default all that have ``LEAST_HOURS`` of the window before them.
    """
    first = max(0, panel.hours - 24 * WINDOW_DAYS)
    level, values = relative(filled, filled[first:])
    middle = values.mean(axis=0)
    hours = len(values)
    earlier = [hours - 24 * back for back in range(1, WINDOW_DAYS) if hours - 24 * back >= LEAST_HOURS]
    kept = earlier if origins is None else earlier[: origins - 1]
    replayed = [*dict.fromkeys([*earlier[:REPLAYED], *kept])]
    calendar = _Calendar.of(panel, first, hours + max(fh, 24))
    paths = np.stack([_paths(kernel, calendar, values - middle, [hours, *replayed], max(fh, 24)) for kernel in KERNELS])
    weight = _weights(paths[:, 1 : 1 + len(earlier[:REPLAYED])], values - middle, earlier[:REPLAYED])
    blended = (weight[:, None, None] * paths[:, : 1 + len(kept)]).sum(axis=0) + middle
    within = np.clip(blended, 0.0, values[-336:].max(axis=0, initial=0.0) * 1.5)
    return Expected(tuple(first + origin for origin in (hours, *kept)), np.asarray(within * level))


def relative(filled: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the level of each series, the mean of its last seven days, and ``values`` as multiples of it.

    What is unknown counts as the level; a level that is not positive counts as 1 kWh.
    """
    week = filled[-168:]
    known = (~np.isnan(week)).sum(axis=0)
    mean = np.nan_to_num(week).sum(axis=0) / np.maximum(known, 1)
    level = np.where(mean > 0, mean, 1.0)
    return level, np.clip(np.nan_to_num(values / level, nan=1.0), 0.0, HIGHEST)


@dataclass(frozen=True)
class _Calendar:
    hour: IntArray
    day_type: IntArray
    weekday: IntArray

    @classmethod
    def of(cls, panel: Panel, first: int, hours: int) -> "_Calendar":
        """Return the calendar of the hours of the window; past the panel's calendar, its days go on."""
        local = panel.local
        index = np.arange(first, first + hours)
        over = np.maximum(index - (len(local.hour) - 1), 0)
        index = index - -(-over // 168) * 168
        return cls(local.hour[index], local.day_type[index], local.weekday[index])


def _covariance(kernel: Kernel, calendar: _Calendar, rows: IntArray, columns: IntArray) -> FloatArray:
    """Return the covariance of hours ``rows`` with hours ``columns`` of the window."""
    apart = np.abs(rows[:, None] - columns[None, :])
    hours = np.arange(len(calendar.hour), dtype=np.float64)
    days = hours / 24
    smooth = hours / kernel.smooth_reach
    path = kernel.constant + kernel.hours * np.exp(-hours / kernel.hours_reach)
    path += kernel.level * np.exp(-days / kernel.level_reach) + kernel.smooth * (1 + smooth) * np.exp(-smooth)
    path[0] += kernel.noise
    by_type = np.exp(-days / kernel.day_type_reach)
    shape = np.exp(-2 * np.sin(np.pi * np.arange(24) / 24) ** 2 / kernel.width**2)
    same_type = calendar.day_type[rows][:, None] == calendar.day_type[columns]
    same_day = calendar.weekday[rows][:, None] == calendar.weekday[columns]
    pattern = (kernel.daily * np.exp(-days / kernel.daily_reach))[apart]
    pattern += same_type * (kernel.day_type * by_type)[apart]
    pattern += same_day * (kernel.weekly * np.exp(-days / kernel.weekly_reach))[apart]
    pattern *= shape[np.abs(calendar.hour[rows][:, None] - calendar.hour[columns])]
    return np.asarray(pattern + path[apart] + same_type * (kernel.day_type_level * by_type)[apart])


def _paths(kernel: Kernel, calendar: _Calendar, values: FloatArray, origins: list[int], fh: int) -> FloatArray:
    """Return the forecast [origin, lead, series] of one kernel, each from the values before its origin only."""
    hours = len(values)
    all_hours = np.arange(hours)
    covariance = _covariance(kernel, calendar, all_hours, all_hours)
    to_come = [_covariance(kernel, calendar, all_hours, origin + np.arange(fh)) for origin in origins]
    solved = solve_lower_factor(covariance, np.concatenate([values, *to_come], axis=1))
    white, rest = solved[:, : values.shape[1]], solved[:, values.shape[1] :]
    rest = np.where(all_hours[:, None] < np.repeat(origins, fh), rest, 0.0)
    return product(np.ascontiguousarray(rest.T), white).reshape(len(origins), fh, -1)


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
