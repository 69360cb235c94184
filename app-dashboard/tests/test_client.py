"""The dashboard's client of the API."""

import io
import json
from collections.abc import Callable

import httpx
import polars as pl
import pytest

from app_dashboard.client import FRESH_SECONDS, MOST_ANSWERS, ApiProblem, Client


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Server:
    """A server with one answer and its ETag."""

    def __init__(self) -> None:
        self.content, self.etag = {"value": 1}, '"a"'
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        headers = {"ETag": self.etag}
        if request.headers.get("if-none-match") == self.etag:
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, headers=headers, json=self.content)


def client(
    server: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None, key: str | None = None
) -> Client:
    return Client("http://api", key=key, transport=httpx.MockTransport(server), monotonic=clock or Clock())


def test_an_answer_is_used_again_without_asking_while_it_is_fresh() -> None:
    server, clock = Server(), Clock()
    api = client(server, clock)
    assert api.json("/series", limit=3) == api.json("/series", limit=3) == {"value": 1}
    assert len(server.asked) == 1
    api.json("/series", limit=4)
    assert len(server.asked) == 2


def test_an_older_answer_is_asked_for_by_its_etag_and_kept_if_nothing_changed() -> None:
    server, clock = Server(), Clock()
    api = client(server, clock)
    first = api.json("/series")
    clock.seconds += FRESH_SECONDS
    assert api.json("/series") is first
    assert server.asked[1].headers["if-none-match"] == '"a"'
    clock.seconds += FRESH_SECONDS
    server.content, server.etag = {"value": 2}, '"b"'
    assert api.json("/series") == {"value": 2}


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


def test_no_more_than_so_many_answers_are_kept() -> None:
    server = Server()
    api = client(server)
    for offset in range(MOST_ANSWERS + 1):
        api.json("/series", offset=offset)
    api.json("/series", offset=0)
    assert len(server.asked) == MOST_ANSWERS + 2
