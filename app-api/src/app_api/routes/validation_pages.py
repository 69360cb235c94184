"""The pages of validation results, as the feature pipeline wrote them into the store."""

from typing import Final

from fastapi import APIRouter, Request, Response

from app_api.answers import conditional, digest, served_by
from app_api.problems import Refused
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.validations import FOLDER, Validations

router = APIRouter(include_in_schema=False)
INDEX: Final = "index.html"
_FORMS: Final = {"html": "text/html; charset=utf-8", "json": "application/json"}
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Pages hold text from data sources: with this, a browser runs no script of theirs and loads nothing from elsewhere."""


@router.get(f"/{FOLDER}/{{dataset}}/")
def index(request: Request, dataset: str) -> Response:
    """Answer with the list of a dataset's validation results."""
    return page(request, dataset, INDEX)


@router.get(f"/{FOLDER}/{{dataset}}/{{file}}")
def page(request: Request, dataset: str, file: str) -> Response:
    """Answer with one file: a page, or the result that it shows as JSON.

    Raises:
        Refused: 404 if there is no such file.
    """
    form = _FORMS.get(file.rpartition(".")[2])
    if form is None:
        raise _absent(dataset, file)
    try:
        # It takes plain names only, so that no request leads out of the folder.
        content = Validations(served_by(request).settings).read_file(dataset, file)
    except (InvalidArgument, NotFoundError):
        raise _absent(dataset, file) from None
    answer = conditional(request, digest(content), form, lambda: content)
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


def _absent(dataset: str, file: str) -> Refused:
    return Refused(404, f"there is no page {file} of {dataset}; /api/v1/validations lists the pages", allowed=[])
