"""The import graph of our packages, read from their sources: which modules run when a module is imported and called."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OURS: Final = (
    "load_forecaster",
    "forecast_core",
    "feature_pipeline",
    "training_pipeline",
    "batch_prediction_pipeline",
)
"""Packages that a graph goes into; what other people wrote is named by its version (``code.library_versions``)."""

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
"""The fields of a syntax node that hold statements, or hold nodes that do."""


def reached(entry_module: str) -> Mapping[str, Path]:
    """Return every module of our packages that ``entry_module`` imports, and those that they import, with its file.

    Imports inside functions count, for they run when the function is called. Imports under ``if TYPE_CHECKING`` do not,
    for they never run. Importing ``a.b.c`` runs ``a`` and ``a.b`` too. Nothing is imported to find this out, so a
    module that is imported by a computed name is not found.

    Raises:
        ModuleNotFoundError: If ``entry_module`` is not a module of our packages, or its package is not installed.
    """
    files: dict[str, Path] = {}
    waiting = [entry_module]
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        file = _file(name)
        if file is None and name == entry_module:
            raise ModuleNotFoundError(f"there is no module {name} in the packages {', '.join(OURS)}", name=name)
        if file is not None:
            files[name] = file
            waiting += _parents(name)
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _imported(package, file.read_bytes())
    return dict(sorted(files.items()))


@cache
def folder(package: str) -> Path | None:
    """Return the folder of an installed top-level package, without importing it; None if it is not installed."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _file(module: str) -> Path | None:
    """Return the source of a module of ours; None for everything else, such as a class that was imported by name."""
    top, *rest = module.split(".")
    place = folder(top) if top in OURS else None
    if place is None:
        return None
    path = place.joinpath(*rest)
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((each for each in candidates if each.is_file()), None)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@cache
def _imported(package: str, source: bytes) -> tuple[str, ...]:
    """Return the names that a source file of ``package`` may import as modules; some are functions or classes."""
    found: list[str] = []
    for node in _statements(ast.parse(source).body):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return tuple(found)


def _statements(block: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the statements of a block and of all blocks inside it, but those of ``if TYPE_CHECKING``."""
    for statement in block:
        yield statement
        guarded = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        for name in ("orelse",) if guarded else _BLOCKS:
            yield from _statements(getattr(statement, name, ()))
