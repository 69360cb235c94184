"""What moves all series together: the Danish calendar, daylight, and a weather that is in no data set."""

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


class Calendar(NamedTuple):
    """Local Danish time of each hour, shape (hours,)."""

    hour: NDArray[np.int64]
    """Hour of the local day."""
    work: Floats
    """How much the day is a working day, 0 to 1; Saturdays count as 1 where they are no holiday."""
    saturday: NDArray[np.bool_]


def calendar(hours: Hours) -> Calendar:
    """Return the local calendar: holidays are days off, July and the days after Christmas are half-hearted."""
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
    """Return the season as a wave: 1 in mid January, -1 in mid July."""
    return np.cos(2 * np.pi * (hours / _YEAR - 15 / 365))


def darkness(hours: Hours) -> Floats:
    """Return 0 in daylight to 1 at night, by the sun's height over Denmark in the middle of each hour."""
    declination = np.radians(-23.44) * np.cos(2 * np.pi * (hours / _YEAR + 10 / 365))
    solar_hour = hours % 24 + 0.5 + _LONGITUDE / 15
    latitude = np.radians(_LATITUDE)
    sine = np.sin(latitude) * np.sin(declination)
    sine = sine - np.cos(latitude) * np.cos(declination) * np.cos(np.pi * solar_hour / 12)
    height = np.degrees(np.arcsin(sine))
    return np.asarray(1 / (1 + np.exp((height + 3) / 1.5)))


def _regional(purpose: str, hours: Hours, *, correlation: float, scales: dict[int, float]) -> Floats:
    """Return noise of variance 1, shape (areas, hours), correlated so much between the areas.

    ``scales`` gives the share of the variance at each scale in hours; the shares add up to 1.
    """
    total = np.zeros((len(PRICE_AREAS), len(hours)))
    for scale, share in scales.items():
        common = noise.smooth(noise.keys(f"{purpose}/{scale}", ["DK"]), hours, scale=scale)
        own = noise.smooth(noise.keys(f"{purpose}/{scale}", list(PRICE_AREAS)), hours, scale=scale)
        total += np.sqrt(share) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    return total


def temperature(hours: Hours) -> Floats:
    """Return a temperature in °C as buildings feel it (without its daily wave), shape (areas, hours)."""
    weather = _regional("temperature", hours, correlation=0.92, scales={24 * 12: 0.45, 24 * 4: 0.4, 36: 0.15})
    return 9.0 - 8.0 * winter(hours - 24 * 7) + (3.2 + 0.6 * winter(hours)) * weather


def cold(hours: Hours) -> Floats:
    """Return the need of heating, shape (areas, hours): near 0 on a mild day, 1 at 0 °C."""
    return np.log1p(np.exp((15.0 - temperature(hours)) / 3.0)) / 5.0


def wind(hours: Hours) -> Floats:
    """Return the wind, of mean 0 and variance 1, shape (areas, hours)."""
    return _regional("wind", hours, correlation=0.64, scales={6: 0.45, 16: 0.3, 48: 0.25})


def datetimes(hours: Hours) -> pl.Series:
    """Return the hours as UTC datetimes."""
    first = EPOCH + timedelta(hours=int(hours[0]))
    last = EPOCH + timedelta(hours=int(hours[-1]))
    return pl.datetime_range(first, last, "1h", time_unit="us", eager=True)
