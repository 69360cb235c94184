"""Energi Data Service over HTTP: ``https://…/dataset/NAME``, page by page, politely and with patience."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

import httpx
import polars as pl
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from feature_pipeline.datasets import Dataset, named
from feature_pipeline.extract import pages
from feature_pipeline.extract.answers import Answer, RetryableError, ask_once
from feature_pipeline.extract.pace import Pace
from feature_pipeline.extract.proxy import proxy_of
from feature_pipeline.extract.raw import (
    HOUR,
    Extraction,
    Origin,
    observations,
    placed,
    text_columns,
    with_hours,
)
from forecast_core.contracts.errors import SourceError, SourceUnavailable
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_TOLERATED_SHARE: Final = 0.5
"""Share of rows for hours that were not asked for, from which on the answer is taken to be to another question."""


@dataclass(frozen=True)
class Patience:
    """How long a request may take, how much it may give, and how often it is made again.

    Attributes:
        page: Rows asked for in one request; the API allows about one request a minute, so pages are large.
        attempts: Times that one page is asked for.
        longest_wait: Seconds; a source that asks us to wait for longer is unavailable.
        base_wait: Seconds; scale of the exponential wait where the source does not say how long.
        timeout: Seconds to wait for the next bytes of an answer.
        longest_answer: Seconds for a whole answer.
        most_bytes: Size of one answer; 100,000 rows of the columns that are used have about 15 MB.
        most_rows: Rows of one window.
        sleep: Called with the seconds to wait.
    """

    page: int = 100_000
    attempts: int = 5
    longest_wait: float = 90.0
    base_wait: float = 1.0
    timeout: float = 120.0
    longest_answer: float = 900.0
    most_bytes: int = 64_000_000
    most_rows: int = 50_000_000
    sleep: Callable[[float], None] = time.sleep


def extract(url: str, window: Window, *, settings: Settings, patience: Patience | None = None) -> Extraction:
    """Return the dataset's rows from ``window.start`` (inclusive) to ``window.end`` (exclusive).

    Rows for other hours, without a time or without a value are left out, with a warning.

    Args:
        url: ``https://…/dataset/NAME``; plain HTTP on this machine only.
        window: The hours to ask for.
        settings: Pace of the requests, and the root folder whose users share it.
        patience: With failures.

    Raises:
        SourceError: If ``url`` is not that of a known dataset, or the answer is not in its form.
        SourceUnavailable: If the source does not answer after the attempts of ``patience``.
        StorageError: If the root folder cannot be written.
    """
    asked, patience = dataset(url), patience or Patience()
    with connected(url, settings, patience) as ask:
        span = (window.start, window.end)
        rows = pages.read(ask, asked, span, page=patience.page, most_rows=patience.most_rows, source=url)
        if rows.is_empty():
            return Extraction(asked, OBSERVATIONS.to_frame(), _extent(ask, asked, source=url))
    frame, unplaced = placed(rows, asked, origin=Origin(url))
    inside, others = _inside(frame, window, source=url)
    found, warnings = observations(inside, asked, origin=Origin(url))
    return Extraction(asked, found, warnings=(*unplaced, *others, *warnings))


def dataset(url: str) -> Dataset:
    """Return the dataset that ``url`` names.

    Raises:
        SourceError: If it has another form, or there is no entry for the dataset.
    """
    return named(dataset_name(url))


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


def user_agent() -> str:
    """Return who asks, as the requests say it."""
    return f"energy-forecasting/{version('feature-pipeline')} (feature-pipeline; python-httpx/{httpx.__version__})"


@contextmanager
def connected(url: str, settings: Settings, patience: Patience) -> Iterator[pages.Ask]:
    """Give a function that asks the dataset at ``url``: at its pace, one at a time, again while that may help."""
    endpoint, parts = url.rstrip("/"), urlsplit(url)
    pace = Pace.of(settings, host=parts.netloc, dataset=dataset_name(url), sleep=patience.sleep)
    timeout = httpx.Timeout(patience.timeout, connect=min(patience.timeout, 10.0))
    proxy = proxy_of(url)
    # Without httpx' own look at the environment: it ends with a ValueError at any proxy variable that it cannot read,
    # needed or not.
    with httpx.Client(
        timeout=timeout,
        headers={"User-Agent": user_agent()},
        proxy=proxy.url if proxy else None,
        trust_env=False,
        verify=httpx.create_ssl_context(),
    ) as client:

        def once(query: dict[str, str]) -> Answer:
            pace.wait()
            try:
                return ask_once(
                    client,
                    endpoint,
                    query,
                    longest_wait=patience.longest_wait,
                    longest_answer=patience.longest_answer,
                    most_bytes=patience.most_bytes,
                )
            except RetryableError as error:
                if proxy and isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
                    raise RetryableError(f"{error}, through the proxy {proxy.shown} of {proxy.variable}") from error
                raise

        def ask(query: dict[str, str]) -> Answer:
            with pace.turn():
                return _patiently(once, query, endpoint, patience)

        yield ask


def _patiently(once: pages.Ask, query: dict[str, str], endpoint: str, patience: Patience) -> Answer:
    """Return the answer to one query; repeat the request while it raises ``RetryableError``."""
    again = wait_random_exponential(multiplier=patience.base_wait, max=patience.longest_wait)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, RetryableError) else None
        return again(state) if asked is None else asked

    attempts = Retrying(
        retry=retry_if_exception_type(RetryableError),
        stop=stop_after_attempt(patience.attempts),
        wait=wait,
        sleep=patience.sleep,
        reraise=True,
    )
    try:
        return attempts(once, query)
    except RetryableError as error:
        raise SourceUnavailable(
            f"{endpoint} does not answer after {patience.attempts} attempts (last: {error}); try again later.",
            url=endpoint,
            attempts=patience.attempts,
        ) from error


def _inside(rows: pl.DataFrame, window: Window, *, source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows of the window, and a warning if there were others."""
    asked = pl.col(HOUR).is_between(window.start, window.end, closed="left")
    others = rows.filter(~asked)
    if others.is_empty():
        return rows, ()
    first, last = others.select(pl.col(HOUR).min().alias("first"), pl.col(HOUR).max().alias("last")).row(0)
    found = (
        f"{others.height} of {rows.height} rows are for hours that were not asked for, "
        f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    )
    if others.height > _TOLERATED_SHARE * rows.height:
        raise SourceError(f"{source} answers another question than was asked: {found}.", url=source)
    return rows.filter(asked), (f"{found}; they were left out",)


def _extent(ask: pages.Ask, dataset: Dataset, *, source: str) -> tuple[datetime, datetime] | None:
    """First and last hour that the dataset has, or None if it does not say."""
    hours = []
    for order in ("asc", "desc"):
        columns = ",".join(dataset.columns)
        answer = ask({"timezone": "utc", "columns": columns, "sort": f"{dataset.time} {order}", "limit": "1"})
        rows = text_columns(answer["records"][:1], dataset, source=source)
        hours += with_hours(rows, dataset)[HOUR].drop_nulls().to_list()
    return (hours[0], hours[1]) if len(hours) == 2 else None
