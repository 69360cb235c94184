"""Faults between a source and its client: each changes the correct reply, or the way it is sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """One HTTP answer.

    Attributes:
        status: HTTP status; 0 closes the connection without an answer.
        headers: Headers; Content-Length is that of the body unless it is given here.
        body: The bytes to send.
        delay: Seconds before the first byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0


Records = list[dict[str, Any]]
Fault = Callable[[Reply], Reply]
"""From the correct reply to the one that is sent instead."""


def proper(reply: Reply) -> Reply:
    """Send the correct reply; a placeholder in the queue of faults."""
    return reply


def error(
    status: int, message: str, *, http_status: int | None = None, headers: Mapping[str, str] | None = None
) -> Fault:
    """Send the API's error, JSON with status and message; ``http_status`` if the HTTP status differs."""
    body = json.dumps({"statusCode": status, "message": message}).encode()
    return lambda _: Reply(http_status or status, {**JSON, **(headers or {})}, body)


def rate_limited(seconds: int, *, http_status: int = 429, headers: Mapping[str, str] | None = None) -> Fault:
    """Send the API's answer to too many requests; it was also seen with HTTP status 200."""
    message = f"Rate limit is exceeded. Try again in {seconds} seconds."
    return error(429, message, http_status=http_status, headers=headers)


def html(status: int = 503, *, headers: Mapping[str, str] | None = None) -> Fault:
    """Send an HTML page, as a gateway in front of the API does."""
    body = b"<html><body><h1>Service unavailable</h1></body></html>"
    return lambda _: Reply(status, {"Content-Type": "text/html", **(headers or {})}, body)


def dropped(_: Reply) -> Reply:
    """Close the connection without an answer."""
    return Reply(0)


def cut_off(reply: Reply) -> Reply:
    """Close the connection in the middle of the body."""
    half = reply.body[: len(reply.body) // 2]
    return Reply(reply.status, {**reply.headers, "Content-Length": str(len(reply.body))}, half)


def truncated(reply: Reply) -> Reply:
    """Send half of the body, with the Content-Length of that half."""
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def slow(seconds: float) -> Fault:
    """Send the correct reply after ``seconds``."""
    return lambda reply: Reply(reply.status, reply.headers, reply.body, seconds)


def one_line(size: int) -> Fault:
    """Send ``size`` bytes in one line, which is not JSON."""
    return lambda _: Reply(200, JSON, b"x" * size)


def raw(body: bytes, *, status: int = 200) -> Fault:
    """Send ``body`` as JSON, whatever it contains."""
    return lambda _: Reply(status, JSON, body)


def records(change: Callable[[Records], Records]) -> Fault:
    """Send the correct reply with its records changed."""

    def changed(reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        answer["records"] = change(answer["records"])
        return Reply(reply.status, reply.headers, json.dumps(answer).encode())

    return changed
