"""What may be asked for: each parameter once, with its bounds; what no route knows is refused."""

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
        raise ValueError("a time is to be given in ISO 8601, as 2024-03-31T05:00:00Z; + in a query is written %2B")
    try:
        # A leap second counts as the second before it.
        return as_utc(datetime.fromisoformat(re.sub(r"(:\d\d):60", r"\1:59", text.upper())))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text} is no time: {error}") from error


_SCHEMA: Final = {"type": "string", "format": "date-time", "examples": ["2024-03-31T05:00:00Z"]}
Time = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_SCHEMA)]
"""ISO 8601; without an offset it is UTC."""


Hour = Annotated[datetime, BeforeValidator(lambda text: floor_hour(_moment(text))), WithJsonSchema(_SCHEMA)]
"""A time, taken down to its full hour."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
AreaName = Annotated[Name, Path(examples=["DK1"])]
"""The area of a route for one series."""

ConsumerTypeName = Annotated[Name, Path(examples=["111"])]
"""The consumer type of a route for one series."""

Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]


class Query(BaseModel):
    """The parameters of one route; another name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ViewQuery(Query):
    """Which data are meant."""

    feature_view_version: Version | None = Field(None, description="Default: the view of the newest run.")


class PageQuery(Query):
    """Which part of a list is wanted."""

    limit: int = Field(100, ge=1, le=MOST_ITEMS, description="How many at most.")
    offset: int = Field(0, ge=0, le=10**9, description="How many to pass over.")


class SeriesQuery(ViewQuery):
    """Which series are meant."""

    area: list[Name] | None = Field(None, max_length=100, description="Only these areas.", examples=[["DK1"]])
    consumer_type: list[Name] | None = Field(
        None, max_length=100, description="Only these consumer types.", examples=[["111"]]
    )
