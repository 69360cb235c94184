"""Answers with an ETag made from the tables' versions, and 304 where the client has the answer already."""

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
    """Return the data that the server of a request serves."""
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
    """Answer with JSON that is read from elsewhere than Delta tables; its ETag is a hash of the content."""
    form = media.chosen(request, (media.JSON,))
    body = _bytes(make())
    return conditional(request, digest(body), form, lambda: body)


def conditional(request: Request, tag: str, form: str, make: Callable[[], Content]) -> Response:
    """Answer with content that ``tag`` names, or with 304 if the client has it."""
    etag = etag_of(served_by(request), tag)
    headers = {"ETag": etag, **CACHING}
    known = request.headers.get("if-none-match")
    if known is not None and _matches(known, etag):
        return Response(status_code=304, headers=headers)
    return Response(_bytes(make()), headers=headers, media_type=form)


def etag_of(served: Served, tag: str) -> str:
    """Return an ETag: what names the content, and the version of the API, which decides the content's form.

    Without that version, a client would keep an answer in the form of before an upgrade.
    """
    return f'"{tag}-{served.form}"'


def digest(content: bytes) -> str:
    """Return a name of some content, for an ETag."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _answer(request: Request, tables: tuple[str, ...], form: str, make: Callable[[], Content]) -> Response:
    served = served_by(request)
    # The versions are taken before the content is made, so that a tag never names newer content than it is sent with.
    facts = (request.url.path, request.url.query, form, served.place, *served.current.edition(tables))
    return conditional(request, digest("\n".join(map(str, facts)).encode()), form, make)


def _matches(known: str, etag: str) -> bool:
    """Whether one of the tags of If-None-Match is ours, compared weakly (RFC 9110, 13.1.2)."""
    tags = [each.strip().removeprefix("W/") for each in known.split(",")]
    return "*" in tags or etag in tags


def _bytes(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.model_dump_json().encode()
