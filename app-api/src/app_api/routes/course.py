"""The addresses of the course's API: each answers 410 and names the address that replaced it.

The course counts areas (0 DK, 1 DK1, 2 DK2) and answers with lists of numbers; its clients must be changed either way,
so an answer in its old form would only hide that. ``/health`` and ``/docs`` are at the same addresses as there.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request

from app_api.problems import Refused

router = APIRouter(include_in_schema=False)

AREAS: Final = {"0": "DK", "1": "DK1", "2": "DK2"}
"""The course's numbers of the price areas."""


@router.get("/area_values")
def area_values(request: Request) -> None:
    """Refuse, and name the list of areas."""
    raise _gone(request, "/areas")


@router.get("/consumer_type_values")
def consumer_type_values(request: Request) -> None:
    """Refuse, and name the list of consumer types."""
    raise _gone(request, "/consumer-types")


@router.get("/predictions/{area}/{consumer_type}")
def predictions(request: Request, area: str, consumer_type: str) -> None:
    """Refuse, and name the forecast of the series with its last week of observations."""
    raise _gone(request, f"/forecasts/{_series(area, consumer_type)}?history_hours=168")


@router.get("/monitoring/metrics")
def metrics(request: Request) -> None:
    """Refuse, and name the MAPE of every hour."""
    raise _gone(request, "/monitoring/hours?metric=mape")


@router.get("/monitoring/values/{area}/{consumer_type}")
def values(request: Request, area: str, consumer_type: str) -> None:
    """Refuse, and name the archived forecasts of the series beside what came."""
    raise _gone(request, f"/forecasts/{_series(area, consumer_type)}/archive?last_run_only=true")


def _series(area: str, consumer_type: str) -> str:
    return f"{quote(AREAS.get(area, area), safe='')}/{quote(consumer_type, safe='')}"


def _gone(request: Request, successor: str) -> Refused:
    prefix = str(request.app.openapi_url).rpartition("/")[0]
    address = f"{prefix}{successor}"
    detail = f"this address of the course is gone; ask for {address} (docs/from-the-course.md says what differs)"
    link = f'<{address}>; rel="successor-version"'
    return Refused(HTTPStatus.GONE, detail, allowed=[address], headers={"Link": link})
