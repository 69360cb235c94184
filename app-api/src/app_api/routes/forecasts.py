"""Forecasts of one series or of many, the newest or those of a reference time, with observations beside them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypedDict

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app_api import media
from app_api.answers import conditional, json_answer, served_by, table_answer
from app_api.models import Explanation, Page, SeriesForecast
from app_api.paging import page_facts
from app_api.parameters import AreaName, ConsumerTypeName, PageQuery, SeriesQuery, Time, ViewQuery
from app_api.problems import described
from app_api.run_index import Body, RunIndex, encoded, indexed
from app_api.run_index import Name as Series
from app_api.selection import chosen_series
from app_api.served import Served
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import HOUR, KEY, SERIES
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureView
from forecast_core.provenance import find

router = APIRouter(tags=["forecasts"])
TABLES = ("forecasts", "forecast_runs", "ingests")


class RunQuery(ViewQuery):
    """The run whose forecast is returned."""

    reference_datetime: Time | None = Field(None, description="When it was made. Default: the newest.")


class ForecastQuery(RunQuery):
    """The run whose forecast is returned, and what to return beside it."""

    history_hours: int | None = Field(
        None, ge=0, le=744, description="Also the observations of its hours and of this many hours before them."
    )
    previous_hours: int | None = Field(
        None, ge=1, le=744, description="Also the forecast that was made this many hours earlier."
    )


class ForecastsQuery(SeriesQuery, PageQuery):
    """The run and the series whose forecasts are returned, and what to return beside them."""

    reference_datetime: Time | None = Field(None, description="When they were made. Default: the newest.")
    history_hours: int | None = Field(
        None, ge=0, le=168, description="Also the observations of their hours and of this many hours before them."
    )


@router.get(
    "/forecasts/{area}/{consumer_type}",
    summary="The forecast of one series",
    responses=media.described(SeriesForecast, 404, 406, 422, 503),
)
def forecast(
    request: Request,
    area: AreaName,
    consumer_type: ConsumerTypeName,
    query: Annotated[ForecastQuery, Query()],
) -> Response:
    """Point forecast and quantiles of every hour, the latest or as made at a reference time.

    As a table (CSV, Arrow, parquet): the rows of the archive; with `history_hours` also the column `observed`, and a
    row for every observed hour before the forecast.
    """
    served, series = served_by(request), (area, consumer_type)
    run = run_of(served, query.feature_view_version, query.reference_datetime, [series])
    find.check_series(run.places, *series)
    if query.history_hours is None and query.previous_hours is None:
        return alone(request, served, run, series)

    def as_json() -> bytes:
        body: Body = {**_body(served, run, series), **_beside(served, run, [series], query.history_hours)[series]}
        if query.previous_hours is not None:
            body["previous"] = _previous(served, run, series, query.previous_hours)
        return encoded(body)

    return table_answer(request, TABLES, as_json, lambda: _table(served, run, [series], query.history_hours))


def alone(request: Request, served: Served, run: RunIndex, series: Series) -> Response:
    """Answer with one series' forecast and nothing beside it; its ETag is that of the run's content."""
    form = media.chosen(request, media.TABLE)
    tag = tag_of(run, form)
    if form == media.JSON:
        count = not_taken(served, run)
        tag = f"{tag}-{count}" if count else tag
        return conditional(request, tag, form, lambda: encoded(_body(served, run, series)))
    return conditional(request, tag, form, lambda: media.written(run.frame([series]), form))


@router.get(
    "/forecasts",
    summary="Forecasts of many series",
    responses=media.described(Page[SeriesForecast], 404, 406, 422, 503),
)
def forecasts(request: Request, query: Annotated[ForecastsQuery, Query()]) -> Response:
    """The forecasts of the series that are asked for, sorted by area and consumer type; a page is of whole series."""
    served = served_by(request)
    run = run_of(served, query.feature_view_version, query.reference_datetime, None)
    wanted = chosen_series(run, query.area, query.consumer_type)
    page = wanted[query.offset : query.offset + query.limit]
    facts = page_facts(request, query, len(wanted))

    def as_json() -> bytes:
        beside = _beside(served, run, page, query.history_hours)
        return facts.body([{**_body(served, run, each), **beside[each]} for each in page])

    answer = table_answer(request, TABLES, as_json, lambda: _table(served, run, page, query.history_hours))
    return facts.linked(answer)


@router.get(
    "/forecasts/{area}/{consumer_type}/explanation",
    summary="Explanation of a forecast",
    response_model=Explanation,
    responses=described(404, 406, 422, 503),
)
def explanation(
    request: Request,
    area: AreaName,
    consumer_type: ConsumerTypeName,
    query: Annotated[RunQuery, Query()],
) -> Response:
    """What each member of the blend and each group of inputs adds to the forecast of every hour."""
    served, series = served_by(request), (area, consumer_type)
    run = run_of(served, query.feature_view_version, query.reference_datetime, [series])
    find.check_series(run.places, *series)

    def make() -> bytes:
        rows = served.archive.read_explanations(
            feature_view_version=run.facts["feature_view_version"],
            reference_datetime=run.reference,
            area=area,
            consumer_type=consumer_type,
        )
        hours: dict[datetime, dict[str, Any]] = {}
        for hour, kind, name, value in rows.select("datetime_utc", "kind", "name", "value").iter_rows():
            explained = hours.setdefault(hour, {"datetime_utc": hour, "members": [], "features": []})
            explained[f"{kind}s"].append({"name": name, "value": value})
        facts = {"area": area, "consumer_type": consumer_type, "unit": "kWh", "reference_datetime": run.reference}
        return encoded({**facts, "hours": list(hours.values())})

    return json_answer(request, ("forecast_explanations", "forecast_runs"), make)


def not_taken(served: Served, run: RunIndex) -> int:
    """Return the number of corrected values that the run, repeated after a correction, did not take."""
    return served.not_taken(run.facts["feature_view_version"], run.reference)


def _body(served: Served, run: RunIndex, series: Series) -> Body:
    body, count = run.body(series), not_taken(served, run)
    if count:
        body["not_taken"] = count
    return body


def tag_of(run: RunIndex, form: str) -> str:
    """Return what names a run's forecasts in one form; each series has its own address, so it is no part of it."""
    return f"{run.tag}-{media.TABLE.index(form)}"


def run_of(served: Served, view: int | None, reference: datetime | None, series: Sequence[Series] | None) -> RunIndex:
    """Return the newest run, or the one of a reference time with at least the series that are asked for.

    Raises:
        NotFoundError: If there is no such run or series; it names those that there are.
        InvalidArgument: If no view is given and several other than the default have a run of that time.
    """
    if reference is None:
        return served.latest(view)
    number = served.view_at(view, reference)
    held = served.current.run(number)
    if held is not None and held.reference == reference:
        return held
    rows = partial(
        served.archive.read,
        feature_view_version=number,
        reference_from=reference,
        reference_until=reference + find.INSTANT,
    )
    frame = rows(series=series)
    if frame.is_empty() and series is not None:
        find.check_series(rows().select(SERIES).unique().rows(), *series[0])
    return indexed(frame, reference=reference)


class _Beside(TypedDict, total=False):
    observations: list[dict[str, Any]]


def _beside(
    served: Served, run: RunIndex, series: Sequence[Series], history_hours: int | None
) -> dict[Series, _Beside]:
    """Return, for each series, the observations beside its forecast, if they are asked for."""
    if history_hours is None or not series:
        return {each: {} for each in series}
    observed = _observed(served, run, series, history_hours)
    parts = observed.partition_by(SERIES, as_dict=True, include_key=False)
    empty = observed.drop(SERIES).clear()
    return {each: {"observations": parts.get(each, empty).to_dicts()} for each in series}


def _observed(served: Served, run: RunIndex, series: Sequence[Series], history_hours: int) -> pl.DataFrame:
    view = served.view(run.facts["feature_view_version"])
    first = run.first_hour
    window = Window(first - history_hours * HOUR, first + len(run.hour_texts) * HOUR)
    return observations_of(served, view, series, window, served.known_at(view))


def observations_of(
    served: Served, view: FeatureView, series: Sequence[Series], window: Window, known_at: datetime
) -> pl.DataFrame:
    """Return OBSERVATIONS of some series."""
    return served.store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=window,
        reference_datetime=known_at,
        series=list(series),
    )


def _previous(served: Served, run: RunIndex, series: Series, hours: int) -> Body | None:
    try:
        before = run_of(served, run.facts["feature_view_version"], run.reference - timedelta(hours=hours), [series])
    except NotFoundError:
        return None
    return before.body(series) if series in before.places else None


def _table(served: Served, run: RunIndex, series: Sequence[Series], history_hours: int | None) -> pl.DataFrame:
    rows = run.frame(series)
    if history_hours is None or not series:
        return rows
    observed = _observed(served, run, series, history_hours).rename({"energy_consumption": "observed"})
    return rows.join(observed, on=KEY, how="full", coalesce=True).sort(KEY)
