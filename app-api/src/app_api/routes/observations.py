"""Observations, as known now or at an earlier time, and their revisions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import served_by, table_answer
from app_api.models import Page, SeriesObservations, SeriesRevisions
from app_api.paging import page_facts
from app_api.parameters import AreaName, ConsumerTypeName, Hour, PageQuery, SeriesQuery, Time, ViewQuery
from app_api.run_index import encoded
from app_api.selection import chosen_series
from app_api.served import Served
from forecast_core.contracts.schema import HOUR, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureView
from forecast_core.provenance.find import check_series

router = APIRouter(tags=["observations"])
TABLES = ("ingests", "forecast_runs")
MOST_HOURS = 366 * 24
MOST_VALUES = 250_000
DEFAULT_SPAN = timedelta(days=7)
REVISIONS = pl.Schema({**OBSERVATIONS, "known_at": UTC_HOUR})
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class WindowQuery(ViewQuery):
    """The hours to return."""

    start: Hour | None = Field(None, description="First hour. Default: a week before the end.")
    end: Hour | None = Field(None, description="The hour after the last. Default: the end of the newest ingest.")


class ObservationsQuery(WindowQuery):
    """The hours to return, and the time at which values were known."""

    known_at: Time | None = Field(None, description="As known at this time. Default: as known now.")


class ManyObservationsQuery(SeriesQuery, ObservationsQuery, PageQuery):
    """The series and hours to return, and the time at which values were known."""


@dataclass(frozen=True)
class Asked:
    """The part of a request that one answer covers.

    Attributes:
        view: The feature view.
        window: The hours of this answer, at most ``MOST_HOURS``; None if none are asked for.
        next: Address of the hours that follow, or None.
    """

    view: FeatureView
    window: Window | None
    next: str | None

    def rows(self, read: Callable[[Window], pl.DataFrame], empty: pl.Schema) -> pl.DataFrame:
        """Return what ``read`` gives of the window, or no rows."""
        return pl.DataFrame(schema=empty) if self.window is None else read(self.window)

    def linked(self, answer: Response) -> Response:
        """Return the answer with the address of the hours that follow in its header, if there are any."""
        if self.next is not None:
            answer.headers["Link"] = f'<{self.next}>; rel="next"'
        return answer


@router.get(
    "/observations/{area}/{consumer_type}",
    summary="Observations of one series",
    responses=media.described(SeriesObservations, 404, 406, 422, 503),
)
def observations(
    request: Request,
    area: AreaName,
    consumer_type: ConsumerTypeName,
    query: Annotated[ObservationsQuery, Query()],
) -> Response:
    """Values in kWh by hour, at most a year; `next` leads to later hours. An hour that is missing was not observed."""
    served, series = served_by(request), (area, consumer_type)
    asked = _asked(request, served, query)
    known_at = query.known_at or served.known_at(asked.view)
    check_series(served.latest(asked.view.version).places, *series)

    def read() -> pl.DataFrame:
        return asked.rows(lambda window: _read(served, asked.view, window, known_at, [series]), OBSERVATIONS)

    def as_json() -> bytes:
        return encoded({**_body(series, known_at, read().drop(SERIES).to_dicts()), "next": asked.next})

    return asked.linked(table_answer(request, TABLES, as_json, read))


@router.get(
    "/observations",
    summary="Observations of many series",
    responses=media.described(Page[SeriesObservations], 404, 406, 422, 503),
)
def many(request: Request, query: Annotated[ManyObservationsQuery, Query()]) -> Response:
    """The series that are asked for, sorted by area and consumer type, each with a year at most.

    A page has fewer of them than `limit` where those would have more than 250,000 values.
    """
    served = served_by(request)
    asked = _asked(request, served, query)
    known_at = query.known_at or served.known_at(asked.view)
    wanted = chosen_series(served.latest(asked.view.version), query.area, query.consumer_type)
    most = max(MOST_VALUES // (asked.window.hours if asked.window else 1), 1)
    fitting = query.model_copy(update={"limit": min(query.limit, most)})
    page = wanted[query.offset : query.offset + fitting.limit]
    facts = page_facts(request, fitting, len(wanted))

    def read() -> pl.DataFrame:
        return asked.rows(lambda window: _read(served, asked.view, window, known_at, page), OBSERVATIONS)

    def as_json() -> bytes:
        parts = read().partition_by(SERIES, as_dict=True, include_key=False)
        return facts.body([_body(each, known_at, parts[each].to_dicts() if each in parts else []) for each in page])

    return facts.linked(table_answer(request, TABLES, as_json, read))


@router.get(
    "/observations/{area}/{consumer_type}/revisions",
    summary="Revisions of one series",
    responses=media.described(SeriesRevisions, 404, 406, 422, 503),
)
def revisions(
    request: Request,
    area: AreaName,
    consumer_type: ConsumerTypeName,
    query: Annotated[WindowQuery, Query()],
) -> Response:
    """All values that each hour has had, with the times at which they became known; at most a year."""
    served, series = served_by(request), (area, consumer_type)
    asked = _asked(request, served, query)
    check_series(served.latest(asked.view.version).places, *series)

    def read() -> pl.DataFrame:
        return asked.rows(lambda window: _revisions(served, asked.view, window, series), REVISIONS)

    def as_json() -> bytes:
        facts = {"area": area, "consumer_type": consumer_type, "unit": "kWh"}
        return encoded({**facts, "revisions": read().drop(SERIES).to_dicts(), "next": asked.next})

    return asked.linked(table_answer(request, TABLES, as_json, read))


def _asked(request: Request, served: Served, query: WindowQuery) -> Asked:
    """Return what is asked for.

    Raises:
        Refused: 404 if there is no such view.
    """
    view = served.view(query.feature_view_version)
    newest = served.current.ingest(view.version)
    end = query.end or (newest.window.end if newest else None) or served.latest(view.version).reference
    start = query.start or max(end, _EARLIEST + DEFAULT_SPAN) - DEFAULT_SPAN
    if start >= end:
        return Asked(view, None, None)
    if (end - start) // HOUR <= MOST_HOURS:
        return Asked(view, Window(start, end), None)
    following = start + MOST_HOURS * HOUR
    url = request.url.include_query_params(start=f"{following:%Y-%m-%dT%H:%M:%SZ}", end=f"{end:%Y-%m-%dT%H:%M:%SZ}")
    return Asked(view, Window(start, following), f"{url.path}?{url.query}")


def _read(
    served: Served, view: FeatureView, window: Window, known_at: datetime, series: list[tuple[str, str]]
) -> pl.DataFrame:
    return served.store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=window,
        reference_datetime=known_at,
        series=series,
    )


def _revisions(served: Served, view: FeatureView, window: Window, series: tuple[str, str]) -> pl.DataFrame:
    return served.store.read_revisions(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=window,
        series=[series],
    )


def _body(series: tuple[str, str], known_at: datetime, values: list[dict[str, Any]]) -> dict[str, Any]:
    facts = {"area": series[0], "consumer_type": series[1], "unit": "kWh", "known_at": known_at}
    return {**facts, "observations": values}
