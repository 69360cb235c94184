"""Checks of keys and hours that every border of the system shares."""

from collections.abc import Sequence

import polars as pl

from load_forecaster.schema import HOUR


def repeated(frame: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return the rows whose ``key`` another row has, too; no row if every key is unique.

    >>> repeated(pl.DataFrame({"hour": [1, 2, 1]}), ["hour"]).height
    2
    """
    keys = frame.select(key)
    return frame.clear() if _ascends(keys) else frame.filter(keys.is_duplicated())


def is_full_hour(column: str) -> pl.Expr:
    """Whether a time is the start of an hour."""
    return pl.col(column) == pl.col(column).dt.truncate(HOUR)


def _ascends(keys: pl.DataFrame) -> bool:
    """Whether every row is greater than the row before it; for a sorted frame much cheaper than ``is_duplicated``."""
    above, below = keys.head(-1), keys.tail(-1)
    equal, greater = pl.Series([True]), pl.Series([False])
    for name in keys.columns:
        greater = greater | (equal & (below[name] > above[name]))
        equal = equal & (below[name] == above[name])
    return bool(greater.all())
