"""Provenance records: digests of every bit, code by its content, and the run that made a result first."""

import ast
import hashlib
import json
import sys
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

import load_forecaster
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.dag_run import DagRun
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import FORECASTS, HOUR, OBSERVATIONS, QUANTILES, RUNS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance import code_digest, installed_code, library_versions, made_by
from forecast_core.provenance.code import differences
from forecast_core.provenance.digests import of_files, of_frame
from forecast_core.provenance.imports import reached

REFERENCE = datetime(2023, 1, 31, 22, tzinfo=UTC)
FRAME = pl.DataFrame(
    {"area": ["DK1", "DK2"], "hour": [REFERENCE, REFERENCE + HOUR], "n": [1, 2], "kwh": [1.5, 0.0]},
    schema_overrides={"hour": pl.Datetime("us", "UTC")},
)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("kwh").neg(),
        pl.col("n") + 1,
        pl.col("hour") + timedelta(microseconds=1),
        pl.Series("area", ["DK1D", "K2"]),
        pl.col("kwh").alias("other"),
    ],
    ids=["the sign of a zero", "a number", "a microsecond", "where one text ends", "a column more"],
)
def test_a_frames_digest_sees(change: pl.Expr) -> None:
    assert of_frame(FRAME.clone()) == of_frame(FRAME)
    assert of_frame(FRAME.with_columns(change)) != of_frame(FRAME)
    assert of_frame(FRAME.reverse()) != of_frame(FRAME)


def test_a_frames_digest_is_the_same_everywhere_and_for_ever() -> None:
    assert of_frame(FRAME) == "88d9b66dda24d825a0f4e65105a232b38df8e7b688d2d4b3ebd39964d346f916"


def test_files_are_named_by_their_path_and_content(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("x")
    [(name, digest)] = of_files(tmp_path).items()
    assert name == "deep/a.txt"
    assert digest == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


ENTRY = "forecast_core.provenance.recreate"


def test_the_installed_code_is_named_by_version_and_content_and_equals_itself() -> None:
    code = installed_code(ENTRY)
    assert code["entry"] == ENTRY
    assert set(code["packages"]) == {"forecast-core", "load-forecaster"}
    assert len(code["packages"]["forecast-core"]["sha256"]) == 64
    assert {"python", "polars", "numpy"} <= set(code["libraries"])
    assert differences(code) == []
    assert differences(json.loads(json.dumps(code))) == []


def test_other_code_is_said_in_words() -> None:
    code = deepcopy(installed_code(ENTRY))
    code["libraries"]["numpy"] = "1.0"
    code["packages"]["forecast-core"]["sha256"] = "0"
    # A pipeline that is not installed decides nothing about the numbers.
    code["packages"]["no-such-pipeline"] = {"version": "1.0.0", "sha256": "0"}
    content, numpy = differences(code)
    assert content.endswith("made it, with other content than what is installed")
    assert numpy.startswith("numpy 1.0 made it, ")
    assert differences(None) == ["the code that made it was not recorded"]
    code["packages"]["forecast-core"]["version"] = "0.1"
    assert differences(code)[0].startswith("forecast-core 0.1 made it, ")


def test_a_record_of_whole_packages_as_1_0_0_wrote_it_is_compared_with_whole_packages() -> None:
    folder = Path(load_forecaster.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    package = {"version": version("load-forecaster"), "sha256": digest.hexdigest()}
    record = {"packages": {"load-forecaster": package}, "libraries": library_versions()}
    assert differences(record) == []
    assert len(differences({**record, "packages": {"load-forecaster": {**package, "sha256": "0"}}})) == 1


def test_without_the_pipeline_that_made_it_core_is_compared_by_its_version() -> None:
    code = deepcopy(installed_code(ENTRY)) | {"entry": "feature_pipeline.no_such_module"}
    code["packages"]["forecast-core"]["sha256"] = "0"
    assert differences(code) == []
    code["packages"]["forecast-core"]["version"] = "0.1"
    assert len(differences(code)) == 1


def test_what_only_reads_or_shows_results_is_no_part_of_the_code_that_computes() -> None:
    modules = reached("forecast_core.provenance.runs")
    assert "forecast_core.feature_store.as_known" in modules
    assert not {"forecast_core.provenance.trace", "forecast_core.program", "forecast_core.alarms"} & set(modules)
    with pytest.raises(ModuleNotFoundError, match=r"there is no module forecast_core\.absent in the packages"):
        code_digest("forecast_core.absent")


def test_every_library_that_the_forecaster_imports_is_recorded() -> None:
    imported = set()
    for path in Path(load_forecaster.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"load_forecaster"}
    assert others
    assert others <= set(library_versions())


def run(**values: object) -> pl.DataFrame:
    facts = {
        "reference_datetime": REFERENCE,
        "feature_view_version": 1,
        "training_dataset_version": 1,
        "model_version": 1,
        "fh": 24,
        "window_start": REFERENCE - 48 * HOUR,
        "window_end": REFERENCE,
        "history_rows": 48,
        "history_series": 1,
        "history_hash": "a",
        "forecasts": 24,
        "forecasts_hash": "b",
        "made_by": json.dumps(made_by(ENTRY, dag_run=DagRun("a_dag", "first"))),
    }
    return pl.DataFrame([facts | values], schema=RUNS)


def forecasts(*, model_version: int = 1) -> pl.DataFrame:
    """The 24 forecasts of ``run``."""
    hours = pl.datetime_range(REFERENCE, REFERENCE + 23 * HOUR, HOUR, time_unit="us", eager=True)
    texts = {"area": "DK1", "consumer_type": "111", "quality": "model"}
    versions = {"feature_view_version": 1, "training_dataset_version": 1, "model_version": model_version}
    constants = {"reference_datetime": REFERENCE, **texts, **versions} | dict.fromkeys(
        ("energy_consumption", *QUANTILES), 1.0
    )
    return hours.to_frame("datetime_utc").select(
        pl.lit(constants[name], dtype).alias(name) if name in constants else name for name, dtype in FORECASTS.items()
    )


def test_a_runs_facts_keep_who_made_them_first_until_they_are_other_facts(tmp_path: Path) -> None:
    archive = ForecastArchive(Settings(root_dir=tmp_path))
    assert archive.read_runs().is_empty()
    archive.write_run(run())
    archive.write_run(run(made_by=json.dumps({"dag_run_id": "second"})))
    archive.write(forecasts())
    assert archive.read_runs().equals(run())
    assert DeltaTable(str(tmp_path / "store" / "forecast_runs")).version() == 1
    other = run(model_version=2, made_by=json.dumps({"dag_run_id": "third"}))
    archive.write_run(other)
    archive.write(forecasts(model_version=2))
    archive.write_run(run(feature_view_version=2))
    assert archive.read_runs(feature_view_version=1).equals(other)
    assert archive.read_runs(reference_from=REFERENCE + HOUR).is_empty()


def test_facts_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="1 rows have no history_hash"):
        ForecastArchive(Settings(root_dir=tmp_path)).write_run(run(history_hash=None))


def test_an_ingest_keeps_the_run_that_made_it_when_it_is_repeated_after_others(tmp_path: Path) -> None:
    store, window = FeatureStore(Settings(root_dir=tmp_path)), Window(REFERENCE - 2 * HOUR, REFERENCE)
    frame = pl.DataFrame([("DK1", "111", window.start, 1.0)], schema=OBSERVATIONS, orient="row")
    named: dict[str, Any] = {
        "dataset": "d",
        "feature_group_version": 1,
        "window": window,
        "url": "demo://",
        "record": {},
    }
    store.ingest(frame, **named, reference_datetime=REFERENCE + HOUR, made_by={"dag_run_id": "first"})
    store.ingest(frame, **named, reference_datetime=REFERENCE, made_by={"dag_run_id": "late"})
    store.ingest(frame, **named, reference_datetime=REFERENCE + HOUR, made_by={"dag_run_id": "again"})
    assert [ingest.made_by["dag_run_id"] for ingest in store.ingests()] == ["late", "first"]
    assert [ingest.counts.new for ingest in store.ingests()] == [1, 1]
    more = pl.concat([frame, frame.with_columns(pl.col("datetime_utc") + HOUR)])
    store.ingest(more, **named, reference_datetime=REFERENCE + HOUR, made_by={"dag_run_id": "with more"})
    assert store.ingests()[1].made_by == {"dag_run_id": "with more"}


def test_a_series_that_the_store_does_not_know_has_no_rows(tmp_path: Path) -> None:
    store, window = FeatureStore(Settings(root_dir=tmp_path)), Window(REFERENCE - 2 * HOUR, REFERENCE)
    frame = pl.DataFrame([("DK1", "111", window.start, 1.0)], schema=OBSERVATIONS, orient="row")
    group: dict[str, Any] = {
        "dataset": "d",
        "feature_group_version": 1,
        "window": window,
        "reference_datetime": REFERENCE,
    }
    store.ingest(frame, **group, url="demo://", record={})
    assert store.read(with_known_at=True, **group, series=[("DK9", "000")]).is_empty()
    assert store.read(**group, series=[("DK1", "111")]).equals(frame)
