"""A root folder that the wheels of 1.0.0 made, moved elsewhere: read as it is, migrated, and written on.

``data/root-of-1.0.0.tar.xz`` was made by `feature_pipeline run`, `create-feature-view`, `tune`, `upload-best-config`,
`train`, `predict`, `promote`, `rollback` and `monitor` of those wheels, on two series of 22 days, in
``/srv/energy-1.0.0/root``. Decisions and searches are in MLflow there, and the paths of models are absolute.
"""

import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import load_forecaster
from batch_prediction_pipeline import batch
from feature_pipeline import maintenance
from forecast_core import stores, tracking
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.trace import trace
from training_pipeline import train

ROOT = Path(__file__).parent / "data" / "root-of-1.0.0.tar.xz"
REFERENCE = datetime(2023, 1, 23, 1, tzinfo=UTC)
DATASET = "ConsumptionDE35Hour"


@pytest.fixture
def moved(tmp_path: Path) -> Settings:
    with tarfile.open(ROOT) as archive:
        archive.extractall(tmp_path, filter="data")
    return Settings(root_dir=tmp_path / "root")


def actions(settings: Settings) -> list[str]:
    decided = tracking.promotions(settings, feature_view_version=1)
    return [each.action for each in decided]


def test_what_1_0_0_wrote_is_read_without_a_migration(moved: Settings) -> None:
    window = Window(REFERENCE - timedelta(days=21), REFERENCE)
    observed = FeatureStore(moved).read(
        dataset=DATASET, feature_group_version=1, window=window, reference_datetime=REFERENCE
    )
    assert observed.height == 2 * 21 * 24
    runs = ForecastArchive(moved).read_runs()
    assert runs["forecasts"].to_list() == [48, 48]
    assert ForecastArchive(moved).read_metrics(feature_view_version=1).height > 0
    assert actions(moved) == ["promote", "rollback"]
    assert len(tracking.Searches(moved).uploaded()) == 1
    traced = trace(moved, area="DK1", consumer_type="111", datetime_utc=REFERENCE, reference_datetime=REFERENCE)
    assert traced["model"]["version"] == 2


def test_models_of_a_moved_root_are_found_in_it(moved: Settings) -> None:
    for version in (1, 2):
        folder = tracking.download_model(moved, tracking.model_version(moved, version))
        assert folder.is_relative_to(moved.root)
        assert load_forecaster.load(folder).fh == 24


def test_migration_copies_decisions_and_searches_once_and_changes_nothing_else(moved: Settings) -> None:
    before = stores.versions(moved)
    assert maintenance.migrate(settings=moved)["tables"] == ["quarantine", "promotions", "searches"]
    assert actions(moved) == ["promote", "rollback"]
    after = stores.versions(moved)
    # Of the store of 1.0.0, only the findings have an older format.
    kept = {name for name in before if name != "quarantine"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert maintenance.migrate(settings=moved)["tables"] == []
    assert stores.versions(moved) == after


def test_a_migration_that_is_killed_anywhere_is_finished_by_the_next(moved: Settings) -> None:
    program = (
        "from feature_pipeline import maintenance; from forecast_core.contracts.settings import Settings; "
        f"maintenance.migrate(settings=Settings(root_dir={str(moved.root)!r}))"
    )
    command = [sys.executable, "-c", program]
    # The imports take one to two seconds, the two commits a tenth of one.
    for seconds in (1.5, 2.0, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert actions(moved) == ["promote", "rollback"]
    maintenance.migrate(settings=moved)
    assert actions(moved) == ["promote", "rollback"]
    assert len(tracking.Searches(moved).uploaded()) == 1


def test_a_moved_root_is_written_on_in_its_new_place(moved: Settings) -> None:
    forecasts = batch.predict(
        model_version=2, reference_datetime=REFERENCE + timedelta(minutes=30), end_datetime=REFERENCE, settings=moved
    )
    assert forecasts["rows"] == 48
    training = FeatureStore(moved).create_training_dataset(
        feature_view_version=1,
        window=Window(REFERENCE - timedelta(days=20), REFERENCE - timedelta(days=1)),
        reference_datetime=REFERENCE,
    )
    trained = train.from_best_config(
        training_dataset_version=training.version,
        reference_datetime=f"{REFERENCE:{DATETIME_FORMAT}}",
        settings=moved,
    )
    model = tracking.model_version(moved, trained["model_version"])
    assert tracking.download_model(moved, model).is_relative_to(moved.root)
    assert model.source.startswith(moved.artifacts)
