"""Answers to conditional requests: an ETag made from the versions of the tables, 304 for what the client has."""

import hashlib
from collections.abc import Callable
from typing import Final

import polars as pl
from fastapi import Request, Response
from pydantic import BaseModel

from app_api import media
from app_api.served import Served

Content = BaseModel | bytes
CACHING: Final = {"Cache-Control": "private, max-age=2", "Vary": "Accept"}


def served_by(request: Request) -> Served:
    """Return what the server that got this request serves."""
    served: Served = request.app.state.served
    return served


def table_answer(
    request: Request,
    tables: tuple[str, ...],
    as_json: Callable[[], Content],
    as_frame: Callable[[], pl.DataFrame],
) -> Response:
    """Answer with a table, in the form that the request prefers.

    Args:
        request: The request.
        tables: Names of the Delta tables that the answer is made of.
        as_json: Makes the answer as JSON.
        as_frame: Makes it as a frame, for all other forms.
    """
    form = media.chosen(request, media.TABLE)
    make: Callable[[], Content] = as_json if form == media.JSON else lambda: media.written(as_frame(), form)
    return _answer(request, tables, form, make)


def json_answer(request: Request, tables: tuple[str, ...], make: Callable[[], Content]) -> Response:
    """Answer with what ``make`` returns, as JSON."""
    return _answer(request, tables, media.chosen(request, (media.JSON,)), make)


def hashed_answer(request: Request, make: Callable[[], Content]) -> Response:
    """Answer, as JSON, with what is in no Delta table: its ETag is a hash of the content."""
    form = media.chosen(request, (media.JSON,))
    body = _bytes(make())
    return conditional(request, hashlib.blake2b(body, digest_size=12).hexdigest(), form, lambda: body)


def conditional(request: Request, tag: str, form: str, make: Callable[[], Content]) -> Response:
    """Answer with content that ``tag`` names, or with 304 if the client has it."""
    headers = {"ETag": f'"{tag}"', **CACHING}
    known = request.headers.get("if-none-match")
    if known is not None and _matches(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(_bytes(make()), headers=headers, media_type=form)


def _answer(request: Request, tables: tuple[str, ...], form: str, make: Callable[[], Content]) -> Response:
    # Versions first, content after: a tag is never newer than what it names.
    versions = served_by(request).current.versions
    facts = [request.url.path, request.url.query, form, *(f"{name}={versions.get(name)}" for name in tables)]
    facts.append(served_by(request).identity)
    tag = hashlib.blake2b("\n".join(facts).encode(), digest_size=12).hexdigest()
    return conditional(request, tag, form, make)


def _matches(known: str, tag: str) -> bool:
    """Whether one of the tags of If-None-Match is ours, compared weakly (RFC 9110, 13.1.2)."""
    tags = [each.strip().removeprefix("W/") for each in known.split(",")]
    return "*" in tags or f'"{tag}"' in tags


def _bytes(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.model_dump_json().encode()
