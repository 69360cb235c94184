"""What changed between two reference times: late arrivals and restatements, by series."""

from datetime import datetime
from typing import TypedDict, cast

import polars as pl

from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore


class SeriesChanges(TypedDict):
    """A row of ``by_series``; the hours are text in UTC."""

    area: str
    consumer_type: str
    arrived: int
    restated: int
    first_hour: str
    last_hour: str
    restated_by_kwh: float
    largest_change_kwh: float | None


class Changed(TypedDict):
    """What ``report`` returns, as plain JSON; times are text in UTC."""

    dataset: str
    feature_group_version: int
    known_from: str
    known_to: str
    start_datetime: str
    end_datetime: str
    arrived: int
    restated: int
    series: list[SeriesChanges]


def report(
    dataset: str,
    known_from: datetime | str,
    known_to: datetime | str,
    *,
    feature_group_version: int | str = 1,
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> Changed:
    """Return which values differ between what was known at two reference times.

    Args:
        dataset: Name of the source's dataset.
        known_from: The earlier reference time; naive is UTC, text is ISO.
        known_to: The later one.
        feature_group_version: As given to ``pipeline.run``.
        start_datetime: First hour to compare; default the first that an ingest asked for.
        end_datetime: The hour after the last one.
        settings: Where the store is; default from the environment.

    Returns:
        The arguments, how many values arrived and were restated, and the same by series.

    Raises:
        InvalidArgument: If a time cannot be read, or the second is before the first.
        NotFoundError: If there is no such feature group.
    """
    store = FeatureStore(settings or Settings())
    version = whole_number("feature_group_version", feature_group_version, least=1)
    first, last = moment("known_from", known_from), moment("known_to", known_to)
    all_hours = _all_hours(store, dataset, version)
    start = all_hours.start if start_datetime is None else moment("start_datetime", start_datetime)
    end = all_hours.end if end_datetime is None else moment("end_datetime", end_datetime)
    window = Window(start, end)
    series = by_series(
        store.changes(dataset=dataset, feature_group_version=version, window=window, known_from=first, known_to=last)
    )
    texts = series.with_columns(pl.col("first_hour", "last_hour").dt.strftime(DATETIME_FORMAT))
    return {
        "dataset": dataset,
        "feature_group_version": version,
        "known_from": first.strftime(DATETIME_FORMAT),
        "known_to": last.strftime(DATETIME_FORMAT),
        "start_datetime": start.strftime(DATETIME_FORMAT),
        "end_datetime": end.strftime(DATETIME_FORMAT),
        "arrived": int(series["arrived"].sum()),
        "restated": int(series["restated"].sum()),
        "series": cast("list[SeriesChanges]", texts.to_dicts()),
    }


def _all_hours(store: FeatureStore, dataset: str, version: int) -> Window:
    """Return the hours from the first to the last that any ingest of a feature group asked for."""
    windows = [ingest.window for ingest in store.ingests(dataset=dataset, feature_group_version=version)]
    if not windows:
        raise NotFoundError(
            f"there is no feature group {dataset!r} version {version}; there are "
            f"{store.feature_group_versions() or 'none yet'}: run the feature pipeline first",
            dataset=dataset,
        )
    return Window(min(each.start for each in windows), max(each.end for each in windows))


def by_series(changes: pl.DataFrame) -> pl.DataFrame:
    """Sum up the result of ``FeatureStore.changes``.

    Returns:
        One row per series that has changes, sorted: hours that ``arrived`` and that were ``restated``, the first and
        the last of both, and of the restated ones the change of the sum and the largest change of one hour, in kWh.
    """
    change = pl.col("after") - pl.col("before")
    return (
        changes.group_by(SERIES)
        .agg(
            arrived=pl.col("before").is_null().sum(),
            restated=pl.col("before").is_not_null().sum(),
            first_hour=pl.col("datetime_utc").min(),
            last_hour=pl.col("datetime_utc").max(),
            restated_by_kwh=change.sum(),
            largest_change_kwh=change.get(change.abs().arg_max()),
        )
        .sort(SERIES)
    )
