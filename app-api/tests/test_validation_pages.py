"""Validation pages are served from the store, as they were written, and nothing else is."""

import json
from typing import Any

import httpx
import pytest
from tests import object_store

from forecast_core.contracts.settings import Settings
from forecast_core.validations import Validations

V1 = "/api/v1"
PAGE = "/validation/demo-denmark/2024-03-31T05.html"


def test_pages_results_and_the_list_of_them_are_served_as_they_were_written(api: httpx.Client, filled: Any) -> None:
    files = {
        PAGE: ("2024-03-31T05.html", "text/html; charset=utf-8"),
        PAGE.replace(".html", ".json"): ("2024-03-31T05.json", "application/json"),
        "/validation/demo-denmark/": ("index.html", "text/html; charset=utf-8"),
        "/validation/demo-denmark/index.html": ("index.html", "text/html; charset=utf-8"),
    }
    for path, (file, form) in files.items():
        answer = api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, form)
        assert answer.content == Validations(filled.settings).read_file("demo-denmark", file)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        assert answer.headers["cache-control"] == "private, max-age=2"
        assert api.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    # Links between pages are relative, so that the folder must be named with its slash.
    assert api.get("/validation/demo-denmark").headers["location"].endswith("/validation/demo-denmark/")


def test_ingests_results_and_provenance_name_the_page(api: httpx.Client) -> None:
    assert api.get(f"{V1}/validations").json()["items"][0]["page"] == PAGE
    assert api.get(f"{V1}/ingests").json()["items"][0]["validation_page"] == PAGE
    traced = api.get(f"{V1}/forecasts/DK1/111/provenance?datetime_utc=2024-03-30T06:00Z").json()["ingests"]
    assert traced["of_run"]["validation_page"] == traced["latest"][0]["validation_page"] == PAGE
    assert "validation_result" not in json.dumps(traced)


def test_a_result_has_its_rules(api: httpx.Client) -> None:
    found = api.get(f"{V1}/validations/demo-denmark/2024-03-31T05").json()
    assert found["expectations"] == [{"name": "spike", "promise": "no value jumps", "met": False, "unexpected_rows": 1}]
    assert (found["outcome"], found["evaluated_expectations"], found["unmet_expectations"]) == (
        "stored with warnings",
        22,
        1,
    )


@pytest.mark.parametrize(
    "path",
    [
        "/validation/demo-denmark/absent.html",
        "/validation/absent/",
        "/validation/demo-denmark/2024-03-31T05.txt",
        "/validation/demo-denmark/2024-03-31T05",
        "/validation/demo-denmark/link.html",
        "/validation/linked/secret.html",
    ],
)
def test_what_is_no_page_is_a_problem(own: Any, serve: Any, path: str) -> None:
    folder = own.settings.root / "store" / "validation"
    (own.settings.root / "secret.html").write_text("not for you")
    (folder / "demo-denmark" / "link.html").symlink_to(own.settings.root / "secret.html")
    (folder / "linked").symlink_to(own.settings.root)
    (folder / "demo-denmark" / "2024-03-31T05.txt").write_text("not for you")
    with serve(own.settings) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "not for you" not in answer.text


def test_pages_come_from_an_object_store_where_the_store_is_one(
    settings: Settings, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with object_store.running() as address:
        remote = settings.model_copy(update=object_store.bucket(address, "bucket"))
        Validations(remote).write_file("demo-denmark", "2024-03-31T05.html", b"<title>remote</title>")
        local = settings.root / "validation" / "demo-denmark"
        local.mkdir(parents=True)
        (local / "2024-03-31T06.html").write_text("of this machine's own disk")
        with serve(remote) as client:
            assert client.get(PAGE).text == "<title>remote</title>"
            assert client.get(PAGE.replace("T05", "T06")).status_code == 404
            assert client.get(PAGE.replace(".html", ".json")).status_code == 404
