"""The state of the server."""

from typing import Literal

from pydantic import Field

from app_api.models.page import Model, Utc


class Health(Model):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["1.0.0"])


class Freshness(Model):
    """The age of the newest data."""

    feature_view_version: int | None = Field(description="The view of the newest run.", examples=[1])
    dataset: str | None = Field(examples=["demo-denmark"])
    reference_datetime: Utc | None = Field(description="Reference time of the newest forecasts.")
    forecasts_age_hours: float | None = Field(description="Hours from that time until now.", examples=[0.4])
    first_forecast_hour: Utc | None
    last_forecast_hour: Utc | None
    known_at: Utc | None = Field(description="Reference time of the newest ingest of the dataset.")
    newest_observation_hour: Utc | None = Field(description="The last hour of that ingest's window.")
    observations_age_hours: float | None = Field(
        description="Hours from the end of that hour until now.", examples=[24.4]
    )


class Readiness(Model):
    """Whether the server's data are up to date, and their age."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(
        description="`ok`, or what is wrong, for each part.", examples=[{"store": "ok", "tracking": "ok"}]
    )
    freshness: Freshness
