"""Checks of arguments and frames before anything is stored."""

import re

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR, Frame
from forecast_core.contracts.window import DATETIME_FORMAT, Window, as_utc
from load_forecaster.checks import is_full_hour, repeated

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def dataset_name(name: str) -> str:
    """Return ``name`` if it can name a folder everywhere.

    Raises:
        InvalidArgument: If it has other characters than letters, digits, ``_``, ``.`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"a dataset is named by letters, digits, '_', '.' and '-', beginning with a letter or digit, not {name!r}",
            dataset=name,
        )
    return name


def version_number(argument: str, value: int) -> int:
    """Return ``value`` if it is a version: a whole number from 1 on.

    Raises:
        InvalidArgument: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgument(f"{argument} must be a whole number from 1 on, not {value!r}", argument=argument)
    return value


def plain_window(window: Window) -> Window:
    """Return the same window with plain UTC bounds, whatever zone or subclass of datetime they had."""
    return Window(as_utc(window.start), as_utc(window.end))


def strict_frame(frame: pl.DataFrame, expected: Frame) -> pl.DataFrame:
    """Return ``frame`` if it has exactly the columns and types of ``expected``, in that order, and clean rows.

    Raises:
        InvalidArgument: If the columns differ, a value is missing, NaN or infinite, or a key comes twice.
    """
    if dict(frame.schema) != dict(expected) or frame.columns != expected.names():
        raise InvalidArgument(f"expected the columns {dict(expected)}, got {dict(frame.schema)}", schema=expected)
    for name, dtype in expected.items():
        if name not in expected.nullable and frame[name].null_count():
            raise InvalidArgument(f"{frame[name].null_count()} rows have no {name}", column=name)
        if dtype == pl.Float64 and not frame[name].drop_nulls().is_finite().all():
            raise InvalidArgument(f"{name} must be a finite number in every row, not NaN or infinite", column=name)
    twice = repeated(frame, expected.key)
    if not twice.is_empty():
        first = twice.select(expected.key).row(0)
        raise InvalidArgument(f"{twice.height} rows share their key, the first is {first}", key=first)
    return frame


def within(frame: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return ``frame`` if every ``datetime_utc`` is a full hour of ``window``.

    Raises:
        InvalidArgument: If one is not.
    """
    hour = pl.col("datetime_utc")
    outside = frame.filter((hour < window.start) | (hour >= window.end) | ~is_full_hour("datetime_utc"))
    if not outside.is_empty():
        raise InvalidArgument(
            f"{outside.height} rows are not at a full hour from {window.start:{DATETIME_FORMAT}} up to "
            f"{window.end - HOUR:{DATETIME_FORMAT}} UTC, the first is {outside['datetime_utc'][0]}",
            window=window,
        )
    return frame
