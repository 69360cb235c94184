"""The HTTP client against a real server on loopback that behaves as the API does, well and badly."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

from feature_pipeline.extract.energi_data_service import USER_AGENT, Patience, dataset_name, extract
from feature_pipeline.transform import transform
from forecast_core.errors import SourceError, SourceUnavailable
from forecast_core.window import Window

Answer = tuple[int, dict[str, str], bytes]


class Api:
    """Energi Data Service in small: it filters, sorts and pages; ``failures`` are given before any real answer."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows
        self.failures: list[Answer | None] = []
        self.queries: list[dict[str, str]] = []
        self.agents: list[str] = []
        self.most = 10**9

    def answer(self, query: dict[str, str]) -> Answer:
        self.queries.append(query)
        rows = self.rows
        if "start" in query:
            rows = rows.filter(pl.col("HourUTC") >= query["start"], pl.col("HourUTC") < query["end"] + ":00")
        column, _, order = query["sort"].partition(" ")
        rows = rows.sort(column.split(","), descending=order == "desc")
        limit = min(int(query["limit"]), self.most)
        page = rows.slice(int(query.get("offset", 0)), limit).to_dicts()
        body = {"total": 3, "limit": limit, "dataset": "ConsumptionDE35Hour", "records": page}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


@pytest.fixture
def api(rows: pl.DataFrame) -> Api:
    return Api(rows)


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            api.agents.append(self.headers["User-Agent"])
            answer = api.failures.pop(0) if api.failures else api.answer(query)
            if answer is None:
                self.connection.close()
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/dataset/ConsumptionDE35Hour"
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def patience(waits: list[float]) -> Callable[..., Patience]:
    def make(**changes: Any) -> Patience:
        return Patience(**{"attempts": 3, "base_wait": 0.01, "timeout": 5.0, "sleep": waits.append, **changes})

    return make


Patient = Callable[..., Patience]
LIMITED = json.dumps({"statusCode": 429, "message": "Rate limit is exceeded. Try again in 7 seconds."}).encode()
JSON = {"Content-Type": "application/json"}


def test_pages_are_read_until_a_short_one_and_give_all_rows(
    api: Api, url: str, rows: pl.DataFrame, window: Window, patience: Patient
) -> None:
    extraction = extract(url, window, patience=patience(page=500))
    assert extraction.dataset.name == "ConsumptionDE35Hour"
    assert [query["offset"] for query in api.queries] == ["0", "500", "1000", "1500"]
    assert set(api.agents) == {USER_AGENT}
    assert api.queries[0]["timezone"] == "utc"
    assert (api.queries[0]["start"], api.queries[0]["end"]) == ("2023-01-19T16:00", "2023-01-20T16:00")
    observations = transform(extraction.frame)
    assert observations.height == rows.height
    assert observations["energy_consumption"].sum() == rows["TotalCon"].sum()


def test_a_last_page_that_is_just_full_is_followed_by_an_empty_one(
    api: Api, url: str, rows: pl.DataFrame, window: Window, patience: Patient
) -> None:
    assert extract(url, window, patience=patience(page=912)).frame.height == rows.height
    assert [query["offset"] for query in api.queries] == ["0", "912", "1824"]


def test_a_source_that_grants_smaller_pages_than_asked_for_is_read_in_full(
    api: Api, url: str, rows: pl.DataFrame, window: Window, patience: Patient
) -> None:
    api.most = 700
    assert extract(url, window, patience=patience()).frame.height == rows.height
    assert len(api.queries) == 3


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        ((429, JSON, LIMITED), 8.0),
        ((200, JSON, LIMITED), 8.0),
        ((429, {"Retry-After": "3"}, b""), 4.0),
        ((500, {}, b"oops"), None),
        ((503, {"Content-Type": "text/html"}, b"<html>down</html>"), None),
        ((200, JSON, b'{"total": 3, "records": [{"HourUTC": "2023-'), None),
        ((200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"), None),
        ((200, {"Content-Length": "1000"}, b'{"records"'), None),
        (None, None),
    ],
    ids=["429", "429 in 200", "retry-after", "500", "503", "truncated", "html", "dropped in the body", "dropped"],
)
def test_a_failure_that_passes_is_waited_out(
    api: Api,
    url: str,
    rows: pl.DataFrame,
    window: Window,
    patience: Patient,
    waits: list[float],
    failure: Answer | None,
    wait: float | None,
) -> None:
    api.failures = [failure]
    settled = patience(timeout=1.0)
    assert extract(url, window, patience=settled).frame.height == rows.height
    assert len(waits) == 1
    assert wait is None or waits == [wait]


def test_a_source_that_keeps_failing_is_unavailable(api: Api, url: str, window: Window, patience: Patient) -> None:
    api.failures = [(500, {}, b"")] * 3
    with pytest.raises(SourceUnavailable, match=r"after 3 attempts \(last: status 500\)"):
        extract(url, window, patience=patience())


def test_a_source_that_asks_for_too_long_a_wait_is_unavailable_at_once(
    api: Api, url: str, window: Window, patience: Patient, waits: list[float]
) -> None:
    api.failures = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(SourceUnavailable, match="asks to wait for 3601 s"):
        extract(url, window, patience=patience())
    assert waits == []


def test_a_source_that_nobody_serves_is_unavailable(window: Window, patience: Patient) -> None:
    with pytest.raises(SourceUnavailable, match="does not answer"):
        extract("http://127.0.0.1:9/dataset/ConsumptionDE35Hour", window, patience=patience())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, JSON, b'{"message": "no such dataset"}'), "status 404.*no such dataset"),
        ((400, JSON, b'{"message": "bad start"}'), "status 400.*bad start"),
        ((200, JSON, b'{"hello": 1}'), "without records"),
        ((200, JSON, b"[1, 2]"), "without records"),
        ((200, JSON, b'{"records": [{"TimeUTC": "2023-01-20T00:00:00"}]}'), "lacks the columns"),
        ((200, JSON, b'{"records": [1, 2]}'), "not rows of named values"),
    ],
)
def test_an_answer_in_another_form_is_refused_without_another_attempt(
    api: Api, url: str, window: Window, patience: Patient, waits: list[float], answer: Answer, message: str
) -> None:
    api.failures = [answer]
    with pytest.raises(SourceError, match=message):
        extract(url, window, patience=patience())
    assert waits == []


def test_a_window_without_rows_says_which_hours_the_dataset_has(url: str, window: Window, patience: Patient) -> None:
    later = Window(window.start + timedelta(days=365), window.end + timedelta(days=365))
    extraction = extract(url, later, patience=patience())
    assert extraction.frame.is_empty()
    assert extraction.extent == (window.start, window.end - timedelta(hours=1))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.energidataservice.dk/",
        "https://api.energidataservice.dk/dataset/",
        "https://api.energidataservice.dk/dataset/A?limit=5",
        "https://someone:secret@host/dataset/A",
        "https://host:port/dataset/A",
        "http://api.energidataservice.dk/dataset/A",
    ],
)
def test_a_url_that_is_not_that_of_a_dataset_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="https://") as caught:
        dataset_name(url)
    assert "secret" not in str(caught.value)
