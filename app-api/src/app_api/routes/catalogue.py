"""Feature views, areas, consumer types and series that have forecasts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api.answers import json_answer, served_by
from app_api.models import Area, ConsumerType, FeatureView, Page, Series
from app_api.paging import paged
from app_api.parameters import PageQuery, SeriesQuery, ViewQuery
from app_api.problems import described
from app_api.run_index import Name, RunIndex
from app_api.selection import chosen_series
from app_api.served import Served
from forecast_core import consumer_types
from forecast_core.contracts.schema import SERIES

router = APIRouter(tags=["catalogue"])
TABLES = ("forecasts", "forecast_runs", "consumer_types")
_CODE_LIST = "DE35"
_NAMES = ("name_da", "name_en", "group", "group_name_da", "group_name_en")

Names = Mapping[str, Mapping[str, str | None]]


class ViewPageQuery(ViewQuery, PageQuery):
    """The view, and the part of the list."""


class SearchQuery(SeriesQuery, PageQuery):
    """The series to return."""

    q: str | None = Field(
        None, min_length=1, max_length=100, description="Only series whose area, code or names contain this."
    )


@router.get(
    "/feature-views",
    summary="Datasets that have forecasts",
    response_model=Page[FeatureView],
    responses=described(406, 422, 503),
)
def feature_views(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Each feature view with the span of its runs; every other route takes its version."""
    current = served_by(request).current
    spans = current.runs.group_by("feature_view_version").agg(
        first=pl.col("reference_datetime").min(),
        last=pl.col("reference_datetime").filter(pl.col("reference_datetime") <= current.now).max(),
        runs=pl.len(),
    )
    items = [
        {
            "version": number,
            "dataset": (view := current.views[number].view).dataset,
            "feature_group_version": view.feature_group_version,
            "definition_hash": view.definition_hash,
            "runs": runs,
            "first_reference_datetime": first,
            "latest_reference_datetime": last,
        }
        for number, first, last, runs in spans.sort("feature_view_version").iter_rows()
        if number in current.views
    ]
    return json_answer(request, TABLES, lambda: paged(request, query, items))


@router.get("/areas", summary="Price areas", response_model=Page[Area], responses=described(404, 406, 422, 503))
def areas(request: Request, query: Annotated[ViewPageQuery, Query()]) -> Response:
    """The areas that the latest run forecast."""
    run = served_by(request).latest(query.feature_view_version)
    counts: dict[str, int] = {}
    for area, _ in run.places:
        counts[area] = counts.get(area, 0) + 1
    items = [{"area": area, "series": count} for area, count in counts.items()]
    return json_answer(request, TABLES, lambda: paged(request, query, items))


@router.get(
    "/consumer-types",
    summary="Consumer types",
    response_model=Page[ConsumerType],
    responses=described(404, 406, 422, 503),
)
def types(request: Request, query: Annotated[ViewPageQuery, Query()]) -> Response:
    """The consumer types that the latest run forecast, with their names and groups."""
    served = served_by(request)
    run = served.latest(query.feature_view_version)

    def make() -> bytes:
        names, found = _names(served), _areas_by_type(run)
        items = [{"consumer_type": each, **_named(names, each), "areas": found[each]} for each in sorted(found)]
        return paged(request, query, items)

    return json_answer(request, TABLES, make)


@router.get("/series", summary="Series", response_model=Page[Series], responses=described(404, 406, 422, 503))
def series(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    """The series that the latest run forecast, with their mean forecast and quality."""
    served = served_by(request)
    run = served.latest(query.feature_view_version)
    found = chosen_series(run, query.area, query.consumer_type)

    def make() -> bytes:
        names = _names(served)
        text = (query.q or "").casefold()
        hits = [each for each in found if text in _searched(each, names)] if text else found
        return paged(request, query, hits, lambda page: _described(run, page, names))

    return json_answer(request, TABLES, make)


def _names(served: Served) -> Names:
    def read() -> Names:
        known = consumer_types.read(served.settings, code_list=_CODE_LIST)
        return {row["consumer_type"]: row for row in known.iter_rows(named=True)}

    return served.remembered("names", ("consumer_types",), read)


def _named(names: Names, consumer_type: str) -> dict[str, str | None]:
    known = names.get(consumer_type, {})
    return {name: known.get(name) for name in _NAMES}


def _areas_by_type(run: RunIndex) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for area, kind in run.places:
        found.setdefault(kind, []).append(area)
    return found


def _searched(series: Name, names: Names) -> str:
    words = [*series, "/".join(series), *_named(names, series[1]).values()]
    return "\n".join(word for word in words if word).casefold()


def _described(run: RunIndex, page: Sequence[Name], names: Names) -> list[dict[str, Any]]:
    summed = (
        run.frame(page)
        .group_by(SERIES, maintain_order=True)
        .agg(mean=pl.col("energy_consumption").mean(), quality=pl.col("quality").unique().sort())
    )
    kept = ("name_da", "name_en", "group")
    return [
        {
            "area": area,
            "consumer_type": kind,
            **{name: _named(names, kind)[name] for name in kept},
            "mean_forecast": mean,
            "quality": quality,
        }
        for area, kind, mean, quality in summed.iter_rows()
    ]
