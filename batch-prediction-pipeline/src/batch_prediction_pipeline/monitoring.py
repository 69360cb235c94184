"""Monitoring: how good the archived forecasts turned out, kept for every hour that asks."""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from batch_prediction_pipeline import scoring
from batch_prediction_pipeline.versions import reference_for
from forecast_core.arguments import whole_number
from forecast_core.feature_store import FeatureStore, FeatureView
from forecast_core.forecasts import ForecastArchive
from forecast_core.metrics import plain
from forecast_core.settings import Settings
from forecast_core.window import DATETIME_FORMAT, HOUR, Window

logger = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=7)
"""Forecasts made in this time up to the reference time are scored, so that the cost of an hour stays the same."""

_INSTANT: Final = timedelta(microseconds=1)


def compute(
    feature_view_version: int | str,
    *,
    reference_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Score the forecasts of the week up to a reference time, on those of their hours that were observed by then.

    Truth and the seasonal naive forecast are the observations as known at the reference time. Figures are kept over
    all, per hour and per series, under the reference time; the same again changes nothing. No later forecast or
    observation enters them, but a forecast of an earlier reference time can only be scored if it is in the archive by
    now: after a backfill from the newest hour to the oldest, fewer are, and computing again completes the figures.

    Args:
        feature_view_version: As ``feature_view.create`` returned it.
        reference_datetime: Naive is UTC, text is ISO; default that of the newest ingest.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: ``scored``, the number of forecasts beside which there is an observation, and the figures over all
        of them, as fractions and kWh; with nothing to score, 0 and a ``note`` that says so.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no such feature view, or nothing was ever ingested.
        StorageError: If the stores cannot be read or written now.
    """
    settings = settings or Settings()
    store, archive = FeatureStore(settings), ForecastArchive(settings)
    view = store.feature_view(whole_number("feature_view_version", feature_view_version, least=1))
    reference = reference_for(store, view, reference_datetime, window_end=None)
    forecasts = archive.read(
        feature_view_version=view.version, reference_from=reference - LOOK_BACK, reference_until=reference + _INSTANT
    )
    facts = {"feature_view_version": view.version, "reference_datetime": reference.strftime(DATETIME_FORMAT)}
    if forecasts.is_empty():
        return _nothing(facts, "no forecast was archived in the week before: the first can be scored a day later")
    rows = scoring.scored(forecasts, _observed(store, view, forecasts, reference))
    if rows.is_empty():
        return _nothing(facts, f"none of the {forecasts.height} archived forecasts' hours has been observed yet")
    run = {"feature_view_version": view.version, "reference_datetime": reference}
    archive.write_metrics(scoring.history(rows, run=run))
    figures = plain(dict(scoring.overall(rows)))
    logger.info("scored %d forecasts: %s", rows.height, figures)
    return {**facts, "scored": rows.height, **_extent(rows), "metrics": figures}


def _nothing(facts: dict[str, Any], note: str) -> dict[str, Any]:
    logger.info("nothing to score: %s", note)
    return {**facts, "scored": 0, "note": note}


def _observed(store: FeatureStore, view: FeatureView, forecasts: pl.DataFrame, reference: datetime) -> pl.DataFrame:
    """Return the observations of the forecast hours and of the days that the naive forecast looks back to."""
    bounds = forecasts.select(
        first=pl.col("datetime_utc").min(),
        last=pl.col("datetime_utc").max(),
        horizon=(pl.col("datetime_utc").max() - pl.col("datetime_utc").min()).over("reference_datetime").max(),
    ).row(0, named=True)
    # A horizon of 24 hours has its last lead 23 hours after the first: one day back is enough.
    back = timedelta(days=bounds["horizon"].days + 1)
    return store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=Window(bounds["first"] - back, bounds["last"] + HOUR),
        known_at=reference,
    )


def _extent(rows: pl.DataFrame) -> dict[str, Any]:
    hours = rows["datetime_utc"]
    return {
        "runs": rows["reference_datetime"].n_unique(),
        "first_hour": hours.dt.strftime(DATETIME_FORMAT).min(),
        "last_hour": hours.dt.strftime(DATETIME_FORMAT).max(),
    }
