"""Media types of answers, negotiated by Accept (RFC 9110), and tables written in them."""

import io
from typing import Any, Final

import polars as pl
from fastapi import Request

from app_api.problems import Refused
from app_api.problems import described as problems_described

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
PARQUET: Final = "application/vnd.apache.parquet"
TABLE: Final = (JSON, CSV, ARROW, PARQUET)
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def chosen(request: Request, offered: tuple[str, ...]) -> str:
    """Return the media type that a request prefers; the first one offered if it has no preference.

    Raises:
        Refused: 406 if it accepts none of them.
    """
    accept = request.headers.get("accept", "*/*")
    if accept in ("*/*", offered[0]):
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best = max(offered, key=lambda media: _quality(media, ranges)) if ranges else offered[0]
    if ranges and _quality(best, ranges) == 0:
        raise Refused(406, f"this is available as {', '.join(offered)}, not as {accept}", allowed=offered)
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    weight = next((piece[2:] for piece in parameters if piece.lower().startswith("q=")), "1")
    try:
        return name.lower(), min(max(float(weight), 0.0), 1.0)
    except ValueError:
        return name.lower(), 0.0


def _quality(media: str, ranges: list[tuple[str, float]]) -> float:
    """Return the weight of a media type; the most specific range that matches it decides."""
    for name in (media, f"{media.split('/')[0]}/*", "*/*"):
        weights = [weight for each, weight in ranges if each == name]
        if weights:
            return max(weights)
    return 0.0


def written(frame: pl.DataFrame, media: str) -> bytes:
    """Return a table as CSV, as an Arrow IPC stream or as parquet; times in CSV are ISO 8601 in UTC."""
    buffer = io.BytesIO()
    if media == CSV:
        frame.with_columns(pl.col(pl.Datetime).dt.strftime(_TIME)).write_csv(buffer)
    elif media == ARROW:
        frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def described(model: Any, *problems: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the answers of a route: a ``model`` as JSON, a table, or one of some problems."""
    text, binary = {"schema": {"type": "string"}}, {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {CSV: text, ARROW: binary, PARQUET: binary}
    return {200: {"model": model, "content": content}, **problems_described(*problems)}
