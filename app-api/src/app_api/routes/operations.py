"""Health, readiness and freshness of the server."""

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
    """Answers as long as the server runs; says nothing about the data."""
    return Health(version=request.app.version)


@router.get("/readiness", summary="Readiness and freshness", responses={503: {"model": Readiness}})
def readiness(request: Request, response: Response) -> Readiness:
    """Whether the data are up to date and the tracking database can be read (503 if not), and how old the data are.

    `store` is the outcome of the last look for new data, which the server takes every few seconds. `index` is not `ok`
    if no look took up the newest run for a minute (30 looks). `feature_view_N` is not `ok`, without making the server
    unready, while the newest run of that view cannot be read.
    """
    served = served_by(request)
    checks = {
        "store": "ok" if served.failure is None else _wrong(served.failure),
        "index": _index(served),
        "tracking": _outcome(lambda: tracking.find_model_versions(served.settings, {"artifact": "none"})),
    }
    ready = all(outcome == "ok" for outcome in checks.values())
    checks |= {f"feature_view_{number}": _wrong(fault) for number, fault in served.current.faults.items()}
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return Readiness(status="ready" if ready else "not ready", checks=checks, freshness=freshness(served))


def freshness(served: Served) -> Freshness:
    """Return the age of the newest forecasts and observations."""
    current, now = served.current, served.clock()
    run = current.run(current.newest)
    if run is None:
        return Freshness.model_validate(dict.fromkeys(Freshness.model_fields))
    view, ingest = current.views[current.newest].view, current.ingest(current.newest)
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


def _index(served: Served) -> str:
    if not served.is_stale:
        return "ok"
    return f"the newest data have not been taken up for {served.age.total_seconds():.0f} s; older data are served"


def _outcome(check: Callable[[], object]) -> str:
    try:
        check()
    except ForecastingError as error:
        return _wrong(type(error).__name__)
    return "ok"


def _wrong(fault: str) -> str:
    """Return the kind of a fault; its message may name paths, which are for the log alone."""
    return f"{fault.partition(':')[0]}: cannot be read now; the server's log says why"
