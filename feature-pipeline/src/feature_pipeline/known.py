"""What the store knows near a window, to judge what a source says of it."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

NEAR: Final = timedelta(days=28)
"""How long before and after the window values are of use: four weeks, because weekdays differ."""


def near(
    window: Window, *, dataset: str, feature_group_version: int, known_at: datetime, settings: Settings
) -> pl.DataFrame:
    """Return OBSERVATIONS of the window and of ``NEAR`` around it as known at a time; none if there are none.

    Args:
        window: The hours of a run.
        dataset: With the version, names the feature group.
        feature_group_version: Its version.
        known_at: Later revisions are not seen.
        settings: Where the store is.

    Raises:
        StorageError: If the store cannot be read now.
    """
    try:
        return FeatureStore(settings).read(
            dataset=dataset,
            feature_group_version=feature_group_version,
            window=Window(window.start - NEAR, window.end + NEAR),
            reference_datetime=known_at,
        )
    except NotFoundError:
        return OBSERVATIONS.to_frame()
