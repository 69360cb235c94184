"""Observations as a matrix, hours x series, which everything in this package computes on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from load_forecaster.contracts import checked, typed
from load_forecaster.errors import InvalidArgument
from load_forecaster.metrics import FloatArray
from load_forecaster.schema import HOUR, KEY, OBSERVATIONS, SERIES

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """Values of all series in [start, start + hours), ``values[hour, series]`` in kWh, NaN where there is none.

    ``series`` is sorted. The calendar reaches ``ahead`` hours past the values: hours to be forecast have one too.
    """

    start: datetime
    series: tuple[tuple[str, str], ...]
    values: FloatArray
    timezone: str
    ahead: int

    @property
    def hours(self) -> int:
        """Number of observed hours; also the index of the first hour to be forecast."""
        return len(self.values)

    @property
    def end(self) -> datetime:
        """The first hour that is not in the panel."""
        return self.start + self.hours * HOUR

    @cached_property
    def local(self) -> "LocalTime":
        """Local calendar of every hour of the panel, and of ``ahead`` more."""
        return LocalTime.of(self.start, self.hours + self.ahead, self.timezone)

    def until(self, hours: int, days: int) -> "Panel":
        """Return the last ``days`` days of the panel as it was when only the first ``hours`` hours were observed."""
        first = max(0, hours - 24 * days)
        values = self.values[first:hours]
        return replace(self, start=self.start + first * HOUR, values=values, ahead=self.ahead + self.hours - hours)


@dataclass(frozen=True)
class LocalTime:
    """Local calendar of consecutive hours: hours ahead of UTC, hour of day, weekday (Monday is 0), type of day."""

    offset: IntArray
    hour: IntArray
    weekday: IntArray

    @property
    def day_type(self) -> IntArray:
        """0 for workdays, 1 for Saturdays, 2 for Sundays."""
        return np.clip(self.weekday - 4, 0, 2)

    @classmethod
    def of(cls, start: datetime, hours: int, timezone: str) -> "LocalTime":
        """Return the calendar of the ``hours`` hours from ``start`` in an IANA time zone."""
        utc = pl.datetime_range(start, start + (hours - 1) * HOUR, "1h", time_unit="us", eager=True)
        local = utc.dt.convert_time_zone(timezone)
        offset = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_hours()
        weekday = local.dt.weekday().cast(pl.Int64) - 1
        return cls(offset.to_numpy(), local.dt.hour().cast(pl.Int64).to_numpy(), weekday.to_numpy())


def check_horizon(fh: int) -> None:
    """Raise InvalidArgument unless ``fh`` is from 1 to 168 hours."""
    if isinstance(fh, bool) or not 1 <= fh <= 168:
        raise InvalidArgument(f"fh must be from 1 to 168 hours, not {fh!r}", argument="fh", value=fh)


def check_gap(gap: int) -> None:
    """Raise InvalidArgument unless ``gap`` is from 0 to 1,464 hours (61 days)."""
    if isinstance(gap, bool) or not 0 <= gap <= 1464:
        raise InvalidArgument(f"gap must be from 0 to 1464 hours, not {gap!r}", argument="gap", value=gap)


def observed(history: pl.DataFrame, *, end: datetime) -> pl.DataFrame:
    """Return the rows of ``history`` before ``end``, sorted by key.

    Raises:
        InvalidArgument: If ``end`` is not a full hour in UTC.
        ValidationError: If they are not as ``schema.OBSERVATIONS`` says; a value may be missing.
    """
    if end.tzinfo is None or end.utcoffset() or end != end.replace(minute=0, second=0, microsecond=0):
        raise InvalidArgument(f"end must be a full hour in UTC, not {end!r}", argument="end", value=end)
    rows = typed(history, OBSERVATIONS, name="history").filter(pl.col("datetime_utc") < end).sort(KEY)
    return checked(rows, OBSERVATIONS, name="history", nullable=("energy_consumption",))


def from_observations(history: pl.DataFrame, *, end: datetime, fh: int, days: int, timezone: str) -> Panel:
    """Return the last ``days`` days of ``history`` before ``end``; what is at ``end`` or later is not looked at.

    The panel ends at ``end``, whatever is missing there, and starts at the first hour that any series has.
    Series are those with a row before ``end``, also when it is older than ``days``.
    Infinite values count as missing.

    Raises:
        InvalidArgument: If ``end`` is not a full hour in UTC.
        ValidationError: If they are not as ``schema.OBSERVATIONS`` says; a value may be missing.
    """
    rows = observed(history, end=end)
    oldest = end - timedelta(days=days)
    codes = rows.select(SERIES).unique(maintain_order=True).with_row_index("code")
    rows = rows.filter(pl.col("datetime_utc") >= oldest).join(codes, on=SERIES, how="left", maintain_order="left")
    first = rows["datetime_utc"].min()
    start = first if isinstance(first, datetime) else end - HOUR
    values = np.full(((end - start) // HOUR, codes.height), np.nan)
    position = ((rows["datetime_utc"] - start).dt.total_hours()).to_numpy()
    numbers = rows["energy_consumption"].fill_null(float("nan")).to_numpy()
    values[position, rows["code"].to_numpy()] = np.where(np.isfinite(numbers), numbers, np.nan)
    series = tuple((area, consumer_type) for _, area, consumer_type in codes.iter_rows())
    return Panel(start, series, values, timezone, fh)
