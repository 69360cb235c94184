"""Every ETag names the content of an answer and the version of its form."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import airflow_api

from app_api import served

V1 = "/api/v1"
VALUES = {
    "area": "DK1",
    "consumer_type": "111",
    "version": "1",
    "dataset": "demo-denmark",
    "run": "2024-03-31T05",
}
QUERIES = {"provenance": "?datetime_utc=2024-03-30T06:00Z"}
WITHOUT = {f"{V1}/health", f"{V1}/readiness"}
"""Answers that are never cached."""


def tags(client: httpx.Client) -> dict[tuple[str, str], str]:
    """Return the ETag of each answer that the schema describes, in each of its forms, and of a validation page."""
    found = {}
    paths = client.get(f"{V1}/openapi.json").json()["paths"]
    for template in paths.keys() - WITHOUT:
        path = re.sub(r"{(\w+)}", lambda name: VALUES[name[1]], template)
        path += QUERIES.get(path.rsplit("/", 1)[1], "")
        for form in paths[template]["get"]["responses"]["200"]["content"]:
            answer = client.get(path, headers={"Accept": form}).raise_for_status()
            found[path, form] = answer.headers["ETag"]
    found["/validation", "text/html"] = client.get("/validation/demo-denmark/2024-03-31T05.html").headers["ETag"]
    return found


def test_another_version_of_the_api_has_another_etag_for_every_answer(
    filled: Any, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    with airflow_api.Airflow("secret", runs=[]) as airflow:
        changes = {"airflow_api_url": airflow.url, "airflow_url": airflow.url, "airflow_password_file": password}
        with serve(filled.settings, **changes) as client:
            before = tags(client)
            assert tags(client) == before
            shared = client.get(f"{V1}/forecasts/DK1/111").headers["ETag"]
        monkeypatch.setattr(served, "version", lambda _: "99.0.0")
        with serve(filled.settings, **changes) as client:
            after = tags(client)
            held = {"If-None-Match": shared}
            assert client.get(f"{V1}/forecasts/DK1/111", headers=held).status_code == 200
    assert before.keys() == after.keys()
    assert len(before) > 25
    assert {each for each, tag in before.items() if after[each] == tag} == set()
