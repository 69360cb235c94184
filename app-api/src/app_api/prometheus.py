"""Metrics for Prometheus, of requests, data, forecasts and alarms; docs/monitoring.md lists them."""

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import polars as pl
from fastapi import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app_api.faults import in_one_line, is_survivable
from app_api.routes.monitoring import SKEW, newest_metrics
from app_api.served import Served
from forecast_core.alarms import OVERALL, Alarms
from forecast_core.quarantine import Quarantine

MOST_SERIES: Final = 1000
"""With more series than this, metrics of single series are left out: each adds a line to every scrape."""
_WEEK: Final = 7
_LOG = logging.getLogger(__name__)
Values = dict[tuple[str, ...], float]
_TABLES: Final = ("forecasts", "forecast_runs", "monitoring", "ingests", "alarms", "quarantine", "quarantine_accepted")


class Requests:
    """Request counter and latency middleware; also sets ``X-Content-Type-Options: nosniff``."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route", "status")
        self._count = Counter("ml_pipeline_api_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "ml_pipeline_api_request_seconds",
            "Seconds to the end of an answer.",
            ("route",),
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "other")
            self._count.labels(scope["method"], route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - begun)


class DataCollector(Collector):
    """Gauges of data, forecasts and alarms, read from the tables again when these have changed."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges; of the data, none before there are forecasts."""
        yield from _own(self._served)
        if self._served.current.newest == 0:
            return
        try:
            yield from self._served.remembered("prometheus", _TABLES, lambda: list(_gauges(self._served)))
        except BaseException as error:
            if not is_survivable(error):
                raise
            _LOG.error("metrics of the data cannot be read: %s", in_one_line(error))
            yield _gauge("tables_unreadable", "The tables cannot be read now.", {(): 1.0})


def registry_of(served: Served) -> CollectorRegistry:
    """Return what ``/metrics`` shows."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(DataCollector(served))
    return registry


def page(registry: CollectorRegistry) -> Response:
    """Return the metrics as Prometheus reads them."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _own(served: Served) -> Iterator[GaugeMetricFamily]:
    meaning = "Seconds since the API took up all that was new in the tables."
    yield _gauge("api_index_age_seconds", meaning, {(): served.age.total_seconds()})
    unread: Values = {(str(number),): 1.0 for number in served.current.faults}
    yield _gauge("api_unread_view", "Views whose newest data cannot be read.", unread, "feature_view_version")


def _gauges(served: Served) -> Iterator[GaugeMetricFamily]:
    view = served.current.newest
    yield from _data(served, view)
    yield from _skill(newest_metrics(served, view))
    yield from _alarms(served, view)


def _data(served: Served, view: int) -> Iterator[GaugeMetricFamily]:
    run, ingest = served.latest(view), served.current.ingest(view)
    yield _time("forecast_reference", "Reference time of the newest archived run.", run.reference)
    yield _gauge("model_version", "Model version of the newest archived run.", {(): run.facts["model_version"]})
    kinds: Values = {}
    for quality, count in run.by_quality().items():
        # After the colon stands why, or how many hours: as a label it would make a time series of its own.
        kind = (quality.partition(":")[0],)
        kinds[kind] = kinds.get(kind, 0) + count
    yield _gauge("forecasts", "Forecasts of the newest run.", kinds, "quality")
    if ingest is None:
        return
    yield _time("ingest", "Reference time of the newest ingest.", ingest.known_at)
    yield _time("observed_until", "End of the hours that it asked for.", ingest.window.end)
    group = {"dataset": ingest.dataset, "feature_group_version": ingest.feature_group_version}
    found = Quarantine(served.settings).read(**group, reference_datetime=ingest.known_at, pending=True)  # type: ignore[arg-type]
    yield _gauge("quarantined_rows", "Findings of the newest ingest that nobody has accepted.", {(): found.height})


def _skill(rows: pl.DataFrame) -> Iterator[GaugeMetricFamily]:
    known = rows.filter(pl.col("value").is_not_null())
    week = known.filter(pl.col("days") == _WEEK)
    overall = known.filter(pl.col("level") == "overall").select("metric", pl.col("days").cast(pl.String), "value")
    yield _gauge(
        "metric", "Metrics over all series.", {row[:2]: row[2] for row in overall.iter_rows()}, "metric", "days"
    )
    leads = week.filter(pl.col("level") == "lead", pl.col("metric") == "wape")
    values = leads.select(pl.col("lead").cast(pl.String), "value").iter_rows()
    yield _gauge("lead_wape", "WAPE of a week by lead.", {(lead,): value for lead, value in values}, "lead")
    series = week.filter(pl.col("level") == "series", pl.col("metric") == "relative_mae")
    if series.height <= MOST_SERIES:
        of_series = {row[:2]: row[2] for row in series.select("area", "consumer_type", "value").iter_rows()}
        meaning = "MAE of a week over that of the seasonal naive forecast."
        yield _gauge("series_relative_mae", meaning, of_series, "area", "consumer_type")


def _alarms(served: Served, view: int) -> Iterator[GaugeMetricFamily]:
    alarms = Alarms(served.settings)
    now = served.clock() + SKEW
    # 0 is the DAG itself.
    found = [alarms.read(feature_view_version=each, as_of=now, only_open=True) for each in (view, 0)]
    opened = pl.concat(found).select("kind", "subject", "level")
    yield _gauge("alarm_open", "Open alarms.", dict.fromkeys(opened.iter_rows(), 1.0), "kind", "subject", "level")
    checks = alarms.read_checks(feature_view_version=view, as_of=now).filter(pl.col("subject") == OVERALL)
    newest = checks.group_by("kind", maintain_order=True).last().drop_nulls("value")
    for name in ("value", "threshold"):
        of_kind: Values = {(kind,): value for kind, value in newest.select("kind", name).iter_rows()}
        yield _gauge(f"check_{name}", f"The {name} of the newest check of each kind.", of_kind, "kind")


def _time(name: str, meaning: str, moment: datetime) -> GaugeMetricFamily:
    return _gauge(f"{name}_timestamp_seconds", meaning, {(): moment.timestamp()})


def _gauge(name: str, meaning: str, values: Values, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ml_pipeline_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
