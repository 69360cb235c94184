"""The tables that every part agrees on: column names, types and units.

Times are UTC and name the start of an hour; energy is in kWh for that hour. The frames of the forecaster are its own.
"""

from typing import Final

import polars as pl

from load_forecaster.schema import HOUR, KEY, OBSERVATIONS, PREDICTIONS, QUANTILES, REASONS, SERIES, UTC_HOUR

__all__ = [
    "CONSUMER_TYPES_DE35",
    "FORECASTS",
    "HOUR",
    "KEY",
    "OBSERVATIONS",
    "PREDICTIONS",
    "PRICE_AREAS",
    "QUANTILES",
    "REASONS",
    "SERIES",
    "SERIES_DE35",
    "UTC_HOUR",
]

FORECASTS: Final = pl.Schema(
    {
        "reference_datetime": UTC_HOUR,
        **PREDICTIONS,
        "feature_view_version": pl.Int64(),
        "training_dataset_version": pl.Int64(),
        "model_version": pl.Int64(),
    }
)
"""The forecast archive: predictions, the reference time that they were made at, and what made them."""

PRICE_AREAS: Final = ("DK1", "DK2")
CONSUMER_TYPES_DE35: Final = tuple(
    # Thirty-eight codes read better as one text than as one line each.
    "111 112 119 121 122 123 130 211 212 215 220 310 320 330 340 350 360 370 381 382 390 410 421 422 431 432 433 "  # noqa: SIM905
    "441 442 443 444 445 446 447 450 461 462 999".split()
)
"""The DE35 consumer types of Energi Data Service, for each of which both price areas have a series."""

SERIES_DE35: Final = tuple((area, consumer_type) for area in PRICE_AREAS for consumer_type in CONSUMER_TYPES_DE35)
