"""The frame that every source gives: the API's columns that matter, with their types."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.errors import SourceError
from forecast_core.schema import UTC_HOUR

RAW: Final = pl.Schema(
    {
        "HourUTC": UTC_HOUR,
        "PriceArea": pl.String(),
        "ConsumerType_DE35": pl.String(),
        "TotalCon": pl.Float64(),
    }
)
"""Columns of Energi Data Service that the pipeline uses; a source may have more (``HourDK``), which are left out."""

DATASET: Final = "ConsumptionDE35Hour"
"""The name under which the API publishes these columns."""

_EXAMPLES: Final = 3
_TIME_FORMATS: Final = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Extraction:
    """What a source had for a window.

    Attributes:
        dataset: Name that keys the data in the feature store.
        frame: Rows in the types of ``RAW``.
        extent: First and last hour that the source has at all, where it can say.
    """

    dataset: str
    frame: pl.DataFrame
    extent: tuple[datetime, datetime] | None = None


def typed(frame: pl.DataFrame, *, source: str, decimal_comma: bool = False) -> pl.DataFrame:
    """Return the columns of ``RAW``, converted to its types; the order of rows is kept.

    Raises:
        SourceError: If a column is absent, or a value is not of its column's type.
    """
    absent = [name for name in RAW if name not in frame.columns]
    if absent:
        raise SourceError(
            f"{source} lacks the columns {', '.join(absent)}: "
            f"expected {', '.join(RAW)}, found {', '.join(frame.columns)}. "
            "Use data in the columns of the dataset ConsumptionDE35Hour of Energi Data Service.",
            source=source,
            absent=absent,
        )
    converted = frame.select(
        _hours(frame["HourUTC"]),
        _names(frame["PriceArea"]),
        _names(frame["ConsumerType_DE35"]),
        _energy(frame["TotalCon"], decimal_comma=decimal_comma),
    )
    for name in RAW:
        _refuse_lost_values(frame[name], converted[name], source=source)
    return converted


def _refuse_lost_values(before: pl.Series, after: pl.Series, *, source: str) -> None:
    """Raise if a value that was there (blank text is none) became null in conversion."""
    there = before.str.strip_chars() != "" if before.dtype == pl.String else before.is_not_null()
    lost = (there & after.is_null()).arg_true()
    if len(lost):
        rows = ", ".join(f"row {row + 1}: {before[row]!r}" for row in lost[:_EXAMPLES])
        raise SourceError(
            f"{source} has {len(lost)} values in column {before.name} that are not {_EXPECTED[before.name]} ({rows}). "
            "Correct or remove these rows.",
            source=source,
            column=before.name,
            values=len(lost),
        )


_EXPECTED: Final = {
    "HourUTC": "a time like 2023-01-20T15:00:00",
    "PriceArea": "text",
    "ConsumerType_DE35": "a code like 111",
    "TotalCon": "a number",
}


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
