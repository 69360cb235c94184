"""The series of a feature group: a small number for each (area, consumer_type), and since when it is known.

Rows of observations hold the number only. The commit of the first ingest with a value of a series assigns its number.
A later ingest of an earlier reference time adds a row with its ``known_at``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.contracts.schema import SERIES, UTC_HOUR

ROWS: Final = pl.Schema({"series": pl.Int32(), "area": pl.String(), "consumer_type": pl.String(), "known_at": UTC_HOUR})
"""A stored row."""


def earliest(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return ROWS, one per series with its earliest ``known_at``, sorted by (area, consumer_type)."""
    return rows.group_by("series", *SERIES).agg(pl.col("known_at").min()).sort(SERIES).collect()


def only(known: pl.DataFrame, wanted: Sequence[tuple[str, str]] | None) -> pl.DataFrame:
    """Return the rows of the series that are wanted, in the same order; all if None is given."""
    if wanted is None:
        return known
    names = pl.DataFrame(list(wanted), schema=dict.fromkeys(SERIES, pl.String()), orient="row")
    return known.join(names.unique(), on=SERIES, how="semi", maintain_order="left")


def numbered(observations: pl.DataFrame, known: pl.DataFrame, known_at: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Replace names of series by numbers.

    Args:
        observations: OBSERVATIONS.
        known: ROWS, one per series.
        known_at: When the values became known.

    Returns:
        The observations as ``revisions.VALUES`` in the same order, and ROWS to add to those stored.
    """
    # Names are looked up once for each run of rows of one series: once a series, in a frame sorted by key.
    begins = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in SERIES)
    runs = observations.select(begins=begins)["begins"]
    heads = observations.filter(runs).select(SERIES)
    present = heads.unique().join(known, on=SERIES, how="left").sort(SERIES)
    first = int(known["series"].to_numpy().max(initial=-1)) + 1
    is_new = pl.col("series").is_null()
    present = present.with_columns(
        series=pl.when(is_new).then(first + is_new.cum_sum().cast(pl.Int32) - 1).otherwise("series").cast(pl.Int32)
    )
    numbers = heads.join(present, on=SERIES, how="left", maintain_order="left")["series"]
    values = observations.select(
        numbers.gather(runs.cum_sum() - 1).alias("series"), "datetime_utc", "energy_consumption"
    )
    added = present.filter(pl.col("known_at").is_null() | (pl.col("known_at") > known_at))
    return values, added.with_columns(known_at=pl.lit(known_at, UTC_HOUR)).select(ROWS.names())


def named(rows: pl.LazyFrame, known: pl.DataFrame) -> pl.LazyFrame:
    """Return ``rows`` with names in place of ``series``, sorted by name, else in the order they had."""
    ranked = known.lazy().select("series", *SERIES).with_row_index("rank")
    columns = [name for name in rows.collect_schema().names() if name != "series"]
    joined = rows.join(ranked, on="series", how="inner", maintain_order="left")
    return joined.sort("rank", maintain_order=True).select(*SERIES, *columns)
