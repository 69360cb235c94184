"""Datasets whose rows are of parts of an area (municipalities): sum the parts to the area's value.

If one part has no row for an hour, the sum of that hour would look like lower consumption; the hour is left out, as if
it were not published yet. If a known part has no row in the whole answer, all sums are lower by its share; they are
kept, with a warning.
"""

from typing import Final

import polars as pl

from feature_pipeline.datasets import Parts
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES

PART: Final = "part"
_EXAMPLES: Final = 5


def numbers(names: pl.Series, *, source: str) -> pl.Series:
    """Return the numbers of the parts as Int64.

    Raises:
        SourceError: If one is missing or not a whole number.
    """
    found = names.cast(pl.Int64, strict=False)
    if found.null_count():
        wrong = names.filter(found.is_null()).unique().sort().head(_EXAMPLES).to_list()
        raise SourceError(
            f"{source}: column {names.name} has values that are not whole numbers: {wrong}.", source=source
        )
    return found


def areas(numbers: pl.Series, parts: Parts, *, source: str) -> pl.Series:
    """Return the area of each part.

    Raises:
        SourceError: If a number lies in none of ``parts.ranges``.
    """
    where = pl.coalesce(
        pl.when(pl.lit(numbers).is_between(first, last)).then(pl.lit(area)) for first, last, area in parts.ranges
    )
    found = pl.select(where.alias("area")).to_series()
    if found.null_count():
        wrong = numbers.filter(found.is_null()).unique().sort().head(_EXAMPLES).to_list()
        raise SourceError(
            f"{source}: column {parts.column} has numbers that belong to no known area: {wrong}; the known ranges "
            f"(first, last, area) are {parts.ranges}.",
            source=source,
        )
    return found


def summed(frame: pl.DataFrame, parts: Parts, *, source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Sum the parts of each area.

    Args:
        frame: Columns of OBSERVATIONS and PART, one row per part and hour; kWh.
        parts: The column and the areas of the parts.
        source: Name of the source in messages.

    Returns:
        OBSERVATIONS with the sums, and warnings. Rows without an area, consumer type or hour are kept as they are.

    Raises:
        SourceError: If a part has two different values for one hour.
    """
    frame = frame.unique()
    twice = frame.filter(pl.struct(*KEY, PART).is_duplicated()).sort(*KEY, PART)
    if twice.height:
        _, kind, hour, _, part = twice.row(0)
        raise SourceError(
            f"{source} has two different values for {parts.column} {part}, consumer type {kind}, at {hour}.",
            source=source,
        )
    # Dropped here, a row without its hour or type would be lost silently; validation names it.
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
        f"{short.height} of {sums.height} hourly sums are left out because parts are missing, the first "
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
