"""Kernels: how alike two hours of a series are, as covariances of Gaussian processes.

A kernel looks at the distance of the hours, at their local hour and type of day, and at both together (Rasmussen and
Williams 2006, chapter 5; kernels of this kind for hourly load: Roberts et al. 2013, doi:10.1098/rsta.2011.0550).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel


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
"""Chosen one by one from 120 drawn at random; benchmarks/results/experiments-forecaster.md says on what."""


@dataclass(frozen=True)
class Calendar:
    """Local hour, type of day and weekday of consecutive hours: each [hour]."""

    hour: IntArray
    day_type: IntArray
    weekday: IntArray

    @classmethod
    def of(cls, panel: Panel, hours: int) -> "Calendar":
        """Return the calendar of the first ``hours`` hours of a panel; past its calendar the last week repeats."""
        local = panel.local
        index = np.arange(hours)
        over = np.maximum(index - (len(local.hour) - 1), 0)
        index = index - -(-over // 168) * 168
        return cls(local.hour[index], local.day_type[index], local.weekday[index])


def covariance(kernel: Kernel, calendar: Calendar, rows: IntArray, columns: IntArray) -> FloatArray:
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
