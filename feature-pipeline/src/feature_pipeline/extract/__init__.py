"""Extraction of hourly consumption, by the scheme of the source's url."""

from datetime import datetime
from urllib.parse import urlsplit

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.extract import demo, file
from feature_pipeline.extract.raw import Extraction
from feature_pipeline.known import near
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

__all__ = ["Extraction", "dataset", "extract"]


def extract(
    url: str, window: Window, known_at: datetime, *, settings: Settings, feature_group_version: int = 1
) -> Extraction:
    """Return what the source at ``url`` has for ``window``, as known at ``known_at``, at the pace of ``settings``.

    Args:
        url: As for ``pipeline.run``.
        window: The hours to return.
        known_at: The reference time of the run.
        settings: Where the store is, the pace of requests, and how unclear files are to be read.
        feature_group_version: With the source's dataset, names the observations that are known already.

    Raises:
        SourceError: If the scheme is unknown, or the source is absent or not in the expected form.
        SourceUnavailable: If the source does not answer.
    """
    match _scheme(url):
        case "demo":
            return demo.extract(url, window, known_at)
        case "file":

            def known(dataset: Dataset) -> pl.DataFrame:
                return near(
                    window,
                    dataset=dataset.name,
                    feature_group_version=feature_group_version,
                    known_at=known_at,
                    settings=settings,
                )

            return file.extract(url, window, known=known, settings=settings)
        case _:
            # Its HTTP client takes .2 s to import, which other sources need not.
            from feature_pipeline.extract import energi_data_service

            return energi_data_service.extract(url, window, settings=settings)


def dataset(url: str) -> Dataset:
    """Return the dataset that the source at ``url`` has, without asking for any of its rows.

    Raises:
        SourceError: If the scheme is unknown, or the source is absent or of no known dataset.
    """
    match _scheme(url):
        case "demo":
            return demo.dataset(url)
        case "file":
            return file.dataset(url)
        case _:
            from feature_pipeline.extract import energi_data_service

            return energi_data_service.dataset(url)


def _scheme(url: str) -> str:
    scheme = urlsplit(url).scheme.lower() if "://" in url else "file"
    if scheme not in ("demo", "file", "http", "https"):
        raise SourceError(
            f"the source's url has the unknown scheme {scheme}://; use demo://denmark, https://…/dataset/NAME, "
            "or a path or file:// to a .csv or .parquet file.",
            scheme=scheme,
        )
    return scheme
