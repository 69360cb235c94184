"""The demonstration source: ``demo://denmark``, a pure function of the hour."""

from datetime import datetime
from typing import Final

from feature_pipeline import demo
from feature_pipeline.datasets import DEMO, Dataset
from feature_pipeline.extract.raw import Extraction
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.window import Window

URL: Final = "demo://denmark"


def dataset(url: str) -> Dataset:
    """Return the demonstration's dataset.

    Raises:
        SourceError: If ``url`` names another demonstration.
    """
    if url.rstrip("/") != URL:
        raise SourceError(f"{url} is not a demonstration that exists; use {URL}.", url=url)
    return DEMO


def extract(url: str, window: Window, known_at: datetime) -> Extraction:
    """Return what the demonstration had published for ``window`` by ``known_at``.

    Raises:
        SourceError: If ``url`` names another demonstration.
    """
    dataset(url)
    published_until = known_at - HOUR
    extent = (demo.EPOCH, published_until) if published_until >= demo.EPOCH else None
    start = max(window.start, demo.EPOCH)
    if start >= window.end:
        return Extraction(DEMO, OBSERVATIONS.to_frame(), extent)
    return Extraction(DEMO, demo.observations(start, window.end, known_at=known_at), extent)
