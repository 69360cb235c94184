"""The application: routes, problems, metrics and pages, over the stores that the settings name."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from importlib.metadata import version

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry

from app_api import keys, problems, prometheus
from app_api.airflow import Airflow
from app_api.held import HeldForecasts
from app_api.routes import catalogue, forecasts, monitoring, observations, operations, quality, registry, runs
from app_api.served import Served
from forecast_core.contracts.errors import ForecastingError
from forecast_core.contracts.settings import Settings

ROUTERS = (operations, catalogue, forecasts, observations, monitoring, registry, quality, runs)
PREFIX = "/api/v1"
OPEN_PATHS = frozenset({f"{PREFIX}/health", f"{PREFIX}/readiness"})
"""What is answered without a key: what starts and watches servers has none."""
_LOG = logging.getLogger(__name__)


def create_app(settings: Settings, *, clock: Callable[[], datetime]) -> FastAPI:
    """Return the application; it reads nothing before it is started.

    Args:
        settings: Where the stores are, and how they are served.
        clock: Gives the time, for ages alone.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_keep_fresh(app.state.served))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(
        title="Energy forecasts",
        summary="Hourly electricity consumption: forecasts, observations, and where they come from.",
        version=version("app-api"),
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        # Their pages load scripts from hosts of others.
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

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return prometheus.page(registry)

    app.mount("/validation", StaticFiles(directory=settings.root / "validation", html=True, check_dir=False))
    return app


def _wrap(app: FastAPI, settings: Settings, accepted: Sequence[bytes], registry: CollectorRegistry) -> None:
    """Put around the routes what is asked of every request; what is added last comes first."""
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


async def _keep_fresh(served: Served) -> None:
    """Look at the tables again and again; a look that fails leaves what was there, and says so once."""
    failed = False
    while True:
        try:
            await asyncio.to_thread(served.refresh)
            failed = False
        except ForecastingError as error:
            if not failed:
                _LOG.warning("the tables cannot be looked at, so what was there stays: %s", error)
            failed = True
        await asyncio.sleep(served.settings.api_refresh_seconds)
