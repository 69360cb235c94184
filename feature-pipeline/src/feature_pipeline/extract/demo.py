"""The demonstration source: ``demo://denmark``, a pure function of the hour."""

from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline.extract.raw import RAW, Extraction
from forecast_core import demo
from forecast_core.errors import SourceError
from forecast_core.window import HOUR, Window

URL: Final = "demo://denmark"
DATASET: Final = "demo-denmark"


def extract(url: str, window: Window, known_at: datetime) -> Extraction:
    """Return what the demonstration had published for ``window`` by ``known_at``.

    Raises:
        SourceError: If ``url`` names another demonstration.
    """
    if url.rstrip("/") != URL:
        raise SourceError(f"{url} is not a demonstration that exists; use {URL}.", url=url)
    published_until = known_at - HOUR
    extent = (demo.EPOCH, published_until) if published_until >= demo.EPOCH else None
    start = max(window.start, demo.EPOCH)
    if start >= window.end:
        return Extraction(DATASET, RAW.to_frame(), extent)
    observations = demo.observations(start, window.end, known_at=known_at)
    frame = observations.select(
        pl.col("datetime_utc").alias("HourUTC"),
        pl.col("area").alias("PriceArea"),
        pl.col("consumer_type").alias("ConsumerType_DE35"),
        pl.col("energy_consumption").alias("TotalCon"),
    )
    return Extraction(DATASET, frame.match_to_schema(RAW), extent)
