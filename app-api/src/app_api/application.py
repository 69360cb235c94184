"""The application: routes, problems, metrics and pages, over the stores that the settings name."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from app_api import problems
from app_api.routes import catalogue, forecasts, monitoring, observations, operations, quality, registry, runs
from app_api.served import Served
from forecast_core.errors import ForecastSystemError
from forecast_core.settings import Settings

ROUTERS = (operations, catalogue, forecasts, observations, monitoring, registry, quality, runs)
PREFIX = "/api/v1"
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
    app.state.served = Served(settings, clock=clock)
    problems.install(app)
    for module in ROUTERS:
        app.include_router(module.router, prefix=PREFIX)
    app.mount("/validation", StaticFiles(directory=settings.root / "validation", html=True, check_dir=False))
    return app


async def _keep_fresh(served: Served) -> None:
    """Look at the tables again and again; a look that fails leaves what was there, and says so once."""
    failed = False
    while True:
        try:
            await asyncio.to_thread(served.refresh)
            failed = False
        except ForecastSystemError as error:
            if not failed:
                _LOG.warning("the tables cannot be looked at, so what was there stays: %s", error)
            failed = True
        await asyncio.sleep(served.settings.api_refresh_seconds)
