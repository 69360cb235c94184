"""Observations and their revisions."""

from typing import Literal

from pydantic import Field

from app_api.models.page import Model, Utc


class Observation(Model):
    """What was consumed in an hour."""

    datetime_utc: Utc
    energy_consumption: float = Field(description="kWh", examples=[66581.0])


class SeriesObservations(Model):
    """Observations of one series."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    known_at: Utc = Field(description="The values are the newest that were known then.")
    observations: list[Observation]
    next: str | None = Field(None, description="Address of the hours that follow, if there are more than fit.")


class Revision(Model):
    """A value, and when it became known; null if the source took its value back."""

    datetime_utc: Utc
    energy_consumption: float | None = Field(examples=[66581.0])
    known_at: Utc


class SeriesRevisions(Model):
    """All values that each hour of a series has had, with the times at which they became known."""

    area: str
    consumer_type: str
    unit: Literal["kWh"] = "kWh"
    revisions: list[Revision]
    next: str | None = Field(None, description="Address of the hours that follow, if there are more than fit.")
