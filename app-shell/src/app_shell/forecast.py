"""The forecasts of one series as they stand in the archive, beside what was observed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast

import polars as pl

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR, QUANTILES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.find import INSTANT, find_run, find_series


class Observed(TypedDict):
    """What was observed in an hour, in kWh."""

    datetime_utc: str
    energy_consumption: float


class ForecastHour(Observed):
    """The forecast of an hour, in kWh, with its quantiles."""

    q05: float
    q10: float
    q50: float
    q90: float
    q95: float
    quality: str


class SeriesForecast(TypedDict):
    """The forecasts of a series that one run made, and the observations around them; times are text in UTC.

    ``not_taken`` counts corrected values that the run, repeated after a correction, did not take.
    """

    area: str
    consumer_type: str
    unit: str
    reference_datetime: str
    feature_view_version: int
    training_dataset_version: int
    model_version: int
    not_taken: int
    forecasts: list[ForecastHour]
    observations: list[Observed]


def of_series(
    settings: Settings,
    area: str,
    consumer_type: str,
    *,
    reference_datetime: datetime | None,
    feature_view_version: int | None,
    days: int,
    known_at: datetime,
) -> SeriesForecast:
    """Return the forecasts of a series as made at a reference time, and its observations around them.

    Args:
        settings: Where the archive and the store are.
        area: Price area.
        consumer_type: Consumer type.
        reference_datetime: When the forecasts were made; None for the newest run that is not in the future.
        feature_view_version: The view that they were made with; needed where several have a run of that time.
        days: Days of observations before the first forecast.
        known_at: Observations are as known at this time.

    Raises:
        InvalidArgument: If several views have a run of that time and none is given.
        NotFoundError: If there is no such run or series; the message says what there is.
        StorageError: If the stores cannot be read now.
    """
    run = find_run(
        settings, reference_datetime=reference_datetime, feature_view_version=feature_view_version, now=known_at
    )
    forecasts = find_series(forecasts_of(settings, run), area, consumer_type)
    observed = _observed(settings, forecasts, run, days=days, known_at=known_at)
    return {
        "area": area,
        "consumer_type": consumer_type,
        "unit": "kWh",
        "reference_datetime": f"{run['reference_datetime']:{DATETIME_FORMAT}}",
        "feature_view_version": run["feature_view_version"],
        "training_dataset_version": run["training_dataset_version"],
        "model_version": run["model_version"],
        "not_taken": _not_taken(settings, run),
        "forecasts": cast("list[ForecastHour]", _plain(forecasts, *QUANTILES, "quality")),
        "observations": cast("list[Observed]", _plain(observed)),
    }


def forecasts_of(settings: Settings, run: Mapping[str, Any]) -> pl.DataFrame:
    """Return FORECASTS of a run, by the hour that is forecast."""
    reference: datetime = run["reference_datetime"]
    rows = ForecastArchive(settings).read(
        feature_view_version=run["feature_view_version"],
        reference_from=reference,
        reference_until=reference + INSTANT,
    )
    return rows.sort("datetime_utc")


def _observed(
    settings: Settings, forecasts: pl.DataFrame, run: Mapping[str, Any], *, days: int, known_at: datetime
) -> pl.DataFrame:
    store = FeatureStore(settings)
    view = store.feature_view(run["feature_view_version"])
    hours: list[datetime] = forecasts["datetime_utc"].to_list()
    return store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=Window(min(hours[0], run["window_end"]) - timedelta(days=days), hours[-1] + HOUR),
        reference_datetime=known_at,
        series=[forecasts.select("area", "consumer_type").row(0)],
    )


def _not_taken(settings: Settings, run: Mapping[str, Any]) -> int:
    store = FeatureStore(settings)
    view = store.feature_view(run["feature_view_version"])
    counts = store.not_taken(dataset=view.dataset, feature_group_version=view.feature_group_version)
    return counts.get(run["reference_datetime"], 0)


def _plain(rows: pl.DataFrame, *more: str) -> list[dict[str, Any]]:
    hour = pl.col("datetime_utc").dt.strftime(DATETIME_FORMAT)
    return rows.select(hour, "energy_consumption", *more).to_dicts()
