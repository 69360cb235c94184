"""The frames that the forecaster takes and gives: columns, types and units.

Times are UTC and name the start of an hour. Energy is in kWh for that hour.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import polars as pl

HOUR: Final = timedelta(hours=1)

SERIES: Final = ("area", "consumer_type")
"""The columns that name one time series."""

KEY: Final = (*SERIES, "datetime_utc")
"""The columns that name one observation."""

UTC_HOUR: Final = pl.Datetime("us", "UTC")


class Frame(pl.Schema):
    """The declaration of a frame: columns and types in order, its key, and what each column means.

    Attributes:
        key: Columns of which no two rows have the same values.
        nullable: Columns in which a value may be missing.
        meaning: Meaning of each column, with its unit.
    """

    def __init__(
        self,
        columns: Mapping[str, pl.DataType] | None = None,
        *,
        key: Sequence[str] = (),
        nullable: Sequence[str] = (),
        meaning: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(columns)
        self.key = tuple(key)
        self.nullable = frozenset(nullable)
        self.meaning = dict(meaning or {})


OBSERVATIONS: Final = Frame(
    {
        "area": pl.String(),
        "consumer_type": pl.String(),
        "datetime_utc": UTC_HOUR,
        "energy_consumption": pl.Float64(),
    },
    key=KEY,
    meaning={
        "area": "price area, e.g. DK1",
        "consumer_type": "code of the consumer type, e.g. 111",
        "datetime_utc": "start of the hour, UTC",
        "energy_consumption": "kWh in that hour",
    },
)
"""Hourly energy consumption: one value per series and hour."""

QUANTILES: Final = {"q05": 0.05, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q95": 0.95}
"""Quantile columns of a forecast, with their probabilities."""

PREDICTIONS: Final = Frame(
    {
        **OBSERVATIONS,
        **dict.fromkeys(QUANTILES, pl.Float64()),
        "quality": pl.String(),
    },
    key=KEY,
    meaning={
        **OBSERVATIONS.meaning,
        "energy_consumption": "point forecast, kWh in that hour",
        **{name: f"{share:.0%} quantile, kWh in that hour" for name, share in QUANTILES.items()},
        "quality": "``model``, ``model: N implausible hours left out``, or ``fallback: `` and the reason",
    },
)
"""Forecasts: a point and quantiles per series and hour."""

REASONS: Final = Frame(
    {
        **{name: OBSERVATIONS[name] for name in KEY},
        "kind": pl.String(),
        "name": pl.String(),
        "value": pl.Float64(),
    },
    key=(*KEY, "kind", "name"),
    meaning={
        **{name: OBSERVATIONS.meaning[name] for name in KEY},
        "kind": "``member`` or ``feature``",
        "name": "member of the blend, or group of inputs",
        "value": "contribution to the forecast, kWh",
    },
)
"""Contributions to each forecast, in kWh.

Kind ``member``: contribution of each member of the blend; they sum to the forecast. Kind ``feature``: contribution of
each group of inputs to the fitted members; they sum to the fitted members' part.
"""
