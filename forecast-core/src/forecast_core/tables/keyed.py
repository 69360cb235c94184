"""Tables in which all rows of one key are replaced together."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import polars as pl

from forecast_core.tables.delta import Change, Snapshot, Table

Value = int | str | date | datetime


def replace(
    table: Table,
    rows: pl.DataFrame,
    *,
    key: Mapping[str, Value],
    ordinal: str | None = None,
    makers: Sequence[str] = (),
) -> bool:
    """Make ``rows`` the only rows of ``key`` in one commit; writers of other keys lose nothing.

    Args:
        table: The table to change.
        rows: All rows of the key, at least one, each with the key's values in its columns.
        key: The columns and values that name the rows to replace.
        ordinal: A column of the table, not of ``rows``, that numbers the commits; it is no part of the content.
        makers: Columns that say how the rows came about, not what they are: those of equal rows stay as first stored.

    Returns:
        Whether there was anything to change: the same rows again, in any order, commit nothing.
    """

    def plan(snapshot: Snapshot) -> tuple[bool, Change | None]:
        stored = snapshot.rows.filter(*(pl.col(name) == value for name, value in key.items())).collect()
        if same_rows(stored.select(rows.columns).drop(makers), rows.drop(makers)):
            return False, None
        added = {} if ordinal is None else {ordinal: pl.lit(snapshot.version + 1, pl.Int64)}
        return True, Change(rows.with_columns(**added), replacing=None if stored.is_empty() else sql(key))

    return table.commit(plan)


def remove(table: Table, *, key: Mapping[str, Value]) -> int:
    """Remove all rows of ``key`` in one commit; return how many there were. Their files stay until a vacuum."""
    if table.snapshot() is None:
        return 0

    def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
        stored = snapshot.rows.filter(*(pl.col(name) == value for name, value in key.items())).collect()
        return stored.height, None if stored.is_empty() else Change(stored.clear(), replacing=sql(key))

    return table.commit(plan)


def same_rows(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Whether two frames have the same rows, in any order, floating-point numbers compared bit by bit."""
    return left.height == right.height and _canonical(left).equals(_canonical(right), null_equal=True)


def sql(key: Mapping[str, Value]) -> str:
    """Return the SQL condition for the rows of ``key``.

    >>> sql({"dataset": "it's", "version": 1})
    "dataset = 'it''s' AND version = 1"
    """
    return " AND ".join(f"{name} = {_literal(value)}" for name, value in key.items())


def _literal(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else value.isoformat()
    return "'" + text.replace("'", "''") + "'"


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    bits = frame.with_columns(pl.col(pl.Float64).reinterpret(dtype=pl.Int64))
    return bits.sort(bits.columns)
