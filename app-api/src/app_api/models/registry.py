"""Models and the decisions about them."""

from typing import Any, Literal

from pydantic import Field

from app_api.models.page import Model, Utc, UtcText


class ModelSummary(Model):
    """A registered model version."""

    version: int = Field(examples=[1])
    run_id: str
    reference_datetime: UtcText | None = Field(description="Reference time of its training data.")
    feature_view_version: int | None
    training_dataset_version: int | None
    configuration_source: str | None = Field(examples=["default"])
    metrics: dict[str, Any] = Field(description="Its backtest.", examples=[{"wape": 0.0564, "naive_wape": 0.095}])
    champion: bool = Field(
        description="Whether it is the newest with the champion's configuration; never with the default.",
        examples=[True],
    )


class ModelCard(ModelSummary):
    """All that the registry records about a model version."""

    source: str = Field(description="Where its files are.")
    configuration: dict[str, Any] | None
    files: dict[str, str] = Field(description="SHA-256 of each of its files.")
    made_by: dict[str, Any] = Field(description="The code and the DAG run that made it.")
    tags: dict[str, str] = Field(description="Other tags of the version.")


class Decision(Model):
    """One decision about the champion, in force from `at` on: docs/models.md."""

    action: Literal["promote", "keep", "rollback"]
    at: Utc
    feature_view_version: int = Field(examples=[1])
    fh: int = Field(examples=[24])
    config: dict[str, Any] | None = Field(description="The champion's afterwards; null is the shipped default.")
    source: str = Field(examples=["default"])
    candidate: dict[str, Any] | None = Field(description="The configuration that was decided on.")
    reason: str
    test: dict[str, Any] = Field(description="The figures of the comparison; none where a person decided.")
    model_version: int | None
    by: Literal["run", "person"]
    code_version: str
    decision_id: str = Field(description="Names the decision.", examples=["3f1c9a7be2d04856"])
