"""From a source's own columns to those of the schema of observations, with their types."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from feature_pipeline.datasets import Dataset, OneArea, Parts, lacking
from feature_pipeline.extract import parts
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import OBSERVATIONS, UTC_HOUR

_EXAMPLES: Final = 3
_TIME_FORMATS: Final = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_KWH_DECIMALS: Final = 6
"""To which computed energies are rounded: the last bits of a sum or product depend on the order of the rows."""


@dataclass(frozen=True)
class Extraction:
    """What a source had for a window.

    Attributes:
        dataset: What the source's columns mean; its name keys the data in the feature store.
        frame: Rows in the columns and types of ``schema.OBSERVATIONS``, in any order, nulls and repeated keys too.
        extent: First and last hour that the source has at all, where it can say.
        warnings: What a user should know about the rows.
    """

    dataset: Dataset
    frame: pl.DataFrame
    extent: tuple[datetime, datetime] | None = None
    warnings: tuple[str, ...] = ()


def text_columns(records: list[Any], dataset: Dataset, *, source: str) -> pl.DataFrame:
    """Return the dataset's columns of the records of an answer as text, just as they were sent.

    Raises:
        SourceError: If a record is not an object, lacks a column, or has a value that is neither text nor number.
    """
    absent = next((row for row in records if not isinstance(row, dict) or not row.keys() >= set(dataset.columns)), None)
    if isinstance(absent, dict):
        raise SourceError(lacking(dataset, list(absent), source=source), source=source, columns=list(absent))
    if absent is not None:
        raise SourceError(f"the records of {source} are not rows of named values: {absent!r:.80}", source=source)
    columns = {name: [_text(row[name], name, source=source) for row in records] for name in dataset.columns}
    return pl.DataFrame(columns, schema=dict.fromkeys(dataset.columns, pl.String()))


def _text(value: Any, name: str, *, source: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    raise SourceError(
        f"{source} has a value in column {name} that is neither text nor a number: {value!r:.80}.", source=source
    )


def typed(frame: pl.DataFrame, dataset: Dataset, *, source: str, decimal_comma: bool = False) -> pl.DataFrame:
    """Return the dataset's columns of ``frame`` under the names of OBSERVATIONS; the order of rows is kept.

    A dataset in parts has its numbers in a further column, ``parts.PART``.

    Raises:
        SourceError: If a column is absent, or a value is not of its column's type.
    """
    if not set(dataset.columns) <= set(frame.columns):
        raise SourceError(lacking(dataset, frame.columns, source=source), source=source, columns=frame.columns)
    hours, kinds = _hours(frame[dataset.time]), _names(frame[dataset.consumer_type])
    energy = _energy(frame[dataset.energy], decimal_comma=decimal_comma)
    converted = [hours, kinds, energy]
    expected = [_TIME, _CODE, _NUMBER]
    if not isinstance(dataset.area, OneArea):
        converted.append(_names(frame[dataset.area.column]))
        expected.append(_CODE)
    for after, what in zip(converted, expected, strict=True):
        _refuse_lost_values(frame[after.name], after, what, source=source)
    if dataset.kwh_per_unit != 1:
        energy = (energy * dataset.kwh_per_unit).round(_KWH_DECIMALS)
    columns = {"consumer_type": kinds, "datetime_utc": hours, "energy_consumption": energy}
    if isinstance(dataset.area, OneArea):
        return pl.DataFrame({"area": [dataset.area.area] * frame.height, **columns}, schema=OBSERVATIONS)
    if isinstance(dataset.area, Parts):
        numbers = parts.numbers(converted[3], source=source)
        area = parts.areas(numbers, dataset.area, source=source)
        return pl.DataFrame({"area": area, **columns, parts.PART: numbers})
    return pl.DataFrame({"area": converted[3], **columns}, schema=OBSERVATIONS)


def summed(frame: pl.DataFrame, dataset: Dataset, *, source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return ``frame`` (as ``typed`` gives it) as OBSERVATIONS, parts summed to areas, and warnings about the sums.

    Raises:
        SourceError: If a part has two values for one hour.
    """
    if not isinstance(dataset.area, Parts):
        return frame, ()
    whole, warnings = parts.summed(frame, dataset.area, source=source)
    return whole.with_columns(pl.col("energy_consumption").round(_KWH_DECIMALS)), warnings


def _refuse_lost_values(before: pl.Series, after: pl.Series, expected: str, *, source: str) -> None:
    """Raise if a value that was there (blank text is none) became null in conversion."""
    there = before.str.strip_chars() != "" if before.dtype == pl.String else before.is_not_null()
    lost = (there & after.is_null()).arg_true()
    if len(lost):
        rows = ", ".join(f"row {row + 1}: {before[row]!r}" for row in lost[:_EXAMPLES])
        raise SourceError(
            f"{source} has {len(lost)} values in column {before.name} that are not {expected} ({rows}). "
            "Correct or remove these rows.",
            source=source,
            column=before.name,
            values=len(lost),
        )


_TIME: Final = "a time like 2023-01-20T15:00:00"
_CODE: Final = "a code like 111"
_NUMBER: Final = "a number"


def _hours(values: pl.Series) -> pl.Series:
    """Times as UTC: text without an offset and naive times are UTC already."""
    if isinstance(values.dtype, pl.Datetime):
        aware = values.dt.replace_time_zone("UTC") if values.dtype.time_zone is None else values
        return aware.dt.convert_time_zone("UTC").cast(UTC_HOUR)
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), dtype=UTC_HOUR)
    text = values.str.strip_chars().str.replace(r"(Z|[+-]00:?00)$", "")
    parsed = [text.str.to_datetime(form, time_unit="us", strict=False) for form in _TIME_FORMATS]
    return pl.select(pl.coalesce(parsed).dt.replace_time_zone("UTC").alias(values.name)).to_series()


def _names(values: pl.Series) -> pl.Series:
    """Codes as text; a whole number is its digits."""
    if values.dtype.is_float():
        values = values.cast(pl.Int64, strict=False)
    text = values.cast(pl.String, strict=False).str.strip_chars()
    return text.set(text == "", None)


def _energy(values: pl.Series, *, decimal_comma: bool) -> pl.Series:
    """Numbers as Float64; what is not a finite number becomes null."""
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        if decimal_comma and values.str.contains(",", literal=True).any():
            # With a comma for decimals a point would be a separator of thousands: 1.234 is not to be read as 1.2.
            values = values.set(values.str.contains(".", literal=True), "ambiguous").str.replace(",", ".", literal=True)
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)
