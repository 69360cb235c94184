"""Interactive documentation: Swagger UI over the OpenAPI description, every file of it served from here.

The page holds nothing of the data and nothing of the description, so it needs no key; it asks for one if the server
does, and sends it with the requests that are tried out.
"""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app_api.answers import conditional, digest

router = APIRouter(include_in_schema=False)

_ASSETS: Final = {
    "swagger-ui-bundle.js": ("fastapi_offline", "static", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("fastapi_offline", "static", "text/css; charset=utf-8"),
    "documentation.js": ("app_api", "pages", "text/javascript; charset=utf-8"),
}
"""Package, folder and media type of each file; Swagger UI itself is that of the distribution fastapi-offline."""

PATHS: Final = ("/docs", "/redoc", *(f"/docs/{name}" for name in _ASSETS))

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
"""A browser loads nothing from other hosts, and runs no script but the two files."""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Energy forecasts: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<form id="key" hidden style="margin: 3em; font-family: sans-serif">
<label>This API requires a key: <input type="password" autocomplete="off" size="64" required></label>
<button>Open</button> <span role="alert"></span>
</form>
<div id="documentation" data-schema="openapi.json"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/documentation.js"></script>
</body>
</html>
"""


@router.get("/docs")
def page(request: Request) -> Response:
    """Answer with the page."""
    content = _PAGE.encode()
    answer = conditional(request, digest(content), "text/html; charset=utf-8", lambda: content)
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


@router.get("/redoc")
def redoc() -> Response:
    """Lead to the page: one is enough."""
    return RedirectResponse("docs")


def _asset(name: str) -> None:
    package, folder, form = _ASSETS[name]

    @router.get(f"/docs/{name}", name=name)
    def asset(request: Request) -> Response:
        content = files(package).joinpath(folder, name).read_bytes()
        return conditional(request, digest(content), form, lambda: content)


for _name in _ASSETS:
    _asset(_name)
