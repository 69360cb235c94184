"""Inputs that all simulated series share: Danish calendar, daylight, and a weather that is never published."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feature_pipeline.de35 import PRICE_AREAS
from feature_pipeline.demo import noise
from feature_pipeline.demo.holidays import days_off
from feature_pipeline.demo.noise import Floats, Hours

EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""The first simulated hour; hours are counted from it."""

_YEAR: Final = 365.2425 * 24
_LATITUDE: Final = 56.0
_LONGITUDE: Final = 10.5
_VACATION_SHARE: Final = 0.85
_CHRISTMAS_WEEK_SHARE: Final = 0.6
"""How much of a working day a weekday counts as: from 8 to 28 July, and from 27 to 31 December."""


class Calendar(NamedTuple):
    """Local Danish time of each hour; arrays of shape (hours,).

    Attributes:
        hour: Hour of the local day, 0 to 23.
        work: From 0 (Sunday, holiday) to 1 (working day); a Saturday that is no holiday counts as a working day here.
        saturday: Whether the day is a Saturday.
    """

    hour: NDArray[np.int64]
    work: Floats
    saturday: NDArray[np.bool_]


def calendar(hours: Hours) -> Calendar:
    """Return the local calendar of hours since EPOCH; ``work`` is 0 on holidays, below 1 in July and late December."""
    utc = pl.Series(hours).cast(pl.Int64) * 3_600_000_000 + int(EPOCH.timestamp()) * 1_000_000
    local = utc.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Europe/Copenhagen")
    days = local.dt.date()
    off = [day for year in days.dt.year().unique() for day in days_off(year)]
    weekday, month, day = days.dt.weekday().to_numpy(), days.dt.month().to_numpy(), days.dt.day().to_numpy()
    work = np.ones(len(hours))
    work[(month == 7) & (day >= 8) & (day <= 28)] = _VACATION_SHARE
    work[(month == 12) & (day >= 27)] = _CHRISTMAS_WEEK_SHARE
    work[(weekday == 7) | days.is_in(off).to_numpy()] = 0.0
    return Calendar(local.dt.hour().cast(pl.Int64).to_numpy(), work, weekday == 6)


def winter(hours: Hours) -> Floats:
    """Return the season as an annual cosine: 1 in mid January, -1 in mid July."""
    return np.cos(2 * np.pi * (hours / _YEAR - 15 / 365))


def darkness(hours: Hours) -> Floats:
    """Return darkness from 0 (day) to 1 (night), a logistic function of the sun's height in the middle of the hour."""
    declination = np.radians(-23.44) * np.cos(2 * np.pi * (hours / _YEAR + 10 / 365))
    solar_hour = hours % 24 + 0.5 + _LONGITUDE / 15
    latitude = np.radians(_LATITUDE)
    sine = np.sin(latitude) * np.sin(declination)
    sine = sine - np.cos(latitude) * np.cos(declination) * np.cos(np.pi * solar_hour / 12)
    height = np.degrees(np.arcsin(sine))
    return np.asarray(1 / (1 + np.exp((height + 3) / 1.5)))


def _regional(purpose: str, hours: Hours, *, correlation: float, scales: dict[int, float]) -> Floats:
    """Return noise of variance 1 that is correlated between areas, shape (areas, hours).

    Args:
        purpose: Names the random streams.
        hours: Hours since EPOCH.
        correlation: Between any two areas, 0 to 1.
        scales: Variance shares by time scale in hours; they add up to 1.
    """
    total = np.zeros((len(PRICE_AREAS), len(hours)))
    for scale, share in scales.items():
        common = noise.smooth(noise.keys(f"{purpose}/{scale}", ["DK"]), hours, scale=scale)
        own = noise.smooth(noise.keys(f"{purpose}/{scale}", list(PRICE_AREAS)), hours, scale=scale)
        total += np.sqrt(share) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    return total


def temperature(hours: Hours) -> Floats:
    """Return the outdoor temperature in °C without its daily cycle, shape (areas, hours)."""
    weather = _regional("temperature", hours, correlation=0.92, scales={24 * 12: 0.45, 24 * 4: 0.4, 36: 0.15})
    return 9.0 - 8.0 * winter(hours - 24 * 7) + (3.2 + 0.6 * winter(hours)) * weather


def cold(hours: Hours) -> Floats:
    """Return heating demand, shape (areas, hours): near 0 on a mild day, 1 at 0 °C."""
    return np.log1p(np.exp((15.0 - temperature(hours)) / 3.0)) / 5.0


def wind(hours: Hours) -> Floats:
    """Return standardised wind (mean 0, variance 1), shape (areas, hours)."""
    return _regional("wind", hours, correlation=0.64, scales={6: 0.45, 16: 0.3, 48: 0.25})


def datetimes(hours: Hours) -> pl.Series:
    """Return consecutive hours since EPOCH as UTC datetimes."""
    first = EPOCH + timedelta(hours=int(hours[0]))
    last = EPOCH + timedelta(hours=int(hours[-1]))
    return pl.datetime_range(first, last, "1h", time_unit="us", eager=True)
