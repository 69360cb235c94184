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
"""A time that is stored as text."""


class Model(BaseModel):
    """An answer with known fields; a later version may add fields."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Page(Model, Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int = Field(description="Number of items of the whole list.", examples=[76])
    limit: int = Field(description="Most items that were asked for.", examples=[100])
    offset: int = Field(description="Items that were skipped.", examples=[0])
    next: str | None = Field(description="Address of the next page, or null.", examples=[None])
