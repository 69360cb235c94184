"""The interactive documentation needs no other host, and works where a key is required."""

import hashlib
import re
from typing import Any

import httpx
import pytest
from tests.browser import browsing

V1 = "/api/v1"
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "documentation.js")
PATIENCE_MS = 600_000


def test_the_page_and_its_files_come_from_here_and_may_load_nothing_else(api: httpx.Client) -> None:
    page = api.get(f"{V1}/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert re.findall(r'(?:src|href)="([^"]+)"', page.text) == [
        "data:,",
        *(f"docs/{name}" for name in ("swagger-ui.css", "swagger-ui-bundle.js", "documentation.js")),
    ]
    for name in FILES:
        answer = api.get(f"{V1}/docs/{name}")
        assert answer.is_success
        assert answer.headers["content-type"].startswith("text/css" if name.endswith("css") else "text/javascript")
        tag = {"If-None-Match": answer.headers["etag"]}
        assert api.get(f"{V1}/docs/{name}", headers=tag).status_code == 304
    assert api.get(f"{V1}/redoc", follow_redirects=True).text == page.text
    assert api.get(f"{V1}/docs/../pyproject.toml").status_code == 404


def test_where_a_key_is_required_the_page_is_open_and_the_description_is_not(own: Any, serve: Any) -> None:
    with_key(own)
    with serve(own.settings) as client:
        assert all(client.get(f"{V1}/docs{path}").is_success for path in ("", *(f"/{name}" for name in FILES)))
        assert client.get(f"{V1}/openapi.json").status_code == 401


@pytest.mark.browser
def test_a_browser_shows_every_operation_and_tries_one_out_with_the_key(own: Any, serve: Any) -> None:
    with_key(own)
    with serve(own.settings) as client, browsing() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{client.base_url}/api/v1/docs")
        page.fill("input[type=password]", "first")
        page.click("button")
        page.wait_for_selector(".opblock")
        schema = client.get(f"{V1}/openapi.json", headers={"Authorization": "Bearer first"}).json()
        assert page.locator(".opblock").count() == len(schema["paths"])
        page.click(".opblock-summary-path[data-path='/api/v1/areas']")
        page.click("text=Try it out")
        page.click(".execute")
        page.wait_for_selector(".live-responses-table .response-col_status")
        assert "200" in page.inner_text(".live-responses-table")
        assert {httpx.URL(url).host for url in asked if not url.startswith("data:")} == {"127.0.0.1"}
        assert faults == []


def with_key(own: Any) -> None:
    keys = own.settings.root / "secrets" / "api-keys"
    keys.parent.mkdir()
    keys.write_text(hashlib.sha256(b"first").hexdigest() + "\n")
