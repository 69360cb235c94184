"""What public functions return is typed: a reader of a signature knows the keys."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.stack import DISTRIBUTIONS, REPOSITORY

ANY: Final = "dict[str, Any]"

ALLOWED: Final = {
    "app-api/src/app_api/media.py: described": "a part of an OpenAPI document",
    "app-api/src/app_api/problems.py: described": "a part of an OpenAPI document",
    "app-api/src/app_api/problems.py: openapi": "an OpenAPI document; the signature is FastAPI's",
    "app-dashboard/src/app_dashboard/client.py: json": "an answer of any route; the API's own models declare each",
    "app-dashboard/src/app_dashboard/page.py: json": "an answer of any route; the API's own models declare each",
    "app-shell/src/app_shell/ml_pipeline_steps.py: call": "the result of any step; Airflow ships the source alone",
    "feature-pipeline/src/feature_pipeline/validation/findings.py: reported": "a document of Great Expectations",
    "forecast-core/src/forecast_core/tracking/mlflow_records.py: promotions": "JSON that version 1.0.0 left in MLflow",
    "forecast-core/src/forecast_core/tracking/mlflow_records.py: searches": "JSON that version 1.0.0 left in MLflow",
}
"""Public functions whose result has keys that only another document, or the caller's question, decides."""


def untyped(path: Path) -> Iterator[str]:
    """Yield the public functions of a module, nested ones too, that return ``dict[str, Any]`` or a collection of it."""
    tree = ast.parse(path.read_text())
    aliases = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value) == ANY
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            named = {each.id for each in ast.walk(node.returns) if isinstance(each, ast.Name)}
            if not node.name.startswith("_") and (ANY in ast.unparse(node.returns) or named & aliases):
                yield node.name


def test_a_public_function_says_the_keys_of_the_dictionary_that_it_returns() -> None:
    """Class of fault: ``-> dict[str, Any]`` where the keys are known, hidden in a list or behind an alias too.

    Type such a result by a ``TypedDict`` or a frozen dataclass beside the function. A function that is typed now has
    to leave ALLOWED as well, so that the list cannot hide a relapse.
    """
    sources = sorted(path for name in DISTRIBUTIONS for path in (REPOSITORY / name / "src").rglob("*.py"))
    found = {f"{path.relative_to(REPOSITORY)}: {name}" for path in sources for name in untyped(path)}
    assert found == set(ALLOWED)


def test_an_untyped_result_is_found_in_a_list_behind_an_alias_and_inside_a_function(tmp_path: Path) -> None:
    text = (
        "Facts = dict[str, Any]\n"
        "def plain() -> dict[str, Any]: ...\n"
        "def listed() -> list[dict[str, Any]] | None: ...\n"
        "def by_alias() -> dict[str, Facts]: ...\n"
        "class Value:\n"
        "    async def method(self) -> 'dict[str, Any]': ...\n"
        "def outer() -> int:\n"
        "    def inner() -> dict[str, Any]: ...\n"
        "def typed() -> dict[str, float]: ...\n"
        "def _private() -> dict[str, Any]: ...\n"
    )
    path = tmp_path / "module.py"
    path.write_text(text)
    assert set(untyped(path)) == {"plain", "listed", "by_alias", "method", "inner"}
