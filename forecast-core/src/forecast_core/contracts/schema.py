"""The tables that every part agrees on: column names, types and units.

Times are UTC and name the start of an hour; energy is in kWh for that hour. The frames of the forecaster are its own.
"""

from typing import Final

import polars as pl

from load_forecaster.schema import HOUR, KEY, OBSERVATIONS, PREDICTIONS, QUANTILES, REASONS, SERIES, UTC_HOUR

__all__ = [
    "FORECASTS",
    "HOUR",
    "KEY",
    "OBSERVATIONS",
    "PREDICTIONS",
    "QUANTILES",
    "REASONS",
    "SERIES",
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
