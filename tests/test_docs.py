"""The checks of the documentation site; the build itself is part of `make check`."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from forecast_core.contracts.settings import Settings
from tests.stack import REPOSITORY


@pytest.fixture(scope="module")
def build() -> ModuleType:
    specification = importlib.util.spec_from_file_location("site_build", REPOSITORY / "docs" / "site" / "build.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="b.html">there</a>', None),
        ('<a href="b.html#part">there</a>', None),
        ('<a href="https://example.org/">elsewhere, when a reader asks for it</a>', None),
        ('<a href="c.html">nowhere</a>', "a.html leads to c.html, which is not there"),
        ('<a href="b.html#gone">nowhere</a>', "a.html leads to b.html#gone, but there is no such place on that page"),
        ('<img src="https://example.org/i.png">', "a.html loads https://example.org/i.png"),
        ('<script src="//example.org/s.js"></script>', "a.html loads //example.org/s.js"),
        ('<link rel="stylesheet" href="https://example.org/f.css">', "a.html loads https://example.org/f.css"),
        ('<img src="gone.png">', "a.html leads to gone.png, which is not there"),
    ],
)
def test_links_to_nowhere_and_what_is_loaded_from_elsewhere_are_found(
    build: ModuleType, tmp_path: Path, body: str, fault: str | None
) -> None:
    (tmp_path / "a.html").write_text(f"<html>{body}</html>")
    (tmp_path / "b.html").write_text('<h2 id="part">part</h2>')
    assert build.faults(tmp_path) == ([] if fault is None else [fault])


def test_a_style_that_loads_a_font_from_elsewhere_is_found(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "s.css").write_text("@font-face { src: url('https://example.org/f.woff2'); }")
    assert build.faults(tmp_path) == ["s.css loads https://example.org/f.woff2"]


def test_the_settings_page_has_every_setting_of_the_model_and_of_the_file(build: ModuleType) -> None:
    page = build.settings_page()
    for name in Settings.model_fields:
        assert f"| `ML_PIPELINE_{name.upper()}` |" in page
    assert "| `ML_PIPELINE_INDEX_PORT` | `8090` |" in page


def test_every_command_of_energy_is_on_its_page(build: ModuleType) -> None:
    page = build.commands_page()
    for command in ("run", "forecast", "lineage", "status", "models", "promote", "rollback", "doctor"):
        assert f"## `energy {command}`" in page
    assert page.startswith("# The command energy")


PACKAGES = "load_forecaster|forecast_core|feature_pipeline|training_pipeline|batch_prediction_pipeline|app_\\w+"
PAGES = sorted(path for path in (REPOSITORY / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_module_and_function_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(rf"`((?:{PACKAGES})(?:\.\w+)+)`", page.read_text(encoding="utf-8")):
        parts = name.split(".")
        module = next(
            (found for end in range(len(parts), 0, -1) if (found := _module(".".join(parts[:end]))) is not None), None
        )
        assert module is not None, name
        rest = parts[len(module.__name__.split(".")) :]
        for part in rest:
            assert hasattr(module, part), name
            module = getattr(module, part)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def test_the_walk_names_a_module_of_every_distribution() -> None:
    page = (REPOSITORY / "docs" / "walk.md").read_text(encoding="utf-8")
    for package in PACKAGES.replace("app_\\w+", "app_api|app_dashboard|app_shell").split("|"):
        assert f"`{package}." in page
