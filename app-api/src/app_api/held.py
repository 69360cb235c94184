"""A fast route for the most frequent request: the newest forecast of one series, without parameters.

FastAPI takes half of the time of such a request to read and check its parameters. This route stands before the others
and answers requests that have none, for series in memory of a run that took all values. The routes behind it would
give the same answer.
"""

from typing import Final

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from app_api.answers import CACHING, etag_of
from app_api.media import JSON
from app_api.routes.forecasts import forecast, not_taken, tag_of
from app_api.run_index import encoded
from app_api.served import Served

_PARTS: Final = 2
_PLAIN: Final = (b"*/*", JSON.encode())
_HEADERS: Final = [
    (b"content-type", JSON.encode()),
    *((name.lower().encode(), value.encode()) for name, value in CACHING.items()),
]


class HeldForecasts(BaseRoute):
    """Answers ``GET …/forecasts/AREA/TYPE``, as JSON, for series whose newest forecast is in memory."""

    def __init__(self, served: Served, *, prefix: str) -> None:
        self._served = served
        self._prefix = f"{prefix}/forecasts/"

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the request is one of those."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return Match.NONE, {}
        path: str = scope["path"]
        if not path.startswith(self._prefix):
            return Match.NONE, {}
        parts = path[len(self._prefix) :].split("/")
        run = self._served.held(None)
        if (
            run is None
            or not_taken(self._served, run)
            or len(parts) != _PARTS
            or (series := (parts[0], parts[1])) not in run.places
        ):
            return Match.NONE, {}
        for name, value in scope["headers"]:
            if name == b"if-none-match" or (name == b"accept" and value not in _PLAIN):
                return Match.NONE, {}
        return Match.FULL, {"endpoint": forecast, "held": (run, series)}

    # Nothing is sent with a GET.
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer with the run that was found when the request was matched."""
        run, series = scope["held"]
        body = encoded(run.body(series))
        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"etag", etag_of(self._served, tag_of(run, JSON)).encode()),
            *_HEADERS,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
