"""What the API answers, as types: JSON by these names; times are ISO 8601 in UTC, energy is in kWh for the hour."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

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


class Health(Model):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["1.0.0"])


class Freshness(Model):
    """How new the newest data are."""

    feature_view_version: int | None = Field(description="The view of the newest run.", examples=[1])
    dataset: str | None = Field(examples=["demo-denmark"])
    reference_datetime: Utc | None = Field(description="Reference time of the newest forecasts.")
    forecasts_age_hours: float | None = Field(description="From that time to now.", examples=[0.4])
    first_forecast_hour: Utc | None
    last_forecast_hour: Utc | None
    known_at: Utc | None = Field(description="Reference time of the newest ingest of the dataset.")
    newest_observation_hour: Utc | None = Field(description="The last hour that ingest asked for.")
    observations_age_hours: float | None = Field(description="From the end of that hour to now.", examples=[24.4])


class Readiness(Model):
    """Whether data can be served, part by part, and how fresh they are."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(
        description="`ok`, or what is wrong, for each part.", examples=[{"store": "ok", "tracking": "ok"}]
    )
    freshness: Freshness


class FeatureView(Model):
    """A dataset as models see it; forecasts of different views never mix."""

    version: int = Field(examples=[1])
    dataset: str = Field(examples=["demo-denmark"])
    feature_group_version: int = Field(examples=[1])
    definition_hash: str
    runs: int = Field(description="Archived forecast runs.", examples=[4])
    first_reference_datetime: Utc | None
    latest_reference_datetime: Utc | None


class Area(Model):
    """A price area that has forecasts."""

    area: str = Field(examples=["DK1"])
    series: int = Field(description="Series of this area in the latest run.", examples=[38])


class ConsumerType(Model):
    """A consumer type that has forecasts; names are null until `fetch-consumer-types` was run."""

    consumer_type: str = Field(examples=["111"])
    name_da: str | None = Field(examples=["Landbrug"])
    name_en: str | None = Field(examples=["Agriculture"])
    group: str | None = Field(examples=["2"])
    group_name_da: str | None
    group_name_en: str | None
    areas: list[str] = Field(examples=[["DK1", "DK2"]])


class Series(Model):
    """A series that the latest run forecast."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    name_da: str | None
    name_en: str | None
    group: str | None
    mean_forecast: float = Field(description="Mean of the point forecasts, kWh an hour.", examples=[84231.5])
    quality: list[str] = Field(description="Qualities of the forecasts.", examples=[["model"]])


class ForecastHour(Model):
    """The forecast of one hour: point forecast, quantiles, and how it came about."""

    datetime_utc: Utc
    energy_consumption: float = Field(description="Point forecast, kWh.", examples=[93493.028])
    q05: float = Field(examples=[88012.1])
    q10: float = Field(examples=[89806.3])
    q50: float = Field(examples=[93493.0])
    q90: float = Field(examples=[98387.8])
    q95: float = Field(examples=[100120.4])
    quality: str = Field(description="`model`, or `fallback: why`.", examples=["model"])


class Observation(Model):
    """What was consumed in an hour."""

    datetime_utc: Utc
    energy_consumption: float = Field(description="kWh", examples=[66581.0])


class SeriesForecast(Model):
    """The forecast of one series, and what it was made by."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    reference_datetime: Utc = Field(description="When it was made: nothing that became known later is in it.")
    feature_view_version: int = Field(examples=[1])
    training_dataset_version: int = Field(examples=[1])
    model_version: int = Field(examples=[1])
    forecast: list[ForecastHour]
    observations: list[Observation] | None = Field(
        None,
        description="With `history_hours`: what is known now of that many hours before the forecast and of its own.",
    )
    previous: "SeriesForecast | None" = Field(
        None, description="With `previous_hours`: the forecast made that much earlier, null if there is none."
    )


class SeriesObservations(Model):
    """Observations of one series."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    known_at: Utc = Field(description="The values are the newest that were known then.")
    observations: list[Observation]
    next: str | None = Field(None, description="Address of the hours that follow, if there are more than fit.")


class Revision(Model):
    """A value, and the time at which it became known; null where a source that had one no longer has it."""

    datetime_utc: Utc
    energy_consumption: float | None = Field(examples=[66581.0])
    known_at: Utc


class SeriesRevisions(Model):
    """Every value that the hours of a series ever had, by hour and time at which it became known."""

    area: str
    consumer_type: str
    unit: Literal["kWh"] = "kWh"
    revisions: list[Revision]
    next: str | None = Field(None, description="Address of the hours that follow, if there are more than fit.")


class Metric(Model):
    """A measure of archived forecasts against what came, kept under the reference time that computed it."""

    reference_datetime: Utc
    feature_view_version: int = Field(examples=[1])
    days: int = Field(description="Over so many days.", examples=[7])
    level: str = Field(description="Over all (`overall`), or of one `series`, `lead` or `hour`.", examples=["overall"])
    area: str | None = Field(examples=[None])
    consumer_type: str | None = Field(examples=[None])
    datetime_utc: Utc | None = Field(examples=[None])
    lead: int | None = Field(description="1 is the first hour of a forecast.", examples=[None])
    metric: str = Field(examples=["wape"])
    value: float | None = Field(examples=[0.0523])
    n: int = Field(description="Observations behind it.", examples=[1824])


class Alarm(Model):
    """What was found wrong, from when to when; open while `cleared_at` is null."""

    feature_view_version: int = Field(examples=[1])
    source: str = Field(description="`monitoring` for what is there, `watch` for what is not.", examples=["monitoring"])
    kind: str = Field(examples=["coverage"])
    subject: str = Field(description="`overall` or a series.", examples=["overall"])
    level: str = Field(description="The highest it reached: `notify` or `tune`.", examples=["notify"])
    opened_at: Utc
    tune_at: Utc | None = Field(description="When it first asked for tuning.")
    last_at: Utc = Field(description="When it last fired, with the value, threshold and message of then.")
    cleared_at: Utc | None
    value: float | None = Field(examples=[0.63])
    threshold: float = Field(examples=[0.7])
    message: str = Field(examples=["the week's 80 % intervals hold 63 % of the values, less than 70 %"])
    notified_at: Utc | None


class Part(Model):
    """What one member of the blend, or one group of inputs, adds to a forecast."""

    name: str = Field(examples=["trees"])
    value: float = Field(description="kWh", examples=[1234.5])


class ExplainedHour(Model):
    """What drove the forecast of one hour."""

    datetime_utc: Utc
    members: list[Part] = Field(description="What each member of the blend adds; they sum to the forecast.")
    features: list[Part] = Field(
        description="What each group of inputs adds to what the fitted members say; they sum to those members' part."
    )


class Explanation(Model):
    """What drove a series' forecast, hour by hour; no hours if the run kept no explanation."""

    area: str = Field(examples=["DK1"])
    consumer_type: str = Field(examples=["111"])
    unit: Literal["kWh"] = "kWh"
    reference_datetime: Utc
    hours: list[ExplainedHour]


class ModelSummary(Model):
    """A registered model version, in short."""

    version: int = Field(examples=[1])
    run_id: str
    reference_datetime: UtcText | None = Field(description="The time as of which its training data were known.")
    feature_view_version: int | None
    training_dataset_version: int | None
    configuration_source: str | None = Field(examples=["default"])
    metrics: dict[str, Any] = Field(description="Its backtest.", examples=[{"wape": 0.0564, "naive_wape": 0.095}])
    champion: bool = Field(
        description="Whether it is the newest of the champion's recipe, and not of the shipped default.",
        examples=[True],
    )


class ModelCard(ModelSummary):
    """All that the registry keeps of a model version."""

    source: str = Field(description="Where its files are.")
    configuration: dict[str, Any] | None
    files: dict[str, str] = Field(description="SHA-256 of each of its files.")
    made_by: dict[str, Any] = Field(description="By which code and DAG run.")
    tags: dict[str, str] = Field(description="What else was recorded.")


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


class Ingest(Model):
    """What a run asked its source for, what it got, and what that changed."""

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
    missing_hours: int | None
    series: int | None
    warnings: list[str]
    dag_run_id: str | None
    validation_page: str | None = Field(examples=["/validation/demo-denmark/2024-03-31T05.html"])


class FindingCount(Model):
    """How many rows broke an expectation."""

    expectation: str = Field(examples=["flat_line"])
    severity: str = Field(examples=["warning"])
    rows: int = Field(examples=[2])


class Validation(Model):
    """The result of validating what one run extracted."""

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
    """How one expectation came out."""

    name: str = Field(examples=["flat_line"])
    promise: str
    met: bool
    unexpected_rows: int | None


class ValidationResult(Validation):
    """The result of a validation, expectation by expectation."""

    expectations: list[ExpectationResult]


class Finding(Model):
    """A row that broke an expectation; one about a whole series has no hour and no value."""

    dataset: str = Field(examples=["demo-denmark"])
    feature_group_version: int = Field(examples=[1])
    known_at: Utc
    window_start: Utc
    area: str | None
    consumer_type: str | None
    datetime_utc: Utc | None
    energy_consumption: float | None
    expectation: str = Field(examples=["flat_line"])
    severity: str = Field(examples=["warning"])
    reason: str
    accepted: bool = Field(description="Whether a person has released it.")


class Run(Model):
    """One archived forecast run: what its forecasts were made from."""

    reference_datetime: Utc
    feature_view_version: int = Field(examples=[1])
    dataset: str | None = Field(examples=["demo-denmark"])
    training_dataset_version: int = Field(examples=[1])
    model_version: int = Field(examples=[1])
    fh: int = Field(description="Hours that were forecast.", examples=[24])
    window_start: Utc
    window_end: Utc
    history_rows: int
    history_series: int
    history_hash: str
    forecasts: int = Field(examples=[1824])
    forecasts_hash: str
    dag_run_id: str | None = Field(examples=["scheduled__2024-03-31T05:00:00+00:00"])
    airflow_url: str | None = Field(description="The DAG run's page, where Airflow's address is set.")


class DagTask(Model):
    """One task of a DAG run, at its last try."""

    task_id: str = Field(examples=["batch_predict"])
    state: str | None = Field(description="As Airflow names it; null before it is scheduled.", examples=["success"])
    started_at: Utc | None = Field(validation_alias="start_date")
    ended_at: Utc | None = Field(validation_alias="end_date")
    seconds: float | None = Field(validation_alias="duration", examples=[3.2])
    tries: int = Field(validation_alias="try_number", examples=[1])


class DagRun(Model):
    """One run of the DAG `ml_pipeline`, as Airflow has it."""

    dag_run_id: str = Field(examples=["scheduled__2024-03-31T05:00:00+00:00"])
    logical_date: Utc | None = Field(description="The hour that it is of; null if it was started without one.")
    run_after: Utc
    state: str = Field(description="`queued`, `running`, `success` or `failed`.", examples=["success"])
    started_at: Utc | None = Field(validation_alias="start_date")
    ended_at: Utc | None = Field(validation_alias="end_date")
    seconds: float | None = Field(validation_alias="duration", examples=[41.5])
    tasks: list[DagTask] = Field(description="In the order in which they started.")
    airflow_url: str | None = Field(description="The run's page.")


class DagRuns(Model):
    """The newest runs of the DAG `ml_pipeline`, and whether there will be more."""

    as_of: Utc = Field(description="When Airflow was asked.")
    paused: bool = Field(description="Whether the DAG is paused: then no hour is run by itself.")
    next_run_after: Utc | None = Field(description="When the next run is due.")
    items: list[DagRun] = Field(description="The newest made, first.")
    total: int = Field(description="How many Airflow has altogether.", examples=[48])


class Provenance(Model):
    """What a forecast was made from, back to its source: `docs/provenance.md`."""

    forecast: dict[str, Any]
    run: dict[str, Any]
    model: dict[str, Any]
    configuration: dict[str, Any]
    training_dataset: dict[str, Any]
    feature_view: dict[str, Any]
    observations: dict[str, Any]
    ingests: dict[str, Any]
