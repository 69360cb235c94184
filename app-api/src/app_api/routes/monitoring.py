"""Monitoring: how good archived forecasts turned out, over all and per series, hour and lead."""

from datetime import datetime, timedelta
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import served_by, table_answer
from app_api.models import Metric, Page
from app_api.paging import page_facts
from app_api.parameters import Name, PageQuery, SeriesQuery, Time
from app_api.problems import described
from app_api.served import Served

router = APIRouter(tags=["monitoring"])
TABLES = ("monitoring", "forecast_runs")
LOOK_BACK = timedelta(days=7)


class MetricsQuery(SeriesQuery, PageQuery):
    """Which metrics are meant."""

    level: list[Name] | None = Field(None, max_length=10, description="Only these levels.", examples=[["overall"]])
    metric: list[Name] | None = Field(None, max_length=50, description="Only these metrics.", examples=[["wape"]])
    reference_from: Time | None = Field(
        None, description="Computed at this reference time or later. Default: only at the newest one."
    )
    reference_until: Time | None = Field(None, description="Computed before this reference time.")
    limit: int = Field(1000, ge=1, le=10_000, description="How many at most.")


@router.get(
    "/monitoring",
    summary="Metrics of forecasts against what came",
    responses={**media.described(Page[Metric]), **described(404, 406, 422, 503)},
)
def metrics(request: Request, query: Annotated[MetricsQuery, Query()]) -> Response:
    """Sorted by reference time, level, area, consumer type, hour and metric."""
    served = served_by(request)
    view = served.view(query.feature_view_version)
    rows = _rows(served, view.version, query)
    page, facts = rows[query.offset : query.offset + query.limit], page_facts(request, query, rows.height)
    return facts.linked(table_answer(request, TABLES, lambda: facts.body(page.to_dicts()), lambda: page))


def _rows(served: Served, view: int, query: MetricsQuery) -> pl.DataFrame:
    if query.reference_from is None and query.reference_until is None:
        found = _newest(served, view)
    else:
        span = {"reference_from": query.reference_from, "reference_until": query.reference_until}
        found = served.archive.read_metrics(feature_view_version=view, **span)
    wanted = ("level", "metric", "area", "consumer_type")
    asked = {name: values for name in wanted if (values := getattr(query, name)) is not None}
    return found.filter(pl.col(name).is_in(values) for name, values in asked.items())


def _newest(served: Served, view: int) -> pl.DataFrame:
    """Return what was computed last: at the newest run, or in the days before it."""
    runs = served.current.runs.filter(pl.col("feature_view_version") == view)
    newest: datetime = runs["reference_datetime"][-1]
    for back in (timedelta(0), LOOK_BACK):
        found = served.archive.read_metrics(feature_view_version=view, reference_from=newest - back)
        if not found.is_empty():
            break
    return found.filter(pl.col("reference_datetime") == pl.col("reference_datetime").max())
