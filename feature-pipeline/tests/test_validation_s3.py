"""With a store on S3, validation results are there, too: another machine can read them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import object_store

from feature_pipeline import pipeline
from forecast_core.contracts.settings import Settings
from forecast_core.validations import Validations

REFERENCE = "2023-02-04T16:00"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in object_store.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with object_store.running() as endpoint:
        yield Settings(root_dir=tmp_path / "root", **object_store.bucket(endpoint, "validations"))


def test_results_pages_and_the_index_are_in_the_object_store(settings: Settings) -> None:
    result = pipeline.run(REFERENCE, 1, 8, settings=settings)
    folder = f"{settings.store}/validation/demo-denmark"
    assert result["validation_result"] == f"{folder}/2023-02-04T16.json"
    assert result["validation_page"] == f"{folder}/2023-02-04T16.html"
    pipeline.run("2023-02-04T17:00", 1, 8, settings=settings)
    # As on another machine: with the same store, and an empty root folder.
    elsewhere = Validations(settings.model_copy(update={"root_dir": settings.root / "elsewhere"}))
    assert [run.name for run in elsewhere.runs()] == ["2023-02-04T17", "2023-02-04T16"]
    stored = json.loads(elsewhere.read_file("demo-denmark", "2023-02-04T16.json"))
    assert stored["run"]["reference"] == "2023-02-04 16:00"
    assert b"Validation of demo-denmark" in elsewhere.read_file("demo-denmark", "2023-02-04T16.html")
    index = elsewhere.read_file("demo-denmark", "index.html").decode()
    assert index.index("2023-02-04T17.html") < index.index("2023-02-04T16.html")
    assert not list(settings.root.rglob("*.html"))
