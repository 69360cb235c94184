"""Query and path parameters with their bounds. An unknown parameter is refused."""

import re
from datetime import datetime
from typing import Annotated, Final

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from forecast_core.contracts.window import as_utc, floor_hour

MOST_ITEMS: Final = 1000
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?")


def _moment(text: object) -> datetime:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("a time must be ISO 8601, such as 2024-03-31T05:00:00Z; write + as %2B in a query")
    try:
        # A leap second counts as the second before it.
        return as_utc(datetime.fromisoformat(re.sub(r"(:\d\d):60", r"\1:59", text.upper())))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text} is not a time: {error}") from error


_SCHEMA: Final = {"type": "string", "format": "date-time", "examples": ["2024-03-31T05:00:00Z"]}
Time = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_SCHEMA)]
"""ISO 8601; without an offset it is UTC."""


Hour = Annotated[datetime, BeforeValidator(lambda text: floor_hour(_moment(text))), WithJsonSchema(_SCHEMA)]
"""A time, rounded down to the full hour."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
AreaName = Annotated[Name, Path(examples=["DK1"])]
"""The area of a route for one series."""

ConsumerTypeName = Annotated[Name, Path(examples=["111"])]
"""The consumer type of a route for one series."""

Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]


class Query(BaseModel):
    """The query parameters of one route; a parameter of another name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ViewQuery(Query):
    """The dataset to read, by its feature view."""

    feature_view_version: Version | None = Field(None, description="Default: the view of the newest run.")


class PageQuery(Query):
    """The part of a list to return."""

    limit: int = Field(100, ge=1, le=MOST_ITEMS, description="Most items to return.")
    offset: int = Field(0, ge=0, le=10**9, description="Items to skip.")


class SeriesQuery(ViewQuery):
    """The series to return."""

    area: list[Name] | None = Field(None, max_length=100, description="Only these areas.", examples=[["DK1"]])
    consumer_type: list[Name] | None = Field(
        None, max_length=100, description="Only these consumer types.", examples=[["111"]]
    )
