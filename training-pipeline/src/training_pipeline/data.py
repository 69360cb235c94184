"""The observations that a run trains on, and what identifies a result besides its configuration."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TypedDict

import polars as pl

from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.code import code_digest, library_versions
from forecast_core.runs import TrainingRun


class Identity(TypedDict):
    """What a result depends on besides its configuration; ``code`` is a digest, ``libraries`` are versions by name."""

    content_hash: str
    fh: int
    gap: int
    code: str
    libraries: dict[str, str]


def identity(run: TrainingRun, *, entry_module: str, libraries: Sequence[str] = ()) -> Identity:
    """Return what a result depends on besides its configuration, as plain JSON.

    Args:
        run: The run that makes the result.
        entry_module: The module of the function that makes it. Its content and that of all our modules that it imports
            is part of the identity: an edited constant makes another result.
        libraries: Distributions that decide the result besides ``provenance.code.LIBRARIES``.
    """
    return {
        "content_hash": run.training_dataset.content_hash,
        "fh": run.fh,
        "gap": run.gap,
        "code": code_digest(entry_module),
        "libraries": library_versions(*libraries),
    }


def load(run: TrainingRun, settings: Settings) -> pl.DataFrame:
    """Return the OBSERVATIONS of the training dataset, checked against its hash.

    Raises:
        FormatError: If the file does not have the content that was registered.
        NotFoundError: If the file is gone.
        StorageError: If it cannot be read now.
    """
    return FeatureStore(settings).read_training_dataset(run.training_dataset.version)


def code_version() -> str:
    """Return the versions of the distributions that made a result, for people to read."""
    distributions = ("training-pipeline", "forecast-core", "load-forecaster")
    return ", ".join(f"{name} {version(name)}" for name in distributions)
