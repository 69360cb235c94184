"""Metrics and alarms."""

from pydantic import Field

from app_api.models.page import Model, Utc


class Metric(Model):
    """A measure of archived forecasts against what came, kept under the reference time that computed it."""

    reference_datetime: Utc
    feature_view_version: int = Field(examples=[1])
    days: int = Field(description="Over so many days.", examples=[7])
    level: str = Field(description="Over all (`overall`), or of one `series`, `lead` or `hour`.", examples=["overall"])
    area: str | None = Field(examples=[None])
    consumer_type: str | None = Field(examples=[None])
    datetime_utc: Utc | None = Field(examples=[None])
    lead: int | None = Field(description="1 is the first hour of a forecast.", examples=[None])
    metric: str = Field(examples=["wape"])
    value: float | None = Field(examples=[0.0523])
    n: int = Field(description="Observations behind it.", examples=[1824])


class Alarm(Model):
    """What was found wrong, from when to when; open while `cleared_at` is null."""

    feature_view_version: int = Field(examples=[1])
    source: str = Field(description="`monitoring` for what is there, `watch` for what is not.", examples=["monitoring"])
    kind: str = Field(examples=["coverage"])
    subject: str = Field(description="`overall` or a series.", examples=["overall"])
    level: str = Field(description="The highest it reached: `notify` or `tune`.", examples=["notify"])
    opened_at: Utc
    tune_at: Utc | None = Field(description="When it first asked for tuning.")
    last_at: Utc = Field(description="When it last fired, with the value, threshold and message of then.")
    cleared_at: Utc | None
    value: float | None = Field(examples=[0.63])
    threshold: float = Field(examples=[0.7])
    message: str = Field(examples=["the week's 80 % intervals hold 63 % of the values, less than 70 %"])
    notified_at: Utc | None
