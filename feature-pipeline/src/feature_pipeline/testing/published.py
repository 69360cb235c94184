"""What a fake source publishes, in the columns of the API, and what of it was published by a time."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline import demo
from forecast_core.contracts.window import as_utc

PUBLISHED: Final = "published"
"""Optional column (UTC times): from when a row can be seen; of rows that share a key, the newest one that can is."""

COPENHAGEN: Final = "Europe/Copenhagen"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
_NO_KEY: Final = frozenset({"TotalCon", "ConsumptionkWh", "Consumption_MWh", PUBLISHED})

Rows = pl.DataFrame | Callable[[datetime], pl.DataFrame]
"""A frame in the API's columns, or a function from the present time to one."""


def api_rows(observations: pl.DataFrame) -> pl.DataFrame:
    """Return OBSERVATIONS as ConsumptionDE35Hour has them: times as text in UTC and Danish time, whole kWh.

    Further columns (``PUBLISHED``) stay.
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
    """Return what ``demo://denmark`` has published of [start, end) by the time given."""

    def rows(now: datetime) -> pl.DataFrame:
        return api_rows(demo.observations(start, end, known_at=as_utc(now)))

    return rows


def seen(rows: Rows, now: datetime | None) -> pl.DataFrame:
    """Return the rows that can be seen at ``now`` (None: all), without the column ``PUBLISHED``.

    Raises:
        ValueError: If the rows depend on the time and there is none.
    """
    if callable(rows):
        if now is None:
            raise ValueError("these rows depend on the time: give the fake a `now`")
        rows = rows(now)
    if PUBLISHED not in rows.columns:
        return rows
    key = [name for name in rows.columns if name not in _NO_KEY]
    visible = rows if now is None else rows.filter(pl.col(PUBLISHED) <= as_utc(now))
    return visible.sort(PUBLISHED).unique(key, keep="last", maintain_order=True).drop(PUBLISHED)
