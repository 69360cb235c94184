"""The HTTP API as the pages read it, through an HTTP cache (RFC 9111) that all sessions share."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import httpx
import polars as pl
from hishel import CacheOptions, SqliteStorage
from hishel.httpx import CacheTransport

PREFIX: Final = "/api/v1"
ARROW: Final = "application/vnd.apache.arrow.stream"
JSON: Final = "application/json"
CACHE_BYTES: Final = 64 * 2**20
"""Most that the cache holds, in memory: the answers of all pages for a thousand series take a few megabytes."""

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


class Client:
    """Answers of one API, shared by all sessions of a server; safe for threads.

    The API's headers decide how long an answer is used again without asking (``Cache-Control``). After that, the API is
    asked by the answer's ETag whether it has changed.
    """

    def __init__(self, url: str, *, key: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        cached = CacheTransport(
            transport or httpx.HTTPTransport(trust_env=False),
            SqliteStorage(connection=memory, max_size=CACHE_BYTES),
            # All sessions ask with the same key, so an answer to one is an answer to all.
            CacheOptions(shared=False),
        )
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=30, transport=cached, trust_env=False, follow_redirects=False
        )

    def json(self, path: str, **parameters: Parameter) -> dict[str, Any]:
        """Return the answer at ``path``; parameters that are None are left out.

        Raises:
            ApiProblem: If there is no such answer.
        """
        found: dict[str, Any] = json.loads(self._get(path, parameters, JSON))
        return found

    def frame(self, path: str, **parameters: Parameter) -> pl.DataFrame:
        """Return the table at ``path``.

        Raises:
            ApiProblem: If there is no such table.
        """
        return pl.read_ipc_stream(self._get(path, parameters, ARROW))

    def _get(self, path: str, parameters: Mapping[str, Parameter], form: str) -> bytes:
        query = {name: value for name, value in parameters.items() if value is not None}
        try:
            answer = self._http.get(PREFIX + path, params=query, headers={"Accept": form})
        except httpx.HTTPError as error:
            raise ApiProblem(f"The API at {self.url} does not answer ({type(error).__name__}).") from None
        if not answer.is_success:
            raise ApiProblem(_detail(answer), answer.status_code)
        return answer.content


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"The API answers {answer.status_code} for {answer.request.url.path}."
    return str(detail)
