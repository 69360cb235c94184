"""API keys, kept as SHA-256 and compared in constant time; each gives read access."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app_api import problems
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HOW: Final = "send the header Authorization: Bearer KEY"


def digests(settings: Settings) -> tuple[bytes, ...]:
    """Return the SHA-256 of every key that is accepted; none if the API asks for no key.

    Raises:
        InvalidArgument: If the file that the settings name is not there, has no key, or a line that is no SHA-256.
    """
    named, usual = settings.api_keys_file, settings.root / "secrets" / "api-keys"
    if named is None and not usual.exists():
        return ()
    return _read(named or usual)


def _read(path: Path) -> tuple[bytes, ...]:
    expected = f"expected the SHA-256 of a key on every line of {path}, 64 hexadecimal digits in lower case"
    try:
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise InvalidArgument(f"{expected}; it cannot be read: {error.strerror}", path=str(path)) from error
    if not lines or not all(_DIGEST.fullmatch(line) for line in lines):
        found = "the file is empty" if not lines else "a line is something else (a key itself must not be stored)"
        raise InvalidArgument(f"{expected}; {found}", path=str(path))
    return tuple(bytes.fromhex(line) for line in lines)


class RequireKey:
    """Middleware that refuses requests without a valid key, except for the open paths."""

    def __init__(self, app: ASGIApp, *, accepted: Sequence[bytes], open_paths: frozenset[str]) -> None:
        self._app = app
        self._accepted = accepted
        self._open = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in self._open or self._has_key(scope):
            await self._app(scope, receive, send)
            return
        headers = {"WWW-Authenticate": "Bearer"}
        detail = f"this API requires a key: {_HOW}"
        refusal = problems.answer(Request(scope), HTTPStatus.UNAUTHORIZED, detail, headers=headers)
        await refusal(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = given.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        # All are compared: otherwise the time would reveal which key was matched.
        found = [hmac.compare_digest(digest, each) for each in self._accepted]
        return scheme.lower() == b"bearer" and any(found)


def described(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI schema that a key is required."""
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
