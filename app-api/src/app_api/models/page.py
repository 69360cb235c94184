"""Fields and forms that all answers share."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from forecast_core.contracts.arguments import moment
from forecast_core.contracts.window import as_utc

T = TypeVar("T")

Utc = Annotated[datetime, AfterValidator(as_utc), Field(examples=["2024-03-31T05:00:00Z"])]
"""A time, or the start of an hour."""

UtcText = Annotated[Utc, BeforeValidator(lambda value: moment("time", value).astimezone(UTC))]
"""A time that the records hold as text."""


class Model(BaseModel):
    """Every answer is of known fields; a later version may add some."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Page(Model, Generic[T]):
    """Some of a list, in a stated order."""

    items: list[T]
    total: int = Field(description="How many there are altogether.", examples=[76])
    limit: int = Field(description="How many were asked for at most.", examples=[100])
    offset: int = Field(description="How many were passed over.", examples=[0])
    next: str | None = Field(description="Address of what follows, or null.", examples=[None])
