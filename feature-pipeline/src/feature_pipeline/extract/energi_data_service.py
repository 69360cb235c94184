"""Energi Data Service over HTTP: ``https://…/dataset/NAME``, page by page, with patience."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import polars as pl
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from feature_pipeline.datasets import Dataset, named
from feature_pipeline.extract.raw import Extraction, summed, typed
from forecast_core.errors import SourceError, SourceUnavailable
from forecast_core.schema import OBSERVATIONS
from forecast_core.window import Window

_TIME: Final = "%Y-%m-%dT%H:%M"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
USER_AGENT: Final = "energy-forecasting/1.0 (feature-pipeline)"


@dataclass(frozen=True)
class Patience:
    """How long a request may take and how often it is made again.

    Attributes:
        page: Rows asked for in one request; the API allows about one request a minute, so pages are large.
        attempts: Times that one page is asked for.
        longest_wait: Seconds; a source that asks us to wait for longer is unavailable.
        base_wait: Seconds; scale of the exponential wait where the source does not say how long.
        timeout: Seconds to wait for the next bytes of an answer.
        sleep: Called with the seconds to wait.
    """

    page: int = 100_000
    attempts: int = 5
    longest_wait: float = 90.0
    base_wait: float = 1.0
    timeout: float = 120.0
    sleep: Callable[[float], None] = time.sleep


class _PassingError(Exception):
    """The request failed in a way that may pass."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def extract(url: str, window: Window, *, patience: Patience | None = None) -> Extraction:
    """Return the dataset's rows from ``window.start`` (inclusive) to ``window.end`` (exclusive).

    Raises:
        SourceError: If ``url`` is not that of a dataset, or the answer is not in the API's form.
        SourceUnavailable: If the source does not answer after the attempts of ``patience``.
    """
    patience = patience or Patience()
    dataset = named(dataset_name(url))
    endpoint = url.rstrip("/")
    timeout = httpx.Timeout(patience.timeout, connect=10.0)
    with httpx.Client(timeout=timeout, headers={"User-Agent": USER_AGENT}, follow_redirects=True) as client:
        span = {"start": window.start.strftime(_TIME), "end": window.end.strftime(_TIME)}
        records = [row for page in _pages(client, endpoint, dataset, span, patience) for row in page]
        if records:
            frame, warnings = summed(typed(_frame(records, url), dataset, source=url), dataset, source=url)
            return Extraction(dataset, frame, warnings=warnings)
        return Extraction(dataset, OBSERVATIONS.to_frame(), _extent(client, endpoint, dataset, patience))


def dataset_name(url: str) -> str:
    """Return NAME of ``https://…/dataset/NAME``.

    Raises:
        SourceError: If ``url`` has another form, holds a password or a query, or is plain HTTP beyond this machine.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise SourceError(f"the source's url cannot be read: {error}; use https://…/dataset/NAME.") from error
    match = re.fullmatch(r"(?:/.*)?/dataset/([A-Za-z0-9_-]+)/?", parts.path)
    if match is None or parts.query or parts.fragment or parts.username or not parts.hostname:
        # The url is not repeated whole: it may hold a password.
        raise SourceError(
            f"a source on {parts.hostname} must have the form https://…/dataset/NAME, without query or password; "
            "for example https://api.energidataservice.dk/dataset/ConsumptionDE35Hour.",
            host=parts.hostname,
        )
    if parts.scheme.lower() == "http" and parts.hostname not in _LOOPBACK:
        raise SourceError(f"{url} is not encrypted; use https://.", url=url)
    return match[1]


def _pages(
    client: httpx.Client, endpoint: str, dataset: Dataset, span: dict[str, str], patience: Patience
) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of records until a short one: the ``total`` of an answer is not reliable."""
    offset, sort = 0, ",".join(name for name in dataset.columns if name != dataset.energy)
    while True:
        query = {**span, "timezone": "utc", "sort": sort, "offset": str(offset), "limit": str(patience.page)}
        answer = _ask(client, endpoint, query, patience)
        records = answer["records"]
        yield records
        # The source may allow fewer rows in a page than were asked for, and says so.
        granted = answer.get("limit")
        full = min(patience.page, granted) if isinstance(granted, int) and granted > 0 else patience.page
        if len(records) < full:
            return
        offset += len(records)


def _extent(
    client: httpx.Client, endpoint: str, dataset: Dataset, patience: Patience
) -> tuple[datetime, datetime] | None:
    """First and last hour that the dataset has, or None if it does not say."""
    hours = []
    for order in ("asc", "desc"):
        answer = _ask(client, endpoint, {"timezone": "utc", "sort": f"{dataset.time} {order}", "limit": "1"}, patience)
        rows = answer["records"][:1]
        hours += [typed(_frame([row], endpoint), dataset, source=endpoint)["datetime_utc"][0] for row in rows]
    return (hours[0], hours[1]) if len(hours) == 2 and None not in hours else None


def _ask(client: httpx.Client, endpoint: str, query: dict[str, str], patience: Patience) -> dict[str, Any]:
    """Return the answer to one query, asked again while it fails in a way that may pass."""
    again = wait_random_exponential(multiplier=patience.base_wait, max=patience.longest_wait)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _PassingError) else None
        return again(state) if asked is None else asked

    attempts = Retrying(
        retry=retry_if_exception_type(_PassingError),
        stop=stop_after_attempt(patience.attempts),
        wait=wait,
        sleep=patience.sleep,
        reraise=True,
    )
    try:
        return attempts(_ask_once, client, endpoint, query, patience.longest_wait)
    except _PassingError as error:
        raise SourceUnavailable(
            f"{endpoint} does not answer after {patience.attempts} attempts (last: {error}); try again later.",
            url=endpoint,
            attempts=patience.attempts,
        ) from error


def _ask_once(client: httpx.Client, endpoint: str, query: dict[str, str], longest_wait: float) -> dict[str, Any]:
    try:
        response = client.get(endpoint, params=query)
    except httpx.RequestError as error:
        raise _PassingError(f"{type(error).__name__}: {error}") from error
    try:
        answer = response.json()
    except ValueError:
        answer = None
    status = answer.get("statusCode", response.status_code) if isinstance(answer, dict) else response.status_code
    if status == 429:
        wait = _asked_wait(response, answer)
        if wait is not None and wait > longest_wait:
            raise SourceUnavailable(
                f"{endpoint} asks to wait for {wait:.0f} s, longer than {longest_wait:.0f} s; try again later.",
                wait=wait,
            )
        raise _PassingError("status 429, too many requests", wait=wait)
    if status >= 500:
        raise _PassingError(f"status {status}")
    if status >= 400:
        raise SourceError(
            f"{endpoint} refuses the request: status {status}, {_start(response)}", url=endpoint, status=status
        )
    if answer is None:
        raise _PassingError(f"an answer that is not JSON: {_start(response)}")
    if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
        raise SourceError(f"{endpoint} answers without records: {_start(response)}", url=endpoint)
    return answer


def _asked_wait(response: httpx.Response, answer: Any) -> float | None:
    """Seconds that the source asks us to wait for, from ``Retry-After`` or its message; a second is added."""
    said = response.headers.get("Retry-After", "")
    if not said.isdigit() and isinstance(answer, dict):
        found = re.search(r"try again in (\d+)", str(answer.get("message", "")), re.IGNORECASE)
        said = found[1] if found else ""
    return float(said) + 1.0 if said.isdigit() else None


def _start(response: httpx.Response) -> str:
    return repr(" ".join(response.text[:120].split()))


def _frame(records: list[dict[str, Any]], url: str) -> pl.DataFrame:
    if not all(isinstance(row, dict) for row in records):
        raise SourceError(f"the records of {url} are not rows of named values, as the API gives them.", url=url)
    try:
        return pl.from_dicts(records, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise SourceError(f"the records of {url} are not rows of plain values: {error}", url=url) from error
