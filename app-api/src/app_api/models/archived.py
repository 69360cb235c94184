"""Archived forecasts of all runs beside what came, and metrics of every hour that was ever scored."""

from typing import Literal

from pydantic import Field

from app_api.models.forecasts import ForecastHour
from app_api.models.page import Model, Utc


class ArchivedForecast(ForecastHour):
    """The forecast that one run made of one hour, and what was observed in that hour."""

    reference_datetime: Utc = Field(description="Reference time of the run that made it.")
    training_dataset_version: int = Field(examples=[1])
    model_version: int = Field(examples=[1])
    observed: float | None = Field(description="kWh; null if it is not known yet.", examples=[93511.0])


class SeriesArchive(Model):
    """The forecasts that runs made of the hours of one series."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    feature_view_version: int = Field(examples=[1])
    known_at: Utc = Field(description="The observations are the newest that were known then.")
    forecasts: list[ArchivedForecast] = Field(description="Sorted by hour, then by reference time.")
    next: str | None = Field(None, description="Address of the hours that follow, if there are more than fit.")


class HourMetric(Model):
    """A metric of the forecasts of one hour, over all series and all runs that forecast it."""

    datetime_utc: Utc
    metric: str = Field(examples=["mape"])
    value: float | None = Field(description="A fraction or kWh; null where it is not defined.", examples=[0.0731])
    n: int = Field(description="Number of forecasts that it is computed from.", examples=[1824])
    reference_datetime: Utc = Field(description="Reference time of the run that computed it last.")
