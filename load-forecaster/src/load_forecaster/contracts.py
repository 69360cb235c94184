"""Frames checked against their declaration in ``schema``: columns, types, missing values, full hours and keys."""

from collections.abc import Collection

import polars as pl

from load_forecaster.checks import is_full_hour, repeated
from load_forecaster.errors import ValidationError
from load_forecaster.schema import Frame


def typed(frame: pl.DataFrame, declared: Frame, *, name: str) -> pl.DataFrame:
    """Return the declared columns of a frame in their order and with their types; other columns are left out.

    Whole numbers and Float32 become Float64; times become microseconds in UTC, naive ones are taken as UTC; categories
    become String.

    Args:
        frame: The rows.
        declared: What they must be.
        name: What messages call the frame.

    Raises:
        ValidationError: If a column is missing or has another type.
    """
    if missing := [column for column in declared if column not in frame.columns]:
        raise ValidationError(f"{name} needs the columns {list(declared)}; missing are {missing}", missing=missing)
    for column, wanted in declared.items():
        found = frame.schema[column]
        if not _fits(found, wanted):
            meaning = declared.meaning.get(column, "")
            raise ValidationError(f"{name}: {column} ({meaning}) must be {wanted}, not {found}", column=column)
    return frame.select(declared.names()).cast(declared)


def checked(frame: pl.DataFrame, declared: Frame, *, name: str, nullable: Collection[str] = ()) -> pl.DataFrame:
    """Return what ``typed`` does, if no value is missing, every time is a full hour and no two rows have the same key.

    Args:
        frame: The rows; checking is fastest if they are sorted by key.
        declared: What they must be.
        name: What messages call the frame.
        nullable: Columns in which a value may be missing, beside those that are declared so.

    Raises:
        ValidationError: If they are not. The message says how many rows are wrong, and how, and shows the first.
    """
    rows = typed(frame, declared, name=name)
    for column in declared:
        if column not in declared.nullable and column not in nullable and rows[column].null_count():
            raise _wrong(rows.filter(pl.col(column).is_null()), f"{name} has no {column}", declared)
        if isinstance(declared[column], pl.Datetime) and not rows.select(is_full_hour(column).all()).item():
            raise _wrong(rows.filter(~is_full_hour(column)), f"{name}: {column} is not a full hour in UTC", declared)
    twice = repeated(rows, declared.key)
    if not twice.is_empty():
        key = ", ".join(declared.key)
        raise _wrong(twice, f"{name} must have one value per {key}, but another row has the same", declared)
    return rows


def _fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether values of a type can be taken as the wanted one without guessing."""
    if isinstance(wanted, pl.Float64):
        return found.is_numeric() or isinstance(found, pl.Null)
    if isinstance(wanted, pl.Datetime):
        return isinstance(found, pl.Datetime) and found.time_zone in (None, wanted.time_zone)
    return isinstance(found, (pl.String, pl.Categorical, pl.Enum)) if isinstance(wanted, pl.String) else found == wanted


def _wrong(rows: pl.DataFrame, what: str, declared: Frame) -> ValidationError:
    first = rows.select(declared.key or declared.names()).row(0, named=True)
    shown = ", ".join(f"{column} {value}" for column, value in first.items())
    return ValidationError(f"{what} in {rows.height} rows; the first is {shown}", rows=rows.height, **first)
