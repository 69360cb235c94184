"""Stamps of a source as hours in UTC; a stamp a few seconds beside a full hour is that hour."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.schema import UTC_HOUR

JITTER: Final = timedelta(seconds=30)
"""Within so much of a full hour, a stamp is that hour. Clocks of meters and the fractions of days that spreadsheets
count in are off by up to seconds; data by the minute are off by more."""
TOLD: Final = timedelta(seconds=1)
"""Stamps that are moved by more are told; less is the rounding of spreadsheets."""

_FORMS: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_SECONDS: Final = "%Y-%m-%d %H:%M:%S%.f"
_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_PARTS: Final = r"^([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[T ]([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)"
_OFFSET: Final = r"([+-])([0-9]{2}):?([0-9]{2})?$"
_MOST_DATES: Final = 1 / 6
"""Share of dates without a time from which on data are by the day; one hour of 24 is midnight."""
_EXCEL_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
_SERIALS: Final = range(20_000, 80_000)
"""Days from 1954 to 2119, as spreadsheets count them."""
_EPOCH_DIGITS: Final = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 18: 10**9, 19: 10**9}
"""Digits of a time since 1970, and its units in a second."""

_EPOCH_YEARS: Final = range(2000, 2100)
"""Other numbers of so many digits mean something else, such as ``202403102300``."""


def exact(values: pl.Series) -> pl.Series:
    """Return the stamps as UTC_HOUR, to the microsecond; null where one cannot be read.

    Text without an offset and naive times are UTC. A date without a time is its midnight if few of the stamps are dates
    (spreadsheets leave the time of midnights out), and else cannot be read: the data are then by the day.
    """
    if isinstance(values.dtype, pl.Datetime):
        aware = values.dt.replace_time_zone("UTC") if values.dtype.time_zone is None else values
        return aware.dt.convert_time_zone("UTC").cast(UTC_HOUR)
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), dtype=UTC_HOUR)
    text = values.str.strip_chars()
    found = pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))
    for form in _FORMS:
        if (found.is_null() & text.is_not_null()).any():
            found = found.zip_with(found.is_not_null(), text.str.to_datetime(form, time_unit="us", strict=False))
    if (found.is_null() & text.is_not_null()).any():
        found = found.zip_with(found.is_not_null(), _unusual(text, found.is_null()))
    return found.dt.replace_time_zone("UTC")


def hours(stamps: pl.Series) -> pl.Series:
    """Return the stamps, those within ``JITTER`` of a full hour as that hour.

    >>> hours(pl.Series(["2024-03-10T21:59:59.997"]).str.to_datetime(time_unit="us"))[0]
    datetime.datetime(2024, 3, 10, 22, 0)
    """
    nearest = stamps.dt.round("1h")
    return nearest.zip_with((stamps - nearest).abs() <= JITTER, stamps)


def explained(stamp: object) -> str:
    """Return what a stamp seems to be that cannot be read, for a message; empty if nothing is known.

    >>> explained("45361.9583333")
    ': a serial number of a spreadsheet (2024-03-10 23:00)'
    >>> explained(1710111600)
    ': a number of seconds since 1970 (2024-03-10 23:00)'
    """
    text = str(stamp).strip()
    if re.fullmatch(r"[0-9]{5}([.,][0-9]+)?", text) and int(text[:5]) in _SERIALS:
        when = _EXCEL_EPOCH + timedelta(days=float(text.replace(",", ".")))
        return f": a serial number of a spreadsheet ({_minute(when)})"
    whole = re.fullmatch(r"([0-9]+)(\.0*)?", text)
    if whole and len(whole[1]) in _EPOCH_DIGITS:
        scale = _EPOCH_DIGITS[len(whole[1])]
        when = datetime.fromtimestamp(int(whole[1]) / scale, UTC)
        if when.year in _EPOCH_YEARS:
            unit = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}[scale]
            return f": a number of {unit} since 1970 ({_minute(when)})"
    if re.match(_DATE, text):
        return ": a date without an hour, as of data by the day"
    if re.match(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}", text):
        return ": day and month could be confused"
    return ""


def _minute(when: datetime) -> str:
    return f"{when + timedelta(seconds=30):%Y-%m-%d %H:%M}"


def _unusual(text: pl.Series, unread: pl.Series) -> pl.Series:
    """Return the rarer forms: parts of seconds, slashes, offsets, dates without a time; null elsewhere."""
    rest = pl.DataFrame({"text": text.set(~unread, None)})
    parts = pl.col("text").str.extract_groups(_PARTS)
    field = [parts.struct.field(str(number)) for number in range(1, 5)]
    base = pl.format(
        "{}-{}-{} {}",
        field[0],
        field[1].str.zfill(2),
        field[2].str.zfill(2),
        # ISO 8601 writes the end of a day as 24:00.
        (pl.when(field[3].str.count_matches(":") == 1).then(field[3] + ":00").otherwise(field[3])).str.replace(
            r"^24:00:00$", "00:00:00"
        ),
    )
    next_day = pl.when(field[3].str.contains("^24:")).then(1).otherwise(0)
    tail = pl.col("text").str.replace(_PARTS, "").str.strip_chars()
    rest = rest.rechunk().with_columns(base=base.str.replace(",", ".", literal=True), tail=tail, days=next_day)
    offset = pl.col("tail").str.extract_groups(f"^{_OFFSET}")
    minutes = 60 * offset.struct.field("2").cast(pl.Int64) + offset.struct.field("3").cast(pl.Int64).fill_null(0)
    signed = pl.when(offset.struct.field("1") == "-").then(-minutes).otherwise(minutes)
    zulu = pl.col("tail").is_in(["", "Z", "z", "UTC"])
    shift = pl.when(zulu).then(pl.lit(0, dtype=pl.Int64)).otherwise(signed)
    read = pl.col("base").str.to_datetime(_SECONDS, time_unit="us", strict=False) + pl.duration(
        days="days", minutes=-shift
    )
    dates = text.str.contains(_DATE).fill_null(value=False)
    if dates.sum() <= _MOST_DATES * len(text.drop_nulls()):
        read = pl.coalesce(read, pl.col("text").str.to_datetime("%Y-%m-%d", time_unit="us", strict=False))
    return rest.select(read.alias(text.name)).to_series()
