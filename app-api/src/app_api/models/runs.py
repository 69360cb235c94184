"""Forecast runs, DAG runs and provenance."""

from typing import Any

from pydantic import Field

from app_api.models.page import Model, Utc


class Run(Model):
    """One archived forecast run, and the data and versions behind its forecasts."""

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
    in_future: bool = Field(description="The reference time is still to come, so the run is not the newest.")
    dag_id: str | None = Field(None, description="The DAG; null from a shell.", examples=["ml_pipeline"])
    not_taken: int = Field(
        description="Corrected values that the run, repeated after a correction, did not take; a later run does.",
        examples=[0],
    )
    dag_run_id: str | None = Field(examples=["scheduled__2024-03-31T05:00:00+00:00"])
    airflow_url: str | None = Field(description="The DAG run's page, where Airflow's address is set.")


class DagTask(Model):
    """One task of a DAG run, at its last try."""

    task_id: str = Field(examples=["batch_predict"])
    state: str | None = Field(description="Airflow's state; null before it is scheduled.", examples=["success"])
    started_at: Utc | None = Field(validation_alias="start_date")
    ended_at: Utc | None = Field(validation_alias="end_date")
    seconds: float | None = Field(validation_alias="duration", examples=[3.2])
    tries: int = Field(validation_alias="try_number", examples=[1])


class DagRun(Model):
    """One run of the DAG `ml_pipeline`, as Airflow has it."""

    dag_run_id: str = Field(examples=["scheduled__2024-03-31T05:00:00+00:00"])
    logical_date: Utc | None = Field(description="The hour that the run is for; null if it was started without one.")
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
    paused: bool = Field(description="Whether the DAG is paused: then no run starts by itself.")
    next_run_after: Utc | None = Field(description="When the next run is due.")
    items: list[DagRun] = Field(description="Newest first.")
    total: int = Field(description="Number of all runs in Airflow.", examples=[48])


class Provenance(Model):
    """The way from a forecast back to its source: `docs/provenance.md`."""

    forecast: dict[str, Any]
    run: dict[str, Any]
    model: dict[str, Any]
    configuration: dict[str, Any]
    training_dataset: dict[str, Any]
    feature_view: dict[str, Any]
    observations: dict[str, Any]
    ingests: dict[str, Any]
