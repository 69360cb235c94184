"""A fake of Energi Data Service: a server on loopback that keeps the API's contract, and injects faults on request.

>>> import urllib.request
>>> import polars as pl
>>> from feature_pipeline.testing import EnergiDataService
>>> with EnergiDataService({"Codes": pl.DataFrame({"Code": ["111"]})}) as api:
...     urllib.request.urlopen(api.url("Codes")).read()  # doctest: +ELLIPSIS
b'{"total": 1, "limit": 100, "dataset": "Codes", "records": [{"Code": "111"}]}'
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from feature_pipeline.testing import answers, faults
from feature_pipeline.testing.faults import JSON, Fault, Reply
from feature_pipeline.testing.loopback import Loopback
from feature_pipeline.testing.published import Rows, seen

_PATH: Final = re.compile(r"/dataset/([A-Za-z0-9_-]+)/?")


@dataclass(frozen=True)
class Request:
    """One request that the server received; ``arrived`` is in seconds of the monotonic clock."""

    dataset: str
    query: Mapping[str, str]
    user_agent: str
    arrived: float


class EnergiDataService(Loopback):
    """A server in a thread, which runs inside a ``with`` block.

    Attributes:
        datasets: The rows of each dataset by name; may be changed between two requests.
        now: The time that decides which rows are published; None publishes all.
        faults: Each request takes the next one, in order; with none left, answers are correct.
        requests: All requests so far, in the order of arrival.
        most_at_once: The largest number of requests that were answered at the same time.
    """

    def __init__(
        self,
        datasets: Mapping[str, Rows],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        page_cap: int | None = None,
        seconds_between_requests: float = 0.0,
        port: int = 0,
    ) -> None:
        """Open the port.

        Args:
            datasets: The rows of each dataset by name.
            now: See the attribute; a function is called at each request.
            page_cap: Largest number of rows in one answer.
            seconds_between_requests: Within this time after an answer, the same dataset answers with status 429.
            port: On 127.0.0.1; 0 takes a free one.
        """
        self.now = now
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self.datasets = dict(datasets)
        self._page_cap, self._pace = page_cap, seconds_between_requests
        self._answered: dict[str, float] = {}
        self._lock = threading.Lock()
        super().__init__(_handler(self), port=port)

    def url(self, dataset: str) -> str:
        """Return the url of a dataset."""
        return f"{self.address}/dataset/{dataset}"

    def wait(self) -> None:
        """Serve until interrupted."""
        # Not `join`: with Python 3.11, Ctrl-C had no effect while the thread was joined.
        while self._thread.is_alive():
            time.sleep(0.5)

    def reply(self, target: str, user_agent: str) -> Reply:
        """Return the answer to one GET request; ``target`` is its path and query."""
        parts = urlsplit(target)
        match = _PATH.fullmatch(parts.path)
        dataset = match[1] if match else ""
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        arrived = time.monotonic()
        with self._lock:
            self.requests.append(Request(dataset, query, user_agent, arrived))
            fault = self.faults.pop(0) if self.faults else faults.proper
            wait = self._answered.get(dataset, -self._pace) + self._pace - arrived
            if wait <= 0:
                self._answered[dataset] = arrived
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if wait > 0:
                fault = faults.rate_limited(int(wait) + 1)
            sent = fault(self._proper(dataset, query))
            time.sleep(sent.delay)
            return sent
        finally:
            with self._lock:
                self._at_once -= 1

    def _proper(self, dataset: str, query: Mapping[str, str]) -> Reply:
        if dataset not in self.datasets:
            return faults.error(404, f"Dataset {dataset!r} does not exist")(Reply(404))
        now = self.now() if callable(self.now) else self.now
        try:
            found = answers.answer(seen(self.datasets[dataset], now), query, dataset=dataset, page_cap=self._page_cap)
        except answers.Refusal as refusal:
            return faults.error(refusal.status, str(refusal))(Reply(refusal.status))
        return Reply(200, JSON, json.dumps(found).encode())


def _handler(service: EnergiDataService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Send the reply; one without a status closes the connection unanswered."""
            reply = service.reply(self.path, self.headers.get("User-Agent", ""))
            if not reply.status:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            given = {"Date": self.date_time_string(), "Content-Length": str(len(reply.body))}
            for name, value in (given | dict(reply.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(reply.body)
            except ConnectionError:  # The client closed the connection before the end of the body.
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Do not log requests to stderr."""

    return Handler
