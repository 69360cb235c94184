"""The code that is recorded beside a result, and stands in fingerprints, is what computes it and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wheels import build, unpack

WHEELS = (
    "load-forecaster",
    "forecast-core",
    "feature-pipeline",
    "training-pipeline",
    "batch-prediction-pipeline",
)
ENTRIES = (
    "training_pipeline.train",
    "training_pipeline.hyperparameter_tuning",
    "batch_prediction_pipeline.batch",
    "feature_pipeline.pipeline",
)

# Edits one module after the other of those that Python itself imports, and then all that the entry does not reach.
PROGRAM = """
import importlib, json, sys
from pathlib import Path
from forecast_core.provenance.code import code_digest
from forecast_core.provenance.imports import OURS, reached

entry, site = sys.argv[1], Path(sys.argv[2])
before, known, loaded = code_digest(entry), reached(entry), set(sys.modules)
importlib.import_module(entry)
ours = {name: Path(sys.modules[name].__file__) for name in set(sys.modules) - loaded if name.split(".")[0] in OURS}
unseen = []
for name, file in {**ours, **known}.items():
    content = file.read_bytes()
    file.write_bytes(content + b"EDITED = 1\\n")
    unseen += [name] if code_digest(entry) == before else []
    file.write_bytes(content)
others = sorted(set(site.rglob("*.py")) - set(known.values()))
for file in others:
    file.write_bytes(file.read_bytes() + b"EDITED = 1\\n")
print(json.dumps({
    "inside": str(Path(known[entry])),
    "imported": len(ours),
    "unseen": unseen,
    "others": [str(file.relative_to(site)) for file in others],
    "others_count": code_digest(entry) != before,
}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("dist")
    return [build(name, folder) for name in WHEELS]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_edit_of_any_module_that_an_entry_imports_is_seen_and_an_edit_of_a_fake_is_not(
    entry: str, wheels: list[Path], tmp_path: Path
) -> None:
    for wheel in wheels:
        unpack(wheel, tmp_path)
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, entry, tmp_path],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inside"].startswith(str(tmp_path)), "the installed wheel and not the checkout"
    assert found["imported"] > 5
    assert found["unseen"] == []
    assert any(name.startswith("feature_pipeline/testing/") for name in found["others"])
    assert [name for name in found["others"] if name.startswith("load_forecaster/")] == ["load_forecaster/testing.py"]
    assert not found["others_count"]


FINGERPRINTS = """
import json
from types import SimpleNamespace
from training_pipeline import data, hyperparameter_tuning, train
from training_pipeline.recipes import SHIPPED

run = SimpleNamespace(training_dataset=SimpleNamespace(content_hash="a"), fh=24, gap=0)
model = train._fingerprint(run, SimpleNamespace(choice=SHIPPED))
search = data.identity(run, entry_module=hyperparameter_tuning.__name__, libraries=("optuna",))
print(json.dumps([model, search]))
"""


def test_one_edited_constant_is_another_model_and_another_search_and_an_edited_fake_is_not(
    wheels: list[Path], tmp_path: Path
) -> None:
    for wheel in wheels:
        unpack(wheel, tmp_path)

    def fingerprints() -> list[str]:
        command = [sys.executable, "-B", "-c", FINGERPRINTS]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return [json.dumps(each) for each in json.loads(done.stdout)]

    def edit(file: str, before: str, after: str) -> None:
        path = tmp_path / file
        text = path.read_text()
        assert before in text, file
        path.write_text(text.replace(before, after))

    first = fingerprints()
    [fake, *_] = sorted((tmp_path / "feature_pipeline" / "testing").glob("*.py"))
    fake.write_text(fake.read_text() + "EDITED = 1\n")
    assert fingerprints() == first
    edit("training_pipeline/evaluation.py", "ORIGINS: Final = 5", "ORIGINS: Final = 6")
    second = fingerprints()
    assert all(a != b for a, b in zip(first, second, strict=True))
    edit("load_forecaster/config.py", "num_leaves: int = 15", "num_leaves: int = 16")
    assert all(a != b for a, b in zip(second, fingerprints(), strict=True))
