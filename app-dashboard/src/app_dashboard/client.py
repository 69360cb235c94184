"""The API as the pages see it: each answer is kept with its ETag, and fetched again only when it has changed."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpx
import polars as pl

PREFIX: Final = "/api/v1"
ARROW: Final = "application/vnd.apache.arrow.stream"
JSON: Final = "application/json"
FRESH_SECONDS: Final = 2.0
MOST_ANSWERS: Final = 512

Parameter: TypeAlias = str | int | bool | Sequence[str] | Sequence[int] | None


class ApiProblem(Exception):
    """The API did not give what was asked for; the text says what to do.

    Attributes:
        status: HTTP status, or None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status


@dataclass
class _Kept:
    content: Any
    etag: str | None
    asked_at: float


class Client:
    """Answers of one API, shared by all sessions of a server; safe for threads.

    An answer is used again without asking for ``FRESH_SECONDS``, which is what the API allows; after that the API is
    asked whether it has changed.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=30, transport=transport, trust_env=False, follow_redirects=False
        )
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def json(self, path: str, **parameters: Parameter) -> dict[str, Any]:
        """Return the answer at ``path``; parameters that are None are left out.

        Raises:
            ApiProblem: If there is no such answer.
        """
        return self.json_at_most(FRESH_SECONDS, path, **parameters)

    def json_at_most(self, seconds: float, path: str, **parameters: Parameter) -> dict[str, Any]:
        """Return the answer at ``path``, at most so many seconds old.

        Raises:
            ApiProblem: If there is no such answer.
        """
        found: dict[str, Any] = self._get(path, parameters, JSON, json.loads, seconds)
        return found

    def frame(self, path: str, **parameters: Parameter) -> pl.DataFrame:
        """Return the table at ``path``.

        Raises:
            ApiProblem: If there is no such table.
        """
        found: pl.DataFrame = self._get(path, parameters, ARROW, pl.read_ipc_stream, FRESH_SECONDS)
        return found

    def _get(
        self,
        path: str,
        parameters: Mapping[str, Parameter],
        form: str,
        parse: Callable[[bytes], Any],
        fresh_seconds: float,
    ) -> Any:
        query = {name: value for name, value in parameters.items() if value is not None}
        request = self._http.build_request("GET", PREFIX + path, params=query, headers={"Accept": form})
        key = (str(request.url), form)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and self._monotonic() - kept.asked_at < fresh_seconds:
            return kept.content
        if kept is not None and kept.etag is not None:
            request.headers["If-None-Match"] = kept.etag
        asked_at = self._monotonic()
        answer = self._send(request)
        if kept is not None and answer.status_code == httpx.codes.NOT_MODIFIED:
            content, etag = kept.content, kept.etag
        else:
            content, etag = parse(answer.content), answer.headers.get("etag")
        with self._lock:
            self._kept[key] = _Kept(content, etag, asked_at)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_ANSWERS:
                self._kept.popitem(last=False)
        return content

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            raise ApiProblem(f"The API at {self.url} does not answer ({type(error).__name__}).") from None
        if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
            return answer
        raise ApiProblem(_detail(answer), answer.status_code)


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"The API answers {answer.status_code} for {answer.request.url.path}."
    return str(detail)
