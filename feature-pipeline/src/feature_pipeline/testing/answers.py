"""The answer of Energi Data Service to a query, as a function of the rows of the dataset."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypedDict
from zoneinfo import ZoneInfo

import polars as pl

from feature_pipeline.testing.published import COPENHAGEN

DEFAULT_LIMIT: Final = 100
"""Rows in an answer where neither a limit nor a start or end is given."""

_NAMES: Final = frozenset({"start", "end", "timezone", "columns", "filter", "sort", "offset", "limit"})
_TIMES: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%d")


class Page(TypedDict):
    """One answer; ``total`` is not reliable, as in the API; ``limit`` is the most rows, 0 for no limit."""

    total: int
    limit: int
    dataset: str
    records: list[dict[str, str | int | float | None]]


class Refusal(Exception):
    """The query is invalid; the API answers with ``status`` and this message."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def answer(rows: pl.DataFrame, query: Mapping[str, str], *, dataset: str, page_cap: int | None) -> Page:
    """Return the answer to ``query``.

    Args:
        rows: Rows in the API's columns, times as text.
        query: The parameters of the request.
        dataset: Name of the dataset.
        page_cap: Largest number of rows in one answer, whatever ``limit`` says; the answer names the limit applied.

    Raises:
        Refusal: If a parameter is unknown or malformed.
    """
    if unknown := sorted(set(query) - _NAMES):
        raise Refusal(f"Unknown parameter: {', '.join(unknown)}")
    time = next((name for name in rows.columns if name.endswith("UTC")), None)
    rows = _between(rows, query, time)
    rows = _filtered(rows, query.get("filter"))
    rows = _sorted(rows, query.get("sort"), time)
    unlimited = "start" in query or "end" in query
    limit = _number(query, "limit", 0 if unlimited else DEFAULT_LIMIT)
    if page_cap is not None:
        limit = min(limit or page_cap, page_cap)
    page = rows.slice(_number(query, "offset", 0), limit or None)
    page = _columns(page, query.get("columns"))
    # Always wrong, because the API's total is not reliable: a client that trusts it must fail its tests.
    return {"total": page.height // 2 + 1, "limit": limit, "dataset": dataset, "records": page.to_dicts()}


def _between(rows: pl.DataFrame, query: Mapping[str, str], time: str | None) -> pl.DataFrame:
    zone = query.get("timezone", "dk").lower()
    if zone not in ("utc", "dk"):
        raise Refusal(f"Unknown timezone: {zone}")
    for name in ("start", "end"):
        if name in query:
            if time is None:
                raise Refusal(f"The dataset has no time; {name} cannot be used.")
            bound = _utc(name, query[name], zone)
            rows = rows.filter(pl.col(time) >= bound if name == "start" else pl.col(time) < bound)
    return rows


def _utc(name: str, text: str, zone: str) -> str:
    """Return a bound as text in UTC; an ambiguous local time (end of summer time) means the earlier one."""
    for form in _TIMES:
        try:
            local = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is in the next line.
        except ValueError:
            continue
        moment = local.replace(tzinfo=ZoneInfo("UTC" if zone == "utc" else COPENHAGEN))
        return f"{moment.astimezone(ZoneInfo('UTC')):%Y-%m-%dT%H:%M:%S}"
    raise Refusal(f"Invalid date format for {name}: {text}. Use yyyy-MM-ddTHH:mm or yyyy-MM-dd")


def _filtered(rows: pl.DataFrame, text: str | None) -> pl.DataFrame:
    if text is None:
        return rows
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise Refusal(f"Invalid filter: {text}") from error
    if not isinstance(wanted, dict) or any(isinstance(value, dict) for value in wanted.values()):
        raise Refusal("A filter is an object of column names and values; only equality is supported.")
    for name, value in wanted.items():
        values = [str(each) for each in (value if isinstance(value, list) else [value])]
        rows = rows.filter(pl.col(_known(rows, name)).cast(pl.String).is_in(values))
    return rows


def _sorted(rows: pl.DataFrame, text: str | None, time: str | None) -> pl.DataFrame:
    if text is None:
        return rows if time is None else rows.sort(time, descending=True, maintain_order=True)
    orders = [part.split() for part in text.split(",")]
    if any(len(order) not in (1, 2) or order[1:] not in ([], ["asc"], ["desc"]) for order in orders):
        raise Refusal(f"Invalid sort: {text}")
    names = [_known(rows, order[0]) for order in orders]
    return rows.sort(names, descending=[order[1:] == ["desc"] for order in orders], maintain_order=True)


def _columns(rows: pl.DataFrame, text: str | None) -> pl.DataFrame:
    return rows if text is None else rows.select(_known(rows, name.strip()) for name in text.split(","))


def _known(rows: pl.DataFrame, name: str) -> str:
    if name not in rows.columns:
        raise Refusal(f"Column {name} does not exist")
    return name


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise Refusal(f"{name} must be a whole number, not {text}")
    return int(text)
