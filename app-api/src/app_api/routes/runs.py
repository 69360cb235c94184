"""Forecast runs, DAG runs, and the provenance of a forecast."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api.airflow import DAG, Airflow, page_of
from app_api.answers import hashed_answer, json_answer, served_by
from app_api.models import DagRuns, Page, Provenance, Run
from app_api.paging import paged
from app_api.parameters import AreaName, ConsumerTypeName, Hour, PageQuery, Time, ViewQuery
from app_api.problems import described
from app_api.routes.quality import page_path
from app_api.served import Served
from app_api.times import iso_times
from forecast_core.provenance.trace import trace as trace_forecast

router = APIRouter(tags=["runs"])
TABLES = ("forecasts", "forecast_runs", "ingests")


class RunsQuery(ViewQuery, PageQuery):
    """The runs to return."""

    reference_from: Time | None = Field(None, description="Made at this reference time or later.")
    reference_until: Time | None = Field(None, description="Made before this reference time.")


class ProvenanceQuery(ViewQuery):
    """The forecast to trace."""

    datetime_utc: Hour = Field(description="The hour that is forecast.")
    reference_datetime: Time | None = Field(None, description="When it was made. Default: the newest run.")


@router.get("/runs", summary="Forecast runs", response_model=Page[Run], responses=described(404, 406, 422, 503))
def runs(request: Request, query: Annotated[RunsQuery, Query()]) -> Response:
    """Archived runs with the data and versions behind their forecasts, newest first; by default of all views."""
    served = served_by(request)
    conditions = [pl.lit(value=True)]
    if query.feature_view_version is not None:
        conditions.append(pl.col("feature_view_version") == served.view(query.feature_view_version).version)
    if query.reference_from is not None:
        conditions.append(pl.col("reference_datetime") >= query.reference_from)
    if query.reference_until is not None:
        conditions.append(pl.col("reference_datetime") < query.reference_until)
    found = served.current.runs.filter(conditions).reverse()
    numbers = range(found.height)
    return json_answer(
        request,
        TABLES,
        lambda: paged(request, query, numbers, lambda page: [_run(served, found.row(at, named=True)) for at in page]),
    )


@router.get(
    "/airflow/runs",
    summary="Runs as Airflow has them",
    response_model=DagRuns,
    responses=described(404, 406, 503),
)
async def airflow_runs(request: Request) -> Response:
    """The newest runs of the pipeline's DAG, failed ones included, with the state and times of each task."""
    airflow: Airflow = request.app.state.airflow
    found = await airflow.runs()
    return hashed_answer(request, lambda: found)


@router.get(
    "/forecasts/{area}/{consumer_type}/provenance",
    summary="Provenance of a forecast",
    response_model=Provenance,
    responses=described(404, 406, 422, 503),
)
def trace(
    request: Request,
    area: AreaName,
    consumer_type: ConsumerTypeName,
    query: Annotated[ProvenanceQuery, Query()],
) -> Response:
    """From one forecast back to run, model, configuration, training dataset, observations, ingests, source and code."""
    served = served_by(request)
    reference, view = query.reference_datetime, query.feature_view_version
    if reference is None:
        reference = served.latest(view).reference
        view = served.view(view).version
    else:
        view = served.view_at(view, reference)

    def make() -> Provenance:
        found = trace_forecast(
            served.settings,
            area=area,
            consumer_type=consumer_type,
            datetime_utc=query.datetime_utc,
            reference_datetime=reference,
            feature_view_version=view,
        )
        for each in filter(None, [found["ingests"]["of_run"], *found["ingests"]["latest"]]):
            each["validation_page"] = page_path(each.pop("validation_result", None))
        return Provenance.model_validate(iso_times(found))

    return json_answer(request, TABLES, make)


def _run(served: Served, facts: Mapping[str, Any]) -> dict[str, Any]:
    made_by = json.loads(facts["made_by"])
    dag_id, dag_run = made_by.get("dag_id"), made_by.get("dag_run_id")
    view = served.current.views.get(facts["feature_view_version"])
    return {
        **{name: value for name, value in facts.items() if name != "made_by"},
        "in_future": facts["reference_datetime"] > served.current.now,
        "dataset": None if view is None else view.view.dataset,
        "dag_id": dag_id,
        "not_taken": served.not_taken(facts["feature_view_version"], facts["reference_datetime"]),
        "dag_run_id": dag_run,
        # Version 1.0.0 recorded no DAG: its runs are those of ml_pipeline.
        "airflow_url": page_of(served.settings, dag_run, dag=dag_id or DAG),
    }
