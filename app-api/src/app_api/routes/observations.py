"""Observations: what was consumed, as known now or at any time, and every value that an hour ever had."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import served_by, table_answer
from app_api.models import Page, SeriesObservations, SeriesRevisions
from app_api.paging import page_facts
from app_api.parameters import Hour, Name, PageQuery, SeriesQuery, Time, ViewQuery
from app_api.problems import Refused, described
from app_api.run_index import encoded
from app_api.selection import chosen_series, no_such_series
from app_api.served import Served
from forecast_core.feature_store import FeatureView
from forecast_core.schema import SERIES
from forecast_core.window import HOUR, Window

router = APIRouter(tags=["observations"])
TABLES = ("ingests", "forecast_runs")
MOST_HOURS = 366 * 24
MOST_VALUES = 250_000
_DEFAULT_SPAN = timedelta(days=7)


class WindowQuery(ViewQuery):
    """Which hours are meant."""

    start: Hour | None = Field(None, description="First hour. Default: a week before the end.")
    end: Hour | None = Field(None, description="The hour after the last. Default: the end of the newest ingest.")


class ObservationsQuery(WindowQuery):
    """Which hours are meant, as known when."""

    known_at: Time | None = Field(None, description="As known at this time. Default: as known now.")


class ManyObservationsQuery(SeriesQuery, ObservationsQuery, PageQuery):
    """Which hours of which series are meant, as known when."""


@router.get(
    "/observations/{area}/{consumer_type}",
    summary="Observations of one series",
    responses={**media.described(SeriesObservations), **described(404, 406, 422, 503)},
)
def observations(
    request: Request,
    area: Annotated[Name, Path(examples=["DK1"])],
    consumer_type: Annotated[Name, Path(examples=["111"])],
    query: Annotated[ObservationsQuery, Query()],
) -> Response:
    """Values in kWh by hour, at most a year; an hour that is missing was not observed."""
    served, series = served_by(request), (area, consumer_type)
    view, window = asked_for(served, query)
    known_at = query.known_at or served.known_at(view)
    run = served.latest(view.version)
    if series not in run.places:
        raise no_such_series(run, series)

    def read() -> pl.DataFrame:
        return _read(served, view, window, known_at, [series])

    def as_json() -> bytes:
        return encoded(_body(series, known_at, read().drop(SERIES).to_dicts()))

    return table_answer(request, TABLES, as_json, read)


@router.get(
    "/observations",
    summary="Observations of many series",
    responses={**media.described(Page[SeriesObservations]), **described(404, 406, 422, 503)},
)
def many(request: Request, query: Annotated[ManyObservationsQuery, Query()]) -> Response:
    """The series that are asked for, sorted by area and consumer type; a page is of whole series."""
    served = served_by(request)
    view, window = asked_for(served, query)
    known_at = query.known_at or served.known_at(view)
    wanted = chosen_series(served.latest(view.version), query.area, query.consumer_type)
    page = wanted[query.offset : query.offset + query.limit]
    if len(page) * window.hours > MOST_VALUES:
        most = max(MOST_VALUES // window.hours, 1)
        raise Refused(
            422,
            f"{len(page)} series of {window.hours} hours are more than {MOST_VALUES:,} values: ask for a shorter "
            f"window, or for limit={most}",
        )
    facts = page_facts(request, query, len(wanted))

    def as_json() -> bytes:
        rows = _read(served, view, window, known_at, page)
        parts = rows.partition_by(SERIES, as_dict=True, include_key=False)
        return facts.body([_body(each, known_at, parts[each].to_dicts() if each in parts else []) for each in page])

    return facts.linked(table_answer(request, TABLES, as_json, lambda: _read(served, view, window, known_at, page)))


@router.get(
    "/observations/{area}/{consumer_type}/revisions",
    summary="Revisions of one series",
    responses={**media.described(SeriesRevisions), **described(404, 406, 422, 503)},
)
def revisions(
    request: Request,
    area: Annotated[Name, Path(examples=["DK1"])],
    consumer_type: Annotated[Name, Path(examples=["111"])],
    query: Annotated[WindowQuery, Query()],
) -> Response:
    """Every value that each hour ever had, with the time at which it became known."""
    served, series = served_by(request), (area, consumer_type)
    view, window = asked_for(served, query)
    run = served.latest(view.version)
    if series not in run.places:
        raise no_such_series(run, series)

    def read() -> pl.DataFrame:
        return served.store.read_revisions(
            dataset=view.dataset,
            feature_group_version=view.feature_group_version,
            window=window,
            series=[series],
        )

    def as_json() -> bytes:
        facts = {"area": area, "consumer_type": consumer_type, "unit": "kWh"}
        return encoded({**facts, "revisions": read().drop(SERIES).to_dicts()})

    return table_answer(request, TABLES, as_json, read)


def asked_for(served: Served, query: WindowQuery) -> tuple[FeatureView, Window]:
    """Return the view and the window that are asked for.

    Raises:
        Refused: 404 if there is no such view, 422 if the window is empty or too long.
    """
    view = served.view(query.feature_view_version)
    newest = served.current.ingests.get(view.version)
    end = query.end or (newest.window.end if newest else None) or served.latest(view.version).reference
    start = query.start or _earlier(end)
    hours = (end - start) // HOUR
    if not 0 < hours <= MOST_HOURS:
        raise Refused(422, f"start to end must be 1 to {MOST_HOURS} hours, not {hours}")
    return view, Window(start, end)


def _earlier(end: datetime) -> datetime:
    try:
        return end - _DEFAULT_SPAN
    except OverflowError:
        raise Refused(422, f"there is no week before {end}: say start") from None


def _read(
    served: Served, view: FeatureView, window: Window, known_at: datetime, series: list[tuple[str, str]]
) -> pl.DataFrame:
    return served.store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=window,
        known_at=known_at,
        series=series,
    )


def _body(series: tuple[str, str], known_at: datetime, values: list[dict[str, Any]]) -> dict[str, Any]:
    facts = {"area": series[0], "consumer_type": series[1], "unit": "kWh", "known_at": known_at}
    return {**facts, "observations": values}
