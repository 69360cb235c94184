"""The seasonal naive forecast, which every model has to beat."""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from load_forecaster.cleaning import cleaned
from load_forecaster.errors import InvalidArgument
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel, check_gap, check_horizon, from_observations
from load_forecaster.schema import HOUR, OBSERVATIONS

JUDGED_DAYS: Final = 90
"""Older values are repeated for silent series only, and taken as they are."""


def naive_values(values: FloatArray, *, fh: int, season: int, gap: int = 0) -> FloatArray:
    """Return [lead, series]: the newest value observed a whole number of seasons before; NaN where there is none.

    Args:
        values: Observations [hour, series]; NaN where there is none.
        fh: Hours to forecast.
        season: Hours after which values are expected to repeat.
        gap: Hours between the last observation and lead 0.

    >>> naive_values(np.array([[1.0], [2.0], [np.nan], [4.0]]), fh=3, season=2).ravel()
    array([1., 4., 1.])
    >>> naive_values(np.array([[1.0], [2.0], [np.nan], [4.0]]), fh=2, season=2, gap=1).ravel()
    array([4., 1.])
    """
    hours, series = values.shape
    forecast = np.full((fh, series), np.nan)
    for lead in range(fh):
        phase = values[(hours + gap + lead) % season : hours : season][::-1]
        if len(phase):
            newest = np.argmax(~np.isnan(phase), axis=0)
            forecast[lead] = phase[newest, np.arange(series)]
    return forecast


def plausible(panel: Panel) -> FloatArray:
    """Return the values [hour, series] of a panel; of the last ``JUDGED_DAYS`` days only those that are plausible."""
    recent = panel.until(panel.hours, JUDGED_DAYS)
    return np.concatenate([panel.values[: panel.hours - recent.hours], cleaned(recent).known])


def seasonal_naive(history: pl.DataFrame, *, end: datetime, fh: int, season: int = 24, gap: int = 0) -> pl.DataFrame:
    """Return, for each forecast hour, the newest value that was observed a whole number of seasons before it.

    Implausible values of the last ``JUDGED_DAYS`` days are not repeated (``plausibility``).

    Args:
        history: Rows of ``schema.OBSERVATIONS``; those at ``end`` or later are not looked at.
        end: The first hour that is not observed, a full hour in UTC.
        fh: Hours to forecast, 1 to 168.
        season: Hours after which values are expected to repeat.
        gap: Hours between the last observation and the first forecast hour.

    Returns:
        Columns of ``schema.OBSERVATIONS``, sorted by key; the value is null where a series has none to repeat.

    Raises:
        InvalidArgument: If an argument is out of range.
        ValidationError: If ``history`` is not as its schema says.
    """
    check_horizon(fh)
    check_gap(gap)
    if season < 1:
        raise InvalidArgument(f"season must be at least 1 hour, not {season}", argument="season", value=season)
    panel = from_observations(history, end=end, fh=gap + fh, days=3660, timezone="UTC")
    values = naive_values(plausible(panel), fh=fh, season=season, gap=gap)
    return long_frame(panel, {"energy_consumption": values}, gap=gap)


def long_frame(panel: Panel, columns: dict[str, FloatArray], *, gap: int = 0) -> pl.DataFrame:
    """Return matrices [lead, series] from ``gap`` hours after ``panel`` on as rows, sorted by key; NaN becomes null."""
    fh = len(next(iter(columns.values())))
    first = panel.end + gap * HOUR
    hours = pl.datetime_range(first, first + (fh - 1) * HOUR, HOUR, time_unit="us", eager=True)
    count = len(panel.series)
    keys = {
        "area": pl.Series([area for area, _ in panel.series], dtype=pl.String).repeat_by(fh).explode(),
        "consumer_type": pl.Series([kind for _, kind in panel.series], dtype=pl.String).repeat_by(fh).explode(),
        "datetime_utc": pl.concat([hours] * count) if count else hours.clear(),
    }
    numbers = {name: pl.Series(matrix.T.ravel(), dtype=pl.Float64).fill_nan(None) for name, matrix in columns.items()}
    return pl.DataFrame({**keys, **numbers}).cast({"datetime_utc": OBSERVATIONS["datetime_utc"]})
