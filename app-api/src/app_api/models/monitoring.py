"""Metrics and alarms."""

from pydantic import Field

from app_api.models.page import Model, Utc


class Metric(Model):
    """A metric of archived forecasts against observations, at the reference time of the run that computed it."""

    reference_datetime: Utc
    feature_view_version: int = Field(examples=[1])
    days: int = Field(description="Number of days that it covers.", examples=[7])
    level: str = Field(description="What it is of: `overall`, or one `series`, `lead` or `hour`.", examples=["overall"])
    area: str | None = Field(examples=[None])
    consumer_type: str | None = Field(examples=[None])
    datetime_utc: Utc | None = Field(examples=[None])
    lead: int | None = Field(description="1 is the first hour of a forecast.", examples=[None])
    metric: str = Field(examples=["wape"])
    value: float | None = Field(examples=[0.0523])
    n: int = Field(description="Number of observations that it is computed from.", examples=[1824])


class Alarm(Model):
    """An alarm; open while `cleared_at` is null."""

    feature_view_version: int = Field(examples=[1])
    source: str = Field(
        description="`monitoring`: metrics are bad; `watch`: runs, forecasts or data are missing.",
        examples=["monitoring"],
    )
    kind: str = Field(examples=["coverage"])
    subject: str = Field(description="`overall` or a series.", examples=["overall"])
    level: str = Field(description="The highest level it reached: `notify` or `tune`.", examples=["notify"])
    opened_at: Utc
    tune_at: Utc | None = Field(description="When it first asked for tuning.")
    last_at: Utc = Field(description="When a check last failed; value, threshold and message are of that check.")
    cleared_at: Utc | None
    value: float | None = Field(examples=[0.63])
    threshold: float = Field(examples=[0.7])
    message: str = Field(examples=["the week's 80 % intervals hold 63 % of the values, less than 70 %"])
    notified_at: Utc | None
