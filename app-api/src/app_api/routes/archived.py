"""What came of the forecasts: those of all runs beside the observations, and metrics by hour over all time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import served_by, table_answer
from app_api.models.archived import HourMetric, SeriesArchive
from app_api.models.page import Page
from app_api.paging import page_facts
from app_api.parameters import AreaName, ConsumerTypeName, Hour, Name, PageQuery, ViewQuery
from app_api.routes.forecasts import observations_of
from app_api.run_index import encoded
from app_api.served import Served
from forecast_core.contracts.schema import FORECASTS, HOUR, KEY, SERIES
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureView
from forecast_core.provenance import find

router = APIRouter()
TABLES: Final = ("forecasts", "forecast_runs", "ingests")
MOST_HOURS: Final = 31 * 24
"""Hours of one answer: hourly runs forecast each of them 24 times, which makes 18,000 rows and 4 MB of JSON."""
DEFAULT_SPAN: Final = timedelta(days=7)


class SpanQuery(ViewQuery):
    """The hours that are forecast."""

    start: Hour | None = Field(None, description="First hour. Default: a week before the end.")
    end: Hour | None = Field(None, description="The hour after the last. Default: the end of the newest ingest.")


class ArchiveQuery(SpanQuery):
    """The hours, and which of their forecasts to return."""

    last_run_only: bool = Field(False, description="Of each hour only the forecast that was made last.")


class HoursQuery(ViewQuery, PageQuery):
    """The hours and metrics to return."""

    metric: list[Name] | None = Field(None, max_length=50, description="Only these metrics.", examples=[["mape"]])
    start: Hour | None = Field(None, description="First hour. Default: the first that was ever scored.")
    end: Hour | None = Field(None, description="The hour after the last. Default: after the last one scored.")
    limit: int = Field(1000, ge=1, le=10_000, description="Most items to return.")


@router.get(
    "/forecasts/{area}/{consumer_type}/archive",
    summary="Archived forecasts of one series beside what came",
    tags=["forecasts"],
    responses=media.described(SeriesArchive, 404, 406, 422, 503),
)
def archive(
    request: Request, area: AreaName, consumer_type: ConsumerTypeName, query: Annotated[ArchiveQuery, Query()]
) -> Response:
    """What every run forecast of each hour, and what was observed; at most a month, `next` leads to later hours."""
    served, series = served_by(request), (area, consumer_type)
    view = served.view(query.feature_view_version)
    known_at = served.known_at(view)
    window, following = _span(request, served, view, query)

    def read() -> pl.DataFrame:
        if window is None:
            find.check_series(served.latest(view.version).places, *series)
            return pl.DataFrame(schema={**FORECASTS, "observed": pl.Float64()})
        rows = _archived(served, view, window, series)
        if query.last_run_only:
            rows = rows.sort("reference_datetime").unique("datetime_utc", keep="last")
        observed = observations_of(served, view, [series], window, known_at).rename({"energy_consumption": "observed"})
        return rows.join(observed, on=KEY, how="left").sort("datetime_utc", "reference_datetime")

    def as_json() -> bytes:
        facts: dict[str, Any] = {"area": area, "consumer_type": consumer_type, "unit": "kWh"}
        facts |= {"feature_view_version": view.version, "known_at": known_at}
        rows = read().drop(*SERIES, "feature_view_version")
        return encoded({**facts, "forecasts": rows.to_dicts(), "next": following})

    answer = table_answer(request, TABLES, as_json, read)
    if following is not None:
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


@router.get(
    "/monitoring/hours",
    summary="Metrics of every hour that was ever scored",
    tags=["monitoring"],
    responses=media.described(Page[HourMetric], 404, 406, 422, 503),
)
def hours(request: Request, query: Annotated[HoursQuery, Query()]) -> Response:
    """One value for each hour and metric, over all series, as it was computed last; sorted by hour and metric."""
    served = served_by(request)
    view = served.view(query.feature_view_version).version
    rows = _hours(served, view, query)
    page, facts = rows[query.offset : query.offset + query.limit], page_facts(request, query, rows.height)
    answer = table_answer(request, ("monitoring", "forecast_runs"), lambda: facts.body(page.to_dicts()), lambda: page)
    return facts.linked(answer)


def _span(request: Request, served: Served, view: FeatureView, query: SpanQuery) -> tuple[Window | None, str | None]:
    """Return the hours of this answer, None if none are asked for, and the address of those that follow, if any."""
    newest = served.current.ingest(view.version)
    end = query.end or (newest.window.end if newest else None) or served.latest(view.version).reference
    start = query.start or end - min(DEFAULT_SPAN, end - _first_of(end))
    if start >= end:
        return None, None
    if (end - start) // HOUR <= MOST_HOURS:
        return Window(start, end), None
    following = start + MOST_HOURS * HOUR
    url = request.url.include_query_params(start=f"{following:%Y-%m-%dT%H:%M:%SZ}", end=f"{end:%Y-%m-%dT%H:%M:%SZ}")
    return Window(start, following), f"{url.path}?{url.query}"


def _first_of(end: datetime) -> datetime:
    """Return the first time that there is, in the zone of ``end``: a default start must not lie before it."""
    return datetime.min.replace(tzinfo=end.tzinfo)


def _archived(served: Served, view: FeatureView, window: Window, series: tuple[str, str]) -> pl.DataFrame:
    """Return FORECASTS of a window's hours by all runs of a view.

    Raises:
        NotFoundError: If neither they nor the newest run have the series; it names those that there are.
    """
    runs = served.current.runs.filter(
        pl.col("feature_view_version") == view.version,
        # A forecast begins at the end of the run's window, or at its reference time.
        pl.min_horizontal("window_end", "reference_datetime") < window.end,
        pl.max_horizontal("window_end", "reference_datetime") + pl.col("fh") * HOUR > window.start,
    )
    first, last = runs["reference_datetime"].min(), runs["reference_datetime"].max()
    found = pl.DataFrame(schema=FORECASTS)
    if isinstance(first, datetime) and isinstance(last, datetime):
        found = served.archive.read(
            feature_view_version=view.version,
            reference_from=first,
            reference_until=last + find.INSTANT,
            target=window,
            series=[series],
        )
    if found.is_empty():
        find.check_series(served.latest(view.version).places, *series)
    return found


def _hours(served: Served, view: int, query: HoursQuery) -> pl.DataFrame:
    """Return the columns of ``HourMetric``: of each hour the newest value."""
    runs = served.current.runs.filter(pl.col("feature_view_version") == view)
    found = served.archive.read_hours(
        feature_view_version=view, reference_datetimes=_of_each_day(runs["reference_datetime"]), metrics=query.metric
    )
    hour = pl.col("datetime_utc")
    wanted = [] if query.start is None else [hour >= query.start]
    wanted += [] if query.end is None else [hour < query.end]
    return found.filter(wanted) if wanted else found


def _of_each_day(references: pl.Series) -> Sequence[datetime]:
    """Return the first and the last time of each day.

    A run computes the figures of every hour of a week, so these runs together have all hours, in a twelfth of the rows.
    """
    days = (
        references.to_frame()
        .group_by(references.dt.date().alias("day"))
        .agg(first=pl.col(references.name).min(), last=pl.col(references.name).max())
    )
    return pl.concat([days["first"], days["last"].alias("first")]).unique().sort().to_list()
