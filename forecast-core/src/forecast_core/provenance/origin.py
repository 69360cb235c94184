"""One archived forecast run, found again by its reference time, with all that its numbers name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from forecast_core import tracking
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, as_utc
from forecast_core.feature_store import FeatureStore, FeatureView, TrainingDataset
from forecast_core.tracking import ModelVersion

_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Origin:
    """One archived forecast run with what it was made from; ``facts`` is its row of ``forecasts.RUNS``."""

    forecasts: pl.DataFrame
    facts: Mapping[str, Any]
    view: FeatureView
    model: ModelVersion
    dataset: TrainingDataset

    @property
    def window(self) -> Window:
        """The hours that the forecasts were made from."""
        return Window(as_utc(self.facts["window_start"]), as_utc(self.facts["window_end"]))

    @property
    def reference(self) -> datetime:
        """The time as of which the observations were known."""
        return as_utc(self.facts["reference_datetime"])


def find_run(
    settings: Settings, *, reference_datetime: datetime | str, feature_view_version: int | str | None = None
) -> Origin:
    """Return the archived run of a reference time, with all that its numbers name.

    Raises:
        InvalidArgument: If more than one view has a run of that time and none is given.
        NotFoundError: If there is no such run, or a version that it names is gone.
    """
    reference, archive = moment("reference_datetime", reference_datetime), ForecastArchive(settings)
    number = feature_view_version
    view = None if number is None else whole_number("feature_view_version", number, least=1)
    until = reference + _INSTANT
    runs = archive.read_runs(feature_view_version=view, reference_from=reference, reference_until=until)
    if runs.is_empty():
        raise _no_run(archive, reference, view)
    if runs.height > 1:
        views = runs["feature_view_version"].to_list()
        raise InvalidArgument(
            f"feature views {views} have forecasts of {as_text(reference)}: say which by feature_view_version",
            existing=views,
        )
    facts, store = runs.row(0, named=True), FeatureStore(settings)
    version = facts["feature_view_version"]
    return Origin(
        archive.read(feature_view_version=version, reference_from=reference, reference_until=until),
        facts,
        store.feature_view(version),
        tracking.model_version(settings, facts["model_version"]),
        store.training_dataset(facts["training_dataset_version"]),
    )


def _no_run(archive: ForecastArchive, reference: datetime, view: int | None) -> NotFoundError:
    of_view = "" if view is None else f" of feature view {view}"
    runs = archive.read_runs(feature_view_version=view)
    times = runs["reference_datetime"].unique().sort()
    span = (
        f"{times.len()} times from {as_text(times.min())} to {as_text(times.max())}" if times.len() else "no time yet"
    )
    return NotFoundError(
        f"no forecasts{of_view} were made at {as_text(reference)}; there are some of {span}: give the "
        "reference time that stands in the forecast's row, or run batch.predict for this one",
        reference_datetime=reference,
    )


def as_text(value: Any) -> str | None:
    """Return a time as it travels: text in UTC; None stays None."""
    return None if value is None else str(value.strftime(DATETIME_FORMAT))
