"""One archived forecast run with the view, the model and the training dataset that it names."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from forecast_core import tracking
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import RunRow
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, as_utc
from forecast_core.feature_store import FeatureStore, FeatureView, TrainingDataset
from forecast_core.provenance.find import INSTANT, find_run
from forecast_core.tracking import ModelVersion


@dataclass(frozen=True)
class Origin:
    """One archived forecast run with what it was made from; ``facts`` is its row of ``schema.RUNS``."""

    forecasts: pl.DataFrame
    facts: RunRow
    view: FeatureView
    model: ModelVersion
    dataset: TrainingDataset

    @property
    def window(self) -> Window:
        """The hours that the forecasts were made from."""
        return Window(as_utc(self.facts["window_start"]), as_utc(self.facts["window_end"]))

    @property
    def reference_datetime(self) -> datetime:
        """The time as of which the observations were known."""
        return as_utc(self.facts["reference_datetime"])


def find_origin(
    settings: Settings, *, reference_datetime: datetime | str, feature_view_version: int | str | None = None
) -> Origin:
    """Return the archived run of a reference time, with its view, model and training dataset.

    Raises:
        InvalidArgument: If more than one view has a run of that time and none is given.
        NotFoundError: If there is no such run, or a version that it names is gone.
    """
    facts = find_run(settings, reference_datetime=reference_datetime, feature_view_version=feature_view_version)
    store, version, reference = FeatureStore(settings), facts["feature_view_version"], facts["reference_datetime"]
    return Origin(
        ForecastArchive(settings).read(
            feature_view_version=version, reference_from=reference, reference_until=reference + INSTANT
        ),
        facts,
        store.feature_view(version),
        tracking.model_version(settings, facts["model_version"]),
        store.training_dataset(facts["training_dataset_version"]),
    )
