"""The rows of a fake source in the API's columns, and those of them that are published by a time."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline import demo
from forecast_core.contracts.window import as_utc

PUBLISHED: Final = "published"
"""Optional column: the UTC time at which a row is published. Of rows with the same key, the latest one is served."""

COPENHAGEN: Final = "Europe/Copenhagen"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_NO_KEY: Final = frozenset({"TotalCon", "ConsumptionkWh", "Consumption_MWh", PUBLISHED})

Rows = pl.DataFrame | Callable[[datetime], pl.DataFrame]
"""A frame in the API's columns, or a function that returns one for the present time."""


def api_rows(observations: pl.DataFrame) -> pl.DataFrame:
    """Return OBSERVATIONS as ConsumptionDE35Hour has them: times as text in UTC and Danish time, whole kWh.

    Other columns (``PUBLISHED``) are kept.
    """
    hour = pl.col("datetime_utc")
    return observations.select(
        hour.dt.strftime(_TIME).alias("HourUTC"),
        hour.dt.convert_time_zone(COPENHAGEN).dt.strftime(_TIME).alias("HourDK"),
        pl.col("area").alias("PriceArea"),
        pl.col("consumer_type").alias("ConsumerType_DE35"),
        pl.col("energy_consumption").round().cast(pl.Int64).alias("TotalCon"),
        pl.exclude("area", "consumer_type", "datetime_utc", "energy_consumption"),
    )


def demo_rows(start: datetime, end: datetime) -> Callable[[datetime], pl.DataFrame]:
    """Return a function from a time to what ``demo://denmark`` has published of [start, end) by then."""

    def rows(now: datetime) -> pl.DataFrame:
        return api_rows(demo.observations(start, end, known_at=as_utc(now)))

    return rows


def seen(rows: Rows, now: datetime | None) -> pl.DataFrame:
    """Return the rows that are published at ``now`` (None: all), without the column ``PUBLISHED``.

    Raises:
        ValueError: If ``rows`` is a function and ``now`` is None.
    """
    if callable(rows):
        if now is None:
            raise ValueError("the rows of this dataset depend on the time: give the fake a `now`")
        rows = rows(now)
    if PUBLISHED not in rows.columns:
        return rows
    key = [name for name in rows.columns if name not in _NO_KEY]
    visible = rows if now is None else rows.filter(pl.col(PUBLISHED) <= as_utc(now))
    return visible.sort(PUBLISHED).unique(key, keep="last", maintain_order=True).drop(PUBLISHED)
