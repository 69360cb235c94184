"""What the API answers, as types: JSON by these names; times are ISO 8601 in UTC, energy is in kWh for the hour."""

from app_api.models.archived import ArchivedForecast, HourMetric, SeriesArchive
from app_api.models.catalogue import Area, ConsumerType, FeatureView, Series
from app_api.models.forecasts import ExplainedHour, Explanation, ForecastHour, Part, SeriesForecast
from app_api.models.monitoring import Alarm, Metric
from app_api.models.observations import Observation, Revision, SeriesObservations, SeriesRevisions
from app_api.models.operations import Freshness, Health, Readiness
from app_api.models.page import Model, Page
from app_api.models.problem import FieldProblem, Problem
from app_api.models.quality import ExpectationResult, Finding, FindingCount, Ingest, Validation, ValidationResult
from app_api.models.registry import Decision, ModelCard, ModelSummary
from app_api.models.runs import DagRun, DagRuns, DagTask, Provenance, Run

__all__ = [
    "Alarm",
    "ArchivedForecast",
    "Area",
    "ConsumerType",
    "DagRun",
    "DagRuns",
    "DagTask",
    "Decision",
    "ExpectationResult",
    "ExplainedHour",
    "Explanation",
    "FeatureView",
    "FieldProblem",
    "Finding",
    "FindingCount",
    "ForecastHour",
    "Freshness",
    "Health",
    "HourMetric",
    "Ingest",
    "Metric",
    "Model",
    "ModelCard",
    "ModelSummary",
    "Observation",
    "Page",
    "Part",
    "Problem",
    "Provenance",
    "Readiness",
    "Revision",
    "Run",
    "Series",
    "SeriesArchive",
    "SeriesForecast",
    "SeriesObservations",
    "SeriesRevisions",
    "Validation",
    "ValidationResult",
]
