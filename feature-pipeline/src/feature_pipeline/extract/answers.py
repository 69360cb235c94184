"""One HTTP request and what its answer is: records, a reason to ask again, or an error."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NotRequired, TypedDict, cast

import httpx

from forecast_core.contracts.errors import SourceError, SourceUnavailable

_SHOWN: Final = 120
_UNITS: Final = {"s": 1, "m": 60}


class Answer(TypedDict):
    """The answer to a query, as JSON: ``records`` are the rows, ``limit`` the most rows that the source gives.

    The source may send anything in their place; ``records`` is known to be a list.
    """

    records: list[Any]
    limit: NotRequired[object]


class RetryableError(Exception):
    """The request may succeed if repeated after ``wait`` seconds; None if the source names no time."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def ask_once(
    client: httpx.Client,
    endpoint: str,
    query: Mapping[str, str],
    *,
    longest_wait: float,
    longest_answer: float,
    most_bytes: int,
) -> Answer:
    """Return the answer to one query: an object with a list ``records``.

    Args:
        client: What makes the request.
        endpoint: The url without the query.
        query: Its parameters.
        longest_wait: Seconds; a source that asks us to wait for longer is unavailable.
        longest_answer: Seconds that an answer may take altogether.
        most_bytes: Size of an answer, unpacked, that is read; what is longer is refused.

    Raises:
        RetryableError: If the same request may succeed later.
        SourceError: If it will not.
        SourceUnavailable: If the source asks for a wait that is too long.
    """
    response, body = _fetch(client, endpoint, query, longest_answer=longest_answer, most_bytes=most_bytes)
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    said = answer.get("statusCode") if isinstance(answer, dict) else None
    status = said if isinstance(said, int) and said >= 400 else response.status_code
    _refuse(endpoint, status, answer, response.headers, body, longest_wait=longest_wait)
    if answer is None:
        raise RetryableError(f"an answer that is not JSON: {_start(body)}")
    if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
        raise SourceError(f"{endpoint} answers without records: {_start(body)}", url=endpoint)
    return cast("Answer", answer)


def _fetch(
    client: httpx.Client, endpoint: str, query: Mapping[str, str], *, longest_answer: float, most_bytes: int
) -> tuple[httpx.Response, bytes]:
    body, deadline = bytearray(), time.monotonic() + longest_answer
    try:
        with client.stream("GET", endpoint, params=dict(query)) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > most_bytes:
                    raise SourceError(
                        f"{endpoint} answers with more than {most_bytes:,} bytes, more than the rows that were asked "
                        f"for can have: {_start(body)}",
                        url=endpoint,
                    )
                if time.monotonic() > deadline:
                    raise RetryableError(f"an answer that takes longer than {longest_answer:.0f} s")
    except httpx.InvalidURL as error:
        raise SourceError(f"{endpoint} is no url: {error}", url=endpoint) from error
    except httpx.RequestError as error:
        raise RetryableError(f"{type(error).__name__}: {error}") from error
    return response, bytes(body)


def _refuse(
    endpoint: str, status: int, answer: Any, headers: Mapping[str, str], body: bytes, *, longest_wait: float
) -> None:
    """Raise what a status other than success stands for."""
    if status == 429 or status >= 500:
        wait = _asked_wait(headers, answer)
        if wait is not None and wait > longest_wait:
            raise SourceUnavailable(
                f"{endpoint} asks to wait for {wait:.0f} s, longer than {longest_wait:.0f} s; try again later.",
                wait=wait,
            )
        raise RetryableError(f"status {status}{', too many requests' if status == 429 else ''}", wait=wait)
    if status >= 400:
        raise SourceError(
            f"{endpoint} refuses the request: status {status}, {_start(body)}", url=endpoint, status=status
        )
    if status >= 300:
        place = headers.get("location", "nowhere")
        raise SourceError(f"{endpoint} redirects to {place}; give the url that answers.", url=endpoint, status=status)


def _asked_wait(headers: Mapping[str, str], answer: Any) -> float | None:
    """Seconds that the source asks us to wait for, from ``Retry-After`` or its message; a second is added."""
    retry_after = headers.get("retry-after", "").strip()
    if retry_after.isdecimal():
        return float(retry_after) + 1.0
    try:
        # A date is counted from that of the answer: the source's clock, not ours.
        until = parsedate_to_datetime(retry_after) - parsedate_to_datetime(headers.get("date", ""))
        return max(until.total_seconds(), 0.0) + 1.0
    except (ValueError, TypeError):
        pass
    message = str(answer.get("message", "")) if isinstance(answer, dict) else ""
    found = re.search(r"try again in (\d+)\s*([sm])?", message, re.IGNORECASE)
    return float(found[1]) * _UNITS[(found[2] or "s").lower()] + 1.0 if found else None


def _start(body: bytes | bytearray) -> str:
    return repr(" ".join(bytes(body[: 4 * _SHOWN]).decode("utf-8", errors="replace")[:_SHOWN].split()))
