"""The FastAPI application: routes, problems, metrics and pages over the stores that the settings name."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from importlib.metadata import version

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from prometheus_client import CollectorRegistry

from app_api import keys, problems, prometheus
from app_api.airflow import Airflow
from app_api.held import HeldForecasts
from app_api.refreshing import keep_fresh
from app_api.routes import (
    archived,
    catalogue,
    course,
    documentation,
    forecasts,
    monitoring,
    observations,
    operations,
    quality,
    registry,
    runs,
    validation_pages,
)
from app_api.served import Served
from forecast_core.contracts.settings import Settings

ROUTERS = (operations, catalogue, forecasts, observations, monitoring, archived, registry, quality, runs)
PREFIX = "/api/v1"
OPEN_PATHS = frozenset(f"{PREFIX}{path}" for path in ("/health", "/readiness", *documentation.PATHS))
"""Answered without a key: whatever starts and watches servers has none; and the pages of documentation ask for one."""


def create_app(settings: Settings, *, clock: Callable[[], datetime]) -> FastAPI:
    """Return the application; it reads nothing before it is started.

    Args:
        settings: Where the stores are, and how they are served.
        clock: Gives the time, for ages alone.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(keep_fresh(app.state.served))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title="Energy forecasts",
        summary="Hourly electricity consumption: forecasts, observations and their provenance.",
        version=version("app-api"),
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        # FastAPI's own pages would load scripts from other hosts: routes/documentation.py has pages that do not.
        docs_url=None,
        redoc_url=None,
    )
    served = app.state.served = Served(settings, clock=clock)
    app.state.airflow = Airflow(settings, clock=clock)
    registry = prometheus.registry_of(served)
    accepted = keys.digests(settings)
    problems.install(app, *([keys.described] if accepted else []))
    _wrap(app, settings, accepted, registry)
    app.router.routes.append(HeldForecasts(served, prefix=PREFIX))
    for module in ROUTERS:
        app.include_router(module.router, prefix=PREFIX)
    for hidden in (course, documentation):
        app.include_router(hidden.router, prefix=PREFIX)
    app.include_router(validation_pages.router)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return prometheus.page(registry)

    return app


def _wrap(app: FastAPI, settings: Settings, accepted: Sequence[bytes], registry: CollectorRegistry) -> None:
    """Put middleware around the routes; what is added last handles a request first."""
    app.add_middleware(problems.AnswerFaults)
    if accepted:
        app.add_middleware(keys.RequireKey, accepted=accepted, open_paths=OPEN_PATHS)
    if settings.api_cors_origins:
        exposed = ["ETag", "Link", "X-Total-Count"]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET"],
            allow_headers=["Authorization", "If-None-Match"],
            expose_headers=exposed,
        )
    app.add_middleware(prometheus.Requests, registry=registry)
