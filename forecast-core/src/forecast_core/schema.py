"""The tables that every part agrees on: column names, types, units, and the codes of the Danish data.

Times are UTC and name the start of an hour; energy is in kWh for that hour.
"""

from typing import Final

import polars as pl

SERIES: Final = ("area", "consumer_type")
"""The columns that name one time series."""

KEY: Final = (*SERIES, "datetime_utc")
"""The columns that name one observation."""

UTC_HOUR: Final = pl.Datetime("us", "UTC")

OBSERVATIONS: Final = pl.Schema(
    {
        "area": pl.String(),
        "consumer_type": pl.String(),
        "datetime_utc": UTC_HOUR,
        "energy_consumption": pl.Float64(),
    }
)
"""One value per key, as known at one reference time."""

QUANTILES: Final = {"q05": 0.05, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q95": 0.95}
"""Quantile columns of a forecast, with their probabilities."""

PREDICTIONS: Final = pl.Schema(
    {
        **OBSERVATIONS,
        **dict.fromkeys(QUANTILES, pl.Float64()),
        "quality": pl.String(),
    }
)
"""What a forecaster returns: point forecast, quantiles, and how it came about (``model`` or ``fallback: why``)."""

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
