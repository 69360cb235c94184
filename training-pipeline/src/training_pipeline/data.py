"""Which training dataset a run is about, and by which code."""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from forecast_core.contracts.arguments import forecast_gap, moment, whole_number
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore, TrainingDataset


@dataclass(frozen=True)
class Task:
    """What to train or tune on: versions, not "the newest", so that the same task again is the same.

    The ``fh`` hours to forecast begin ``gap`` hours after the last observation.
    """

    fh: int
    dataset: TrainingDataset
    reference: datetime
    gap: int = 0

    def identity(self) -> dict[str, Any]:
        """Return what a result depends on besides its configuration, as plain JSON."""
        return {"content_hash": self.dataset.content_hash, "fh": self.fh, "gap": self.gap, "code": code_version()}


def resolve(
    fh: int | str,
    feature_view_version: int | str | None,
    training_dataset_version: int | str | None,
    reference_datetime: datetime | str | None,
    settings: Settings,
    *,
    forecast_from: str = "last_observation",
) -> Task:
    """Return the task that the arguments of an entry point mean; the newest stands in for a version that is None.

    Raises:
        InvalidArgument: If an argument cannot be read, or the training dataset is not of the feature view.
        NotFoundError: If a version does not exist; the message names those that do.
        StorageError: If the feature store cannot be read now.
    """
    horizon, store = whole_number("fh", fh, least=1), FeatureStore(settings)
    view = _version("feature_view_version", feature_view_version)
    number = _version("training_dataset_version", training_dataset_version)
    if view is not None:
        store.feature_view(view)
    dataset = (
        store.newest_training_dataset(feature_view_version=view) if number is None else store.training_dataset(number)
    )
    if view not in (None, dataset.feature_view_version):
        raise InvalidArgument(
            f"training dataset {dataset.version} is of feature view {dataset.feature_view_version}, not of {view}: "
            "give the two versions that feature_view.create returned together",
            training_dataset_version=dataset.version,
            feature_view_version=view,
        )
    given = reference_datetime is not None
    reference = moment("reference_datetime", reference_datetime) if given else dataset.known_at
    gap = forecast_gap(forecast_from, window_end=dataset.window.end, reference=reference)
    return Task(horizon, dataset, reference, gap)


def _version(name: str, value: int | str | None) -> int | None:
    return None if value is None else whole_number(name, value, least=1)


def load(task: Task, settings: Settings) -> pl.DataFrame:
    """Return the task's OBSERVATIONS, checked against the hash of the training dataset.

    Raises:
        FormatError: If the file does not have the content that was registered.
        NotFoundError: If the file is gone.
        StorageError: If it cannot be read now.
    """
    return FeatureStore(settings).read_training_dataset(task.dataset.version)


def code_version() -> str:
    """Return the versions of the distributions that decide what a model is."""
    return ", ".join(f"{name} {version(name)}" for name in ("training-pipeline", "forecast-core"))
