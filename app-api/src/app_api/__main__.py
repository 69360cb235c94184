"""The server from a shell: ``python -m app_api``; ``ML_PIPELINE_API_HOST`` and ``…_PORT`` say where it listens."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI

from app_api.application import create_app
from forecast_core.contracts.errors import ForecastingError
from forecast_core.contracts.settings import Settings
from forecast_core.program import get_logger


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m app_api", description=__doc__)
    parser.add_argument("--host", default=settings.api_host, help="default: %(default)s")
    parser.add_argument("--port", type=int, default=settings.api_port, help="default: %(default)s")
    options = parser.parse_args(arguments)
    get_logger("app_api")
    # It would log a line for each request to Airflow.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        app = create_app(settings, clock=lambda: datetime.now(UTC))
    except ForecastingError as error:
        sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    uvicorn.Server(configured(app, host=options.host, port=options.port)).run()
    return 0


def configured(app: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """Return how the application is served: one process, no line per request (``/metrics`` counts them)."""
    return uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False)


if __name__ == "__main__":
    sys.exit(main())
