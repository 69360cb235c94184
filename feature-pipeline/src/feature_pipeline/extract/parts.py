"""Datasets whose rows are of parts of areas (municipalities): an area's value is the sum over its parts, or none.

A sum over fewer parts than the series has in other hours of the same answer would pass for lower consumption; such an
hour is left out, as if not yet published. A part that is known to exist and has no row in the whole answer lowers every
hour alike: the sums are kept, with a warning.
"""

from typing import Final

import polars as pl

from feature_pipeline.datasets import Parts
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES

PART: Final = "part"
_EXAMPLES: Final = 5


def numbers(names: pl.Series, *, source: str) -> pl.Series:
    """Return the parts' numbers.

    Raises:
        SourceError: If one is absent or not a whole number.
    """
    found = names.cast(pl.Int64, strict=False)
    if found.null_count():
        wrong = names.filter(found.is_null()).unique().sort().head(_EXAMPLES).to_list()
        raise SourceError(f"{source} has values in column {names.name} that are not numbers: {wrong}.", source=source)
    return found


def areas(numbers: pl.Series, parts: Parts, *, source: str) -> pl.Series:
    """Return the area of each part.

    Raises:
        SourceError: If a number is in none of the ranges.
    """
    where = pl.coalesce(
        pl.when(pl.lit(numbers).is_between(first, last)).then(pl.lit(area)) for first, last, area in parts.ranges
    )
    found = pl.select(where.alias("area")).to_series()
    if found.null_count():
        wrong = numbers.filter(found.is_null()).unique().sort().head(_EXAMPLES).to_list()
        raise SourceError(
            f"{source} has numbers in column {parts.column} of which no area is known: {wrong}; "
            f"areas are known for {parts.ranges}.",
            source=source,
        )
    return found


def summed(frame: pl.DataFrame, parts: Parts, *, source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return OBSERVATIONS with the sums over the parts of ``frame`` (OBSERVATIONS and PART), and warnings.

    Raises:
        SourceError: If a part has two different values for one hour.
    """
    frame = frame.unique()
    twice = frame.filter(pl.struct(*KEY, PART).is_duplicated()).sort(*KEY, PART)
    if twice.height:
        _, kind, hour, _, part = twice.row(0)
        raise SourceError(
            f"{source} has two values for one {parts.column}, type and hour, first for {part}/{kind} at {hour}.",
            source=source,
        )
    # A row without its hour or type cannot be summed: it goes on as it is, for validation to name it.
    unplaced = pl.any_horizontal(pl.col(*KEY).is_null())
    placed = frame.filter(~unplaced)
    complete = placed.group_by(SERIES).agg(pl.col(PART).n_unique().alias("parts"))
    sums = (
        placed.sort(*KEY, PART)
        .group_by(KEY, maintain_order=True)
        .agg(pl.col("energy_consumption").sum(), pl.col("energy_consumption").count().alias("values"))
        .join(complete, on=SERIES)
    )
    whole = pl.concat(
        [
            sums.filter(pl.col("values") == pl.col("parts")).match_to_schema(OBSERVATIONS, extra_columns="ignore"),
            frame.filter(unplaced).match_to_schema(OBSERVATIONS, extra_columns="ignore"),
        ]
    )
    return whole, (*_partial(sums), *_absent(placed, parts))


def _partial(sums: pl.DataFrame) -> list[str]:
    short = sums.filter(pl.col("values") < pl.col("parts"))
    if short.is_empty():
        return []
    first = short.row(0, named=True)
    return [
        f"{short.height} of {sums.height} sums over parts lack parts that other hours have and are left out, first "
        f"{first['area']}/{first['consumer_type']} at {first['datetime_utc']:%Y-%m-%d %H:%M}: "
        f"{first['values']} of {first['parts']}"
    ]


def _absent(placed: pl.DataFrame, parts: Parts) -> list[str]:
    warnings = []
    expected = {area: {part for part in parts.expected if first <= part <= last} for first, last, area in parts.ranges}
    for (area, kind), rows in placed.sort(SERIES).group_by(SERIES, maintain_order=True):
        lacking = sorted(expected[str(area)] - set(rows[PART]))
        if lacking:
            more = f" and {len(lacking) - _EXAMPLES} more" if len(lacking) > _EXAMPLES else ""
            warnings.append(
                f"{area}/{kind} is a sum without {len(lacking)} of {len(expected[str(area)])} known values of "
                f"{parts.column}: {', '.join(map(str, lacking[:_EXAMPLES]))}{more}"
            )
    return warnings
