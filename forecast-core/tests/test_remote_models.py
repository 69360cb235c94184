"""Models of a remote store: fetched once by many processes, kept whole, and no more of them than allowed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests import object_store

from forecast_core.contracts.errors import NotFoundError, StorageError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import ModelVersion, download_model, model_files

BUCKET = "models"
FILES = {"model.json": "{}", "trees.txt": "tree" * 1000, "years.npz": "numbers"}

PROGRAM = """
import sys
from pathlib import Path
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import ModelVersion, download_model
import mlflow.artifacts
print("ready", flush=True)
sys.stdin.readline()
folder = download_model(Settings(root_dir=Path(sys.argv[1])), ModelVersion(1, "run1", sys.argv[2], {}))
print(sorted(file.name for file in folder.iterdir()))
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store.running() as address:
        object_store.bucket(address, BUCKET)
        yield address


@pytest.fixture
def settings(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {**object_store.CREDENTIALS, "MLFLOW_S3_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    return Settings(root_dir=tmp_path)


def stored(endpoint: str, number: int) -> ModelVersion:
    """Put a model into the bucket."""
    with closing(HTTPConnection(endpoint.removeprefix("http://"))) as connection:
        for name, content in FILES.items():
            connection.request("PUT", f"/{BUCKET}/run{number}/artifacts/model/{name}", body=content.encode())
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
    return ModelVersion(number, f"run{number}", f"s3://{BUCKET}/run{number}/artifacts/model", {})


def kept(settings: Settings) -> list[str]:
    return sorted(each.name for each in (settings.root / "models").iterdir() if each.is_dir())


def test_many_processes_fetch_one_model_at_once_and_nothing_is_left_behind(endpoint: str, settings: Settings) -> None:
    version = stored(endpoint, 1)
    # What a process that was killed while it fetched has left.
    (settings.root / "models" / ".fetching-old").mkdir(parents=True)
    command = [sys.executable, "-c", PROGRAM, str(settings.root), version.source]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ.copy())
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    # All have imported what they need, so that their fetches overlap.
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0].strip() for process in processes] == [str(sorted(FILES))] * 3
    assert kept(settings) == ["run1-1"]


def test_the_models_used_last_are_kept(endpoint: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "KEPT_MODELS", 2)
    versions = {number: stored(endpoint, number) for number in (11, 12, 13)}
    for number in (11, 12, 11, 13):
        folder = download_model(settings, versions[number])
        assert {file.name: file.read_text() for file in folder.iterdir()} == FILES
    assert kept(settings) == ["run11-11", "run13-13"]


def test_files_that_are_gone_and_a_store_that_does_not_answer_are_our_errors(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((NotFoundError, StorageError), match="model version 9"):
        download_model(settings, ModelVersion(9, "run9", f"s3://{BUCKET}/run9/artifacts/model", {}))
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match="cannot be fetched from s3://models/run8"):
        download_model(settings, ModelVersion(8, "run8", f"s3://{BUCKET}/run8/artifacts/model", {}))
    assert kept(settings) == []
