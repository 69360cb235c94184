"""Errors, as RFC 9457 defines them."""

from pydantic import Field

from app_api.models.page import Model


class FieldProblem(Model):
    """An invalid part of a request."""

    location: str = Field(description="`query`, `path` or `header`.", examples=["query"])
    name: str = Field(examples=["limit"])
    message: str = Field(examples=["Input should be less than or equal to 1000"])


class Problem(Model):
    """An error (RFC 9457, `application/problem+json`)."""

    type: str = Field("about:blank", description="Always `about:blank`: the status says which problem it is.")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What was expected, what came, what to do.",
        examples=["there is no price area 'DK3'; there are DK1, DK2"],
    )
    instance: str = Field(description="The path that was asked for.", examples=["/api/v1/forecasts/DK3/111"])
    errors: list[FieldProblem] | None = Field(None, description="The invalid parts of the request.")
    allowed: list[str] | None = Field(None, description="Values that exist or are allowed.", examples=[["DK1", "DK2"]])
