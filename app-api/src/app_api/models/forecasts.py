"""Forecasts and their explanations."""

from typing import Literal

from pydantic import Field

from app_api.models.observations import Observation
from app_api.models.page import Model, Utc


class ForecastHour(Model):
    """The forecast of one hour: point forecast, quantiles and quality."""

    datetime_utc: Utc
    energy_consumption: float = Field(description="Point forecast, kWh.", examples=[93493.028])
    q05: float = Field(examples=[88012.1])
    q10: float = Field(examples=[89806.3])
    q50: float = Field(examples=[93493.0])
    q90: float = Field(examples=[98387.8])
    q95: float = Field(examples=[100120.4])
    quality: str = Field(
        description="`model`, `model: N implausible hours left out`, or `fallback: ` and the reason.",
        examples=["model"],
    )


class SeriesForecast(Model):
    """The forecast of one series, with the versions that made it."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    reference_datetime: Utc = Field(description="Reference time: only data known by then were used.")
    feature_view_version: int = Field(examples=[1])
    training_dataset_version: int = Field(examples=[1])
    model_version: int = Field(examples=[1])
    not_taken: int | None = Field(
        None,
        description="Only if there are any: corrected values that the run, repeated after a correction, did not take.",
    )
    forecast: list[ForecastHour]
    observations: list[Observation] | None = Field(
        None,
        description="With `history_hours`: what is known now of that many hours before the forecast and of its own.",
    )
    previous: "SeriesForecast | None" = Field(
        None, description="With `previous_hours`: the forecast made that much earlier, null if there is none."
    )


class Part(Model):
    """What one member of the blend, or one group of inputs, adds to a forecast."""

    name: str = Field(examples=["trees"])
    value: float = Field(description="kWh", examples=[1234.5])


class ExplainedHour(Model):
    """What drove the forecast of one hour."""

    datetime_utc: Utc
    members: list[Part] = Field(description="What each member of the blend adds; they sum to the forecast.")
    features: list[Part] = Field(
        description="What each group of inputs adds to what the fitted members say; they sum to those members' part."
    )


class Explanation(Model):
    """What drove a series' forecast, hour by hour; no hours if the run kept no explanation."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    reference_datetime: Utc
    hours: list[ExplainedHour]
