"""Errors as problem+json (RFC 9457). Details of the server go to its log and not to the client."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_type_hints

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app_api.faults import in_one_line, is_survivable
from app_api.models import FieldProblem, Problem
from app_api.times import iso_times
from forecast_core.contracts.errors import ForecastingError, InputError, InvalidArgument, NotFoundError, TransientError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
_MOST_ALLOWED: Final = 50
"""Most names that a problem lists: a run may have ten thousand series."""
_LOG = logging.getLogger(__name__)


class Refused(HTTPException):
    """A request that cannot be answered, with values that could be."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        allowed: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.allowed = allowed


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's problems."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


def install(app: FastAPI, *more: Callable[[dict[str, Any]], None]) -> None:
    """Answer errors as problems, and describe them so in the OpenAPI schema, which ``more`` changes further."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ForecastingError, _of_the_system)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for describe in (_retyped, *more):
                describe(generate())
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema


def _retyped(schema: dict[str, Any]) -> None:
    """Give problems their media type, which FastAPI does not ask for, and take its own form of errors out."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/Problem"):
                    content[MEDIA_TYPE] = content.pop("application/json")
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def answer(request: Request, status: int, detail: str, **more: Any) -> Response:
    """Return a problem; ``more`` may have ``errors``, ``allowed`` and ``headers``."""
    headers = more.pop("headers", None)
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, instance=request.url.path, **more)
    return Response(problem.model_dump_json(exclude_none=True), status, headers, MEDIA_TYPE)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail, allowed = error.detail, getattr(error, "allowed", None)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND and allowed is None:
        detail = f"there is nothing at {request.url.path}; {request.app.openapi_url} lists all addresses"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = sorted(headers.get("Allow", headers.get("allow", "GET")).split(", "))
        detail = f"{request.method} is not allowed here, only {', '.join(allowed)}"
    return answer(request, error.status_code, detail, allowed=allowed, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [_field(each) for each in error.errors()]
    unknown = any(each["type"] == "extra_forbidden" for each in error.errors())
    detail = "; ".join(f"{each.name}: {each.message}" for each in found)
    allowed = _parameters(request) if unknown else None
    return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=found, allowed=allowed)


def _field(error: Mapping[str, Any]) -> FieldProblem:
    location, *path = (str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "there is no such parameter"
    return FieldProblem(location=location, name=".".join(path), message=message)


def _parameters(request: Request) -> list[str]:
    """Return the names of the query parameters of the route that was asked for."""
    query = get_type_hints(request.scope["endpoint"]).get("query")
    return sorted(getattr(query, "model_fields", ()))


async def _of_the_system(request: Request, error: Exception) -> Response:
    message = str(error.args[0]) if error.args else ""
    if isinstance(error, NotFoundError):
        existing = error.facts.get("existing")
        allowed = None if existing is None else [str(iso_times(each)) for each in existing[:_MOST_ALLOWED]]
        return answer(request, HTTPStatus.NOT_FOUND, message, allowed=allowed)
    if isinstance(error, InvalidArgument):
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, message)
    if isinstance(error, InputError):
        return answer(request, HTTPStatus.CONFLICT, message)
    _LOG.error("%s: %s", request.url.path, message)
    if isinstance(error, TransientError):
        headers = {"Retry-After": str(RETRY_SECONDS)}
        detail = "the data cannot be read now; the server's log says why; try again in a moment"
        return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)
    detail = "the stored data have a format that this server does not know; its log says which"
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


class AnswerFaults:
    """Answers a request that ended in an unforeseen error with 500, and logs the error.

    FastAPI's own handlers get no BaseException, which a panic of a native library is: the connection would be dropped.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except BaseException as error:
            if scope["type"] != "http" or has_begun or not is_survivable(error):
                raise
            # The traceback of a panic shows none of our frames that its message does not.
            trace = error if isinstance(error, Exception) else None
            _LOG.error("%s failed: %s", scope["path"], in_one_line(error), exc_info=trace)
            detail = "the server failed; its log has the details"
            await answer(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, detail)(scope, receive, send)
