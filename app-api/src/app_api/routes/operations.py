"""Whether the server lives, and whether it can serve data, how fresh."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response

from app_api.answers import served_by
from app_api.models import Freshness, Health, Readiness
from app_api.served import Served
from forecast_core import tracking
from forecast_core.contracts.errors import ForecastingError
from forecast_core.contracts.schema import HOUR

router = APIRouter(tags=["operations"])


@router.get("/health", summary="Liveness")
async def health(request: Request) -> Health:
    """The server answers; it says nothing about the data."""
    return Health(version=request.app.version)


@router.get("/readiness", summary="Readiness and freshness", responses={503: {"model": Readiness}})
def readiness(request: Request, response: Response) -> Readiness:
    """Whether the stores can be read now (503 if not), and how old the newest forecasts and observations are."""
    served = served_by(request)
    checks = {
        "store": _outcome(served.refresh),
        "tracking": _outcome(lambda: tracking.find_model_versions(served.settings, {"artifact": "none"})),
    }
    ready = all(outcome == "ok" for outcome in checks.values())
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return Readiness(status="ready" if ready else "not ready", checks=checks, freshness=freshness(served))


def freshness(served: Served) -> Freshness:
    """Return how new the newest forecasts and observations are."""
    current, now = served.current, served.clock()
    if current.runs.is_empty():
        return Freshness.model_validate(dict.fromkeys(Freshness.model_fields))
    view = current.views[current.newest]
    run, ingest = current.latest[view.version], current.ingests.get(view.version)
    return Freshness.model_validate(
        {
            "feature_view_version": view.version,
            "dataset": view.dataset,
            "reference_datetime": run.reference,
            "forecasts_age_hours": _age(now, run.reference),
            "first_forecast_hour": run.first_hour,
            "last_forecast_hour": run.hour_texts[-1],
            "known_at": ingest and ingest.known_at,
            "newest_observation_hour": ingest and ingest.window.end - HOUR,
            "observations_age_hours": ingest and _age(now, ingest.window.end),
        }
    )


def _age(now: datetime, then: datetime) -> float:
    return round((now - then) / HOUR, 3)


def _outcome(check: Callable[[], object]) -> str:
    try:
        check()
    except ForecastingError as error:
        return f"{type(error).__name__}: cannot be read now; the server's log says why"
    return "ok"
