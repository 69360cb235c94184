"""The dashboard's client of the API."""

import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import httpx
import polars as pl
import pytest

from app_dashboard.client import JSON, ApiProblem, Client


class Server:
    """An API with one answer for each form, that knows its ETag."""

    def __init__(self, seconds: int = 60) -> None:
        self.content, self.version, self.seconds = {"value": 1}, 1, seconds
        self.begun = time.time() - 30
        self.asked: list[httpx.Request] = []
        self.answered: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        etag = f'"{self.version} {request.headers["accept"]}"'
        headers = {
            "ETag": etag,
            "Cache-Control": f"private, max-age={self.seconds}",
            "Vary": "Accept",
            # Every answer is a second later than the one before: of two in the same second, either may be the newest.
            "Date": formatdate(self.begun + len(self.asked), usegmt=True),
        }
        known = request.headers.get("if-none-match") == etag
        answer = httpx.Response(304, headers=headers) if known else self.answer(headers, request.headers["accept"])
        self.answered.append(answer.status_code)
        return answer

    def answer(self, headers: dict[str, str], form: str) -> httpx.Response:
        if form == JSON:
            return httpx.Response(200, headers=headers, json=self.content)
        buffer = io.BytesIO()
        pl.DataFrame(self.content).write_ipc_stream(buffer)
        return httpx.Response(200, headers=headers, content=buffer.getvalue())


def client(server: Callable[[httpx.Request], httpx.Response], key: str | None = None) -> Client:
    return Client("http://api", key=key, transport=httpx.MockTransport(server))


def test_an_answer_is_used_again_without_asking_while_it_is_fresh() -> None:
    server = Server()
    api = client(server)
    assert api.json("/series", limit=3) == api.json("/series", limit=3) == {"value": 1}
    assert len(server.asked) == 1
    api.json("/series", limit=4)
    assert len(server.asked) == 2


def test_an_older_answer_is_asked_for_by_its_etag_and_kept_if_nothing_changed() -> None:
    server = Server(seconds=0)
    api = client(server, key="secret")
    assert [api.json("/series") for _ in range(3)] == [{"value": 1}] * 3
    assert server.answered == [200, 304, 304]
    server.content, server.version = {"value": 2}, 2
    assert [api.json("/series") for _ in range(2)] == [{"value": 2}] * 2
    assert server.answered == [200, 304, 304, 200, 304]


def test_forms_of_one_address_are_kept_apart() -> None:
    server = Server()
    api = client(server)
    for _ in range(2):
        assert api.json("/series") == {"value": 1}
        assert api.frame("/series").to_dict(as_series=False) == {"value": [1]}
    assert server.answered == [200, 200]


def test_many_sessions_share_the_answers() -> None:
    server = Server()
    api = client(server)
    api.json("/series")
    with ThreadPoolExecutor(8) as sessions:
        found = list(sessions.map(lambda _: api.json("/series"), range(100)))
    assert found == [{"value": 1}] * 100
    assert len(server.asked) == 1


def test_lists_are_repeated_none_is_left_out_and_the_key_is_sent_but_in_no_message() -> None:
    server = Server()
    client(server, key="secret").json("/monitoring", level=["overall", "lead"], days=None)
    [request] = server.asked
    assert str(request.url) == "http://api/api/v1/monitoring?level=overall&level=lead"
    assert request.headers["authorization"] == "Bearer secret"
    with pytest.raises(ApiProblem) as caught:
        client(lambda _: httpx.Response(401, json={"detail": "a key is needed"}), key="secret").json("/series")
    assert "secret" not in str(caught.value)


def test_a_table_comes_as_a_frame() -> None:
    frame = pl.DataFrame({"area": ["DK1"], "value": [1.5]})
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    found = client(lambda _: httpx.Response(200, content=buffer.getvalue())).frame("/forecasts")
    assert found.equals(frame)


def test_a_problem_says_what_the_api_says() -> None:
    problem = {"detail": "nothing has been forecast yet", "status": 404}
    with pytest.raises(ApiProblem, match="nothing has been forecast yet") as caught:
        client(lambda _: httpx.Response(404, content=json.dumps(problem))).json("/forecasts")
    assert caught.value.status == 404


def test_an_answer_of_something_else_is_told_by_its_status() -> None:
    with pytest.raises(ApiProblem, match="502 for /api/v1/runs"):
        client(lambda _: httpx.Response(502, text="<html>bad gateway</html>")).json("/runs")


def test_an_api_that_does_not_answer_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ApiProblem, match="http://api does not answer") as caught:
        client(refuse).json("/runs")
    assert caught.value.status is None


def test_a_problem_is_asked_for_again() -> None:
    statuses = iter([404, 503, 200])
    api = client(lambda _: httpx.Response(next(statuses), json={"detail": "not now"}))
    for _ in range(2):
        with pytest.raises(ApiProblem, match="not now"):
            api.json("/forecasts")
    assert api.json("/forecasts") == {"detail": "not now"}
