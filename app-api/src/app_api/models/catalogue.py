"""What there is to ask for."""

from pydantic import Field

from app_api.models.page import Model, Utc


class FeatureView(Model):
    """A dataset as models see it; forecasts of different views never mix."""

    version: int = Field(examples=[1])
    dataset: str = Field(examples=["demo-denmark"])
    feature_group_version: int = Field(examples=[1])
    definition_hash: str
    runs: int = Field(description="Archived forecast runs.", examples=[4])
    first_reference_datetime: Utc | None
    latest_reference_datetime: Utc | None


class Area(Model):
    """A price area that has forecasts."""

    area: str = Field(examples=["DK1"])
    series: int = Field(description="Series of this area in the latest run.", examples=[38])


class ConsumerType(Model):
    """A consumer type that has forecasts; names are null until `fetch-consumer-types` was run."""

    consumer_type: str = Field(examples=["111"])
    name_da: str | None = Field(examples=["Landbrug"])
    name_en: str | None = Field(examples=["Agriculture"])
    group: str | None = Field(examples=["2"])
    group_name_da: str | None
    group_name_en: str | None
    areas: list[str] = Field(examples=[["DK1", "DK2"]])


class Series(Model):
    """A series that the latest run forecast."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    name_da: str | None
    name_en: str | None
    group: str | None
    mean_forecast: float = Field(description="Mean of the point forecasts, kWh an hour.", examples=[84231.5])
    quality: list[str] = Field(description="Qualities of the forecasts.", examples=[["model"]])
