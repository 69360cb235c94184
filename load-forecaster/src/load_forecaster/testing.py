"""Simulated load of many series, for tests and examples: a history without a data source."""

from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from load_forecaster.errors import InvalidArgument
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import LocalTime
from load_forecaster.schema import HOUR, KEY, OBSERVATIONS

FIRST: Final = datetime(2022, 1, 1, tzinfo=UTC)
"""The first simulated hour: every hour has the same values in all windows, because noise is drawn from here on."""

KINDS: Final = ("111", "121", "215", "310", "431", "450")
MEMORY: Final = 0.97
"""Autocorrelation of the noise from hour to hour."""


def observations(start: datetime, end: datetime, *, series: int = 8) -> pl.DataFrame:
    """Return the ``schema.OBSERVATIONS`` of [start, end), sorted by key: up to 12 series in two areas, no hour missing.

    Each series has a level of its own, a pattern of the local day and week, and noise that persists for a day; part of
    the noise is common to all series.

    >>> observations(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC), series=2).height
    48

    Raises:
        InvalidArgument: If ``start`` is before ``FIRST``, or ``series`` is not from 1 to 12.
    """
    keys = [(area, kind) for kind in KINDS for area in ("DK1", "DK2")]
    if start < FIRST or not 1 <= series <= len(keys):
        raise InvalidArgument(
            f"start must be from {FIRST} on, series from 1 to {len(keys)}", start=start, series=series
        )
    hours = (end - FIRST) // HOUR
    local = LocalTime.of(FIRST, hours, "Europe/Copenhagen")
    common = _noise(hours, seed=0)
    times = pl.datetime_range(FIRST, end, HOUR, closed="left", time_unit="us", eager=True)
    parts = []
    for number, (area, kind) in enumerate(keys[:series]):
        daily = np.sin(2 * np.pi * (local.hour - 5 - 2 * (number // 2)) / 24)
        weekly = np.where(local.day_type > 0, 0.75 + 0.05 * (number % 5), 1.0)
        noise = 0.03 * common + 0.02 * _noise(hours, seed=number + 1)
        values = 500.0 * 2.3**number * (1 + 0.3 * daily) * weekly * np.exp(noise)
        frame = {"area": area, "consumer_type": kind, "datetime_utc": times, "energy_consumption": values.round(3)}
        parts.append(pl.DataFrame(frame).filter(pl.col("datetime_utc") >= start))
    return pl.concat(parts).cast(OBSERVATIONS).sort(KEY)


def _noise(hours: int, *, seed: int) -> FloatArray:
    """Return autocorrelated noise [hour] with a standard deviation of about one."""
    shocks = np.random.default_rng(seed).standard_normal(hours) * np.sqrt(1 - MEMORY**2)
    noise = np.zeros(hours)
    for hour in range(1, hours):
        noise[hour] = MEMORY * noise[hour - 1] + shocks[hour]
    return noise
