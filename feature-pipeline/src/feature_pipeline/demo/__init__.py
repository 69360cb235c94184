"""``demo://denmark``: simulated hourly electricity consumption, for trying the system without any data.

These are not measurements. The series have the names of the real Danish ones (``de35.SERIES_DE35``) and levels of
about the same size, but every value is computed: a seeded, pure function of the series, the hour and ``known_at``. The
shares of noise, weather and calendar were chosen so that the data are about as hard to forecast as the real ones: the
24-hour seasonal naive forecast has a WAPE of .09 to .12 in each fortnight of 2020 to 2025, .100 on average; the mean of
the last three weeks at the same hour of the week has .080. As in reality, no column contains the weather.

value = level x shape of the day x season x heating x light x exp(wind + noise); ``feature_pipeline.demo.kinds`` has the
numbers.
"""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from feature_pipeline.de35 import PRICE_AREAS, SERIES_DE35
from feature_pipeline.demo import drivers, noise, publication
from feature_pipeline.demo.drivers import EPOCH
from feature_pipeline.demo.kinds import CONSUMERS, KINDS, Kind
from feature_pipeline.demo.noise import Floats, Hours
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.window import Window, as_utc, floor_hour

__all__ = ["EPOCH", "observations"]

_NAMES: Final = tuple("/".join(series) for series in SERIES_DE35)
_NOISE_VARIANCE_AT: Final = {4: 0.25, 20: 0.30, 24 * 5: 0.25}
"""Variance shares of a series' own noise by time scale in hours; the rest is white noise."""
_WHITE_SHARE: Final = 1 - sum(_NOISE_VARIANCE_AT.values())
_INDIVIDUALITY: Final = 0.06
"""Standard deviation of a series' daily shape from that of its kind, as a fraction."""
_MEAN_COLD: Final = 0.5
"""``drivers.cold`` at which heating adds nothing to the level."""


def observations(start: datetime, end: datetime, *, known_at: datetime) -> pl.DataFrame:
    """Return the simulated consumption of [start, end) as known at ``known_at``.

    A value is published one hour after the start of its hour; 0.1 % of the values are never published. 1 % are first
    published with an error and restated 16 to 40 days after their hour. Any split of a window gives the same rows.

    Args:
        start: First hour, a full hour in UTC, not before 2020.
        end: The hour after the last, a full hour in UTC.
        known_at: Publications and restatements after this time do not count.

    Returns:
        Rows of ``schema.OBSERVATIONS`` in whole kWh, sorted by its key; no rows if nothing was published by then.

    Raises:
        InvalidArgument: If the window is empty, not of full hours, or begins before 2020.
    """
    window = Window(as_utc(start), as_utc(end))
    if window.start < EPOCH:
        raise InvalidArgument(
            f"demo://denmark begins at {EPOCH:%Y-%m-%d %H:%M} UTC; ask for a window from there on, "
            f"not from {window.start:%Y-%m-%d %H:%M}",
            start=window.start,
            earliest=EPOCH,
        )
    known = (floor_hour(known_at) - EPOCH) // HOUR
    stop = min((window.end - EPOCH) // HOUR, known - publication.DELAY_HOURS + 1)
    hours = np.arange((window.start - EPOCH) // HOUR, stop, dtype=np.int64)
    return _frame(hours, known) if len(hours) else OBSERVATIONS.to_frame()


def _frame(hours: Hours, known: int) -> pl.DataFrame:
    """Return the rows of consecutive ``hours`` (at least one) as known at hour ``known``; both count from EPOCH."""
    names = list(_NAMES)
    values = _consumption(hours) * publication.first_deviation(names, hours, known=known)
    series = np.repeat(np.arange(len(SERIES_DE35)), len(hours))
    frame = pl.DataFrame(
        {
            "area": pl.Series([area for area, _ in SERIES_DE35]).gather(series),
            "consumer_type": pl.Series([consumer_type for _, consumer_type in SERIES_DE35]).gather(series),
            "datetime_utc": drivers.datetimes(hours).gather(np.tile(np.arange(len(hours)), len(SERIES_DE35))),
            # Without rounding, the last bits of exp would make the data differ between processors.
            "energy_consumption": np.rint(values).ravel(),
        },
        schema=OBSERVATIONS,
    )
    return frame.filter(pl.Series(publication.is_published(names, hours).ravel()))


def _consumption(hours: Hours) -> Floats:
    """Return consumption in kWh after all restatements, shape (series, hours)."""
    kinds = [KINDS[CONSUMERS[consumer_type][0]] for _, consumer_type in SERIES_DE35]
    areas = np.array([PRICE_AREAS.index(area) for area, _ in SERIES_DE35])
    levels = np.array([CONSUMERS[consumer_type][1 + PRICE_AREAS.index(area)] for area, consumer_type in SERIES_DE35])

    def each(attribute: str) -> Floats:
        return np.array([getattr(kind, attribute) for kind in kinds], dtype=np.float64)[:, None]

    values = levels[:, None] * _day_shape(kinds, hours)
    values *= 1 + each("season") * drivers.winter(hours)
    values *= 1 + each("heating") * (drivers.cold(hours)[areas] - _MEAN_COLD)
    values *= 1 + each("light") * (drivers.darkness(hours) - 0.5)
    values *= np.exp(each("wind") * drivers.wind(hours)[areas] + each("noise") * _own_noise(hours))
    return values


def _day_shape(kinds: list[Kind], hours: Hours) -> Floats:
    """Return each hour's ratio to the mean of a working day, by local time, shape (series, hours)."""
    local = drivers.calendar(hours)
    own = 1 + _INDIVIDUALITY * noise.normal(noise.keys("shape", list(_NAMES))[:, None], np.arange(8))
    workday = _by_hour(np.array([kind.workday for kind in kinds]) * own)
    day_off = _by_hour(np.array([kind.day_off for kind in kinds]) * own)
    saturday = np.array([kind.saturday for kind in kinds])[:, None]
    work = local.work * np.where(local.saturday, saturday, 1.0)
    shape = work * workday[:, local.hour] + (1 - work) * day_off[:, local.hour]
    return np.asarray(shape / workday.mean(axis=1, keepdims=True))


def _by_hour(eight: Floats) -> Floats:
    """Interpolate eight three-hourly values linearly to 24 hours, around midnight: (series, 8) to (series, 24)."""
    share = np.array([0, 1, 2]) / 3
    between = eight[:, :, None] * (1 - share) + np.roll(eight, -1, axis=1)[:, :, None] * share
    return np.asarray(between).reshape(len(eight), 24)


def _own_noise(hours: Hours) -> Floats:
    """Return noise of mean 0 and variance 1 that is independent between series, shape (series, hours)."""
    names = list(_NAMES)
    total = np.sqrt(_WHITE_SHARE) * noise.normal(noise.keys("white", names)[:, None], hours)
    for scale, share in _NOISE_VARIANCE_AT.items():
        total += np.sqrt(share) * noise.smooth(noise.keys(f"noise/{scale}", names), hours, scale=scale)
    return np.asarray(total)
