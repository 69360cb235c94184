"""The frames that the forecaster takes and gives: columns, types and units.

Times are UTC and name the start of an hour. Energy is in kWh for that hour.
"""

from datetime import timedelta
from typing import Final

import polars as pl

HOUR: Final = timedelta(hours=1)

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
"""One value per KEY; ``energy_consumption`` is in kWh for the hour that starts at ``datetime_utc``."""

QUANTILES: Final = {"q05": 0.05, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q95": 0.95}
"""Quantile columns of a forecast, with their probabilities."""

PREDICTIONS: Final = pl.Schema(
    {
        **OBSERVATIONS,
        **dict.fromkeys(QUANTILES, pl.Float64()),
        "quality": pl.String(),
    }
)
"""Point forecast and quantiles in kWh; ``quality`` is ``model``, or ``fallback: `` and the reason."""

REASONS: Final = pl.Schema(
    {
        **{name: OBSERVATIONS[name] for name in KEY},
        "kind": pl.String(),
        "name": pl.String(),
        "value": pl.Float64(),
    }
)
"""Contributions to each forecast, in kWh.

Kind ``member``: contribution of each member of the blend; they sum to the forecast. Kind ``feature``: contribution of
each group of inputs to the fitted members; they sum to the fitted members' part.
"""
