"""Monitoring: metrics of archived forecasts, overall and by series, hour and lead; alarms."""

from datetime import datetime, timedelta
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import json_answer, served_by, table_answer
from app_api.models import Alarm, Metric, Page
from app_api.paging import page_facts, paged
from app_api.parameters import Name, PageQuery, SeriesQuery, Time, ViewQuery
from app_api.problems import described
from app_api.served import Served
from forecast_core.alarms import Alarms
from forecast_core.contracts.schema import METRICS
from forecast_core.provenance.find import INSTANT

router = APIRouter(tags=["monitoring"])
TABLES = ("monitoring", "forecast_runs")
LOOK_BACK = timedelta(days=7)
SKEW = timedelta(minutes=5)
"""A check may be of this much after the server's time: the watch may run on another machine, whose clock is ahead."""


class AlarmsQuery(ViewQuery, PageQuery):
    """The alarms to return."""

    open: bool = Field(False, description="Only open alarms.")  # what it is called for users
    as_of: Time | None = Field(None, description="Alarms as they were at this time. Default: now.")


class MetricsQuery(SeriesQuery, PageQuery):
    """The metrics to return."""

    level: list[Name] | None = Field(None, max_length=10, description="Only these levels.", examples=[["overall"]])
    metric: list[Name] | None = Field(None, max_length=50, description="Only these metrics.", examples=[["wape"]])
    days: list[Annotated[int, Field(ge=1, le=1000)]] | None = Field(
        None, max_length=10, description="Only metrics that cover this many days.", examples=[[7]]
    )
    reference_from: Time | None = Field(
        None, description="Computed at this reference time or later. Default: only at the newest one."
    )
    reference_until: Time | None = Field(None, description="Computed before this reference time.")
    limit: int = Field(1000, ge=1, le=10_000, description="Most items to return.")


@router.get(
    "/monitoring",
    summary="Metrics of forecasts against observations",
    responses=media.described(Page[Metric], 404, 406, 422, 503),
)
def metrics(request: Request, query: Annotated[MetricsQuery, Query()]) -> Response:
    """Sorted by reference time, level, area, consumer type, hour and metric."""
    served = served_by(request)
    view = served.view(query.feature_view_version)
    rows = _rows(served, view.version, query)
    page, facts = rows[query.offset : query.offset + query.limit], page_facts(request, query, rows.height)
    return facts.linked(table_answer(request, TABLES, lambda: facts.body(page.to_dicts()), lambda: page))


@router.get("/alarms", summary="Alarms", response_model=Page[Alarm], responses=described(404, 406, 422, 503))
def alarms(request: Request, query: Annotated[AlarmsQuery, Query()]) -> Response:
    """Open alarms first, then the latest opened first."""
    served = served_by(request)
    given = query.feature_view_version
    view = None if given is None else served.view(given).version

    def make() -> bytes:
        as_of = query.as_of or served.clock() + SKEW
        found = Alarms(served.settings).read(feature_view_version=view, as_of=as_of, only_open=query.open)
        return paged(request, query, range(found.height), lambda page: found[list(page)].to_dicts())

    return json_answer(request, ("alarms", "alarm_notices", "forecast_runs"), make)


def _rows(served: Served, view: int, query: MetricsQuery) -> pl.DataFrame:
    if query.reference_from is None and query.reference_until is None:
        found = newest_metrics(served, view)
    else:
        span = {"reference_from": query.reference_from, "reference_until": query.reference_until}
        found = served.archive.read_metrics(feature_view_version=view, **span)
    wanted = ("level", "metric", "days", "area", "consumer_type")
    asked = {name: values for name in wanted if (values := getattr(query, name)) is not None}
    conditions = [pl.col(name).is_in(values) for name, values in asked.items()]
    return found.filter(conditions) if conditions else found


def newest_metrics(served: Served, view: int) -> pl.DataFrame:
    """Return the newest metrics of a view: those of its newest run or of the last run before it that has some."""
    runs = served.current.due.filter(pl.col("feature_view_version") == view)
    if runs.is_empty():
        return pl.DataFrame(schema=METRICS)
    newest: datetime = runs["reference_datetime"][-1]
    for back in (timedelta(0), LOOK_BACK):
        span = {"reference_from": newest - back, "reference_until": newest + INSTANT}
        found = served.archive.read_metrics(feature_view_version=view, **span)
        if not found.is_empty():
            break
    return found.filter(pl.col("reference_datetime") == pl.col("reference_datetime").max())
