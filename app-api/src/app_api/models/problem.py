"""Errors, as RFC 9457 defines them."""

from pydantic import Field

from app_api.models.page import Model


class FieldProblem(Model):
    """One part of a request that is not as it should be."""

    location: str = Field(description="`query`, `path` or `header`.", examples=["query"])
    name: str = Field(examples=["limit"])
    message: str = Field(examples=["Input should be less than or equal to 1000"])


class Problem(Model):
    """An error, as RFC 9457 has it (`application/problem+json`)."""

    type: str = Field("about:blank", description="Kind of the problem; the status says it.")
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What was expected, what came, what to do.",
        examples=["there is no series DK3/111; areas are DK1, DK2"],
    )
    instance: str = Field(description="The path that was asked for.", examples=["/api/v1/forecasts/DK3/111"])
    errors: list[FieldProblem] | None = Field(None, description="Where a request breaks the rules, part by part.")
    allowed: list[str] | None = Field(None, description="What could have been asked for.", examples=[["DK1", "DK2"]])
