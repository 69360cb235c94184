"""Ingests, validation results and quarantine."""

from typing import Literal

from pydantic import Field

from app_api.models.page import Model, Utc, UtcText


class Ingest(Model):
    """An ingest: the window that a run asked its source for, what came, and what that changed."""

    dataset: str = Field(examples=["demo-denmark"])
    feature_group_version: int = Field(examples=[1])
    known_at: Utc
    window_start: Utc
    window_end: Utc
    url: str = Field(examples=["demo://denmark"])
    rows: int
    new: int
    revised: int
    vanished: int
    conflicting: int = Field(description="Values that differ from one stored for the same `known_at`; that one stays.")
    missing_hours: int | None
    series: int | None
    warnings: list[str]
    dag_run_id: str | None
    validation_page: str | None = Field(examples=["/validation/demo-denmark/2024-03-31T05.html"])


class FindingCount(Model):
    """Number of rows that fail a validation rule."""

    expectation: str = Field(examples=["flat_line"])
    severity: str = Field(examples=["warning"])
    rows: int = Field(examples=[2])


class Validation(Model):
    """The outcome of validating the data of one run."""

    dataset: str = Field(examples=["demo-denmark"])
    run: str = Field(description="Names the result, with the dataset.", examples=["2024-03-31T05"])
    reference_datetime: UtcText | None
    window: str | None = Field(examples=["2024-02-29 05:00 to 2024-03-30 05:00 (exclusive)"])
    outcome: Literal["passed", "stored with warnings", "stopped"]
    findings: list[FindingCount]
    evaluated_expectations: int = Field(examples=[22])
    unmet_expectations: int = Field(examples=[2])
    page: str = Field(examples=["/validation/demo-denmark/2024-03-31T05.html"])


class ExpectationResult(Model):
    """The result of one validation rule."""

    name: str = Field(examples=["flat_line"])
    promise: str = Field(description="What the rule demands.")
    met: bool
    unexpected_rows: int | None


class ValidationResult(Validation):
    """The outcome of a validation, with the result of each rule."""

    expectations: list[ExpectationResult]


class Finding(Model):
    """A row that fails a validation rule; a finding about a whole series has no hour and no value."""

    dataset: str = Field(examples=["demo-denmark"])
    feature_group_version: int = Field(examples=[1])
    known_at: Utc
    window_start: Utc
    area: str | None
    consumer_type: str | None
    datetime_utc: Utc | None
    energy_consumption: float | None
    factor: float | None = Field(description="Of rule `factor`: the constant by which known hours come again.")
    expectation: str = Field(examples=["flat_line"])
    severity: str = Field(examples=["warning"])
    reason: str
    accepted: bool = Field(description="Whether a person has released it.")
