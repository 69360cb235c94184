"""Monitoring: how good the archived forecasts turned out and what is wrong, kept for every hour that asks."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from batch_prediction_pipeline.monitoring import drift, judging, scoring
from forecast_core import tracking
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import whole_number
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore, FeatureView
from forecast_core.runs import resolve_reference
from load_forecaster.metrics import plain

logger = logging.getLogger(__name__)

WEEK: Final = 7
_LONGEST: Final = timedelta(days=max(scoring.DAYS))
_HORIZON: Final = timedelta(days=7)
"""The longest horizon that there can be."""


def compute(
    feature_view_version: int | str,
    *,
    reference_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Score the forecasts made before a reference time, of the last 1, 7 and 30 days observed by it; raise alarms.

    Truth and the seasonal naive forecast are the observations as known at the reference time; the days end with the
    newest hour that has both. Figures are kept over all, per series and per lead, and per hour of
    the last week, under the reference time; the same again changes nothing. No later forecast or observation enters
    them, but a forecast of an earlier reference time can only be scored if it is in the archive by now: after a
    backfill from the newest hour to the oldest, fewer are, and computing again completes the figures.

    Args:
        feature_view_version: As ``feature_view.create`` returned it.
        reference_datetime: Naive is UTC, text is ISO; default that of the newest ingest.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: ``scored``, the number of forecasts of the last week beside which there is an observation,
        ``metrics`` over all of them, as fractions and kWh, and ``rolling``, the same by number of days; with nothing
        to score, 0 and a ``note`` that says so. ``alarms`` are those that are open at the reference time.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no such feature view, or nothing was ever ingested.
        StorageError: If the stores cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    settings = settings or Settings()
    store, archive = FeatureStore(settings), ForecastArchive(settings)
    view = store.feature_view(whole_number("feature_view_version", feature_view_version, least=1))
    reference = resolve_reference(settings, view, reference_datetime)
    facts = {"feature_view_version": view.version, "reference_datetime": reference.strftime(DATETIME_FORMAT)}
    forecasts = _forecasts(archive, view, reference)
    if forecasts.is_empty():
        return _nothing(facts, "no forecast was archived before: the first can be scored a day later")
    rows = scoring.scored(forecasts, _observed(store, view, forecasts, reference))
    checks = _standing(settings, store, forecasts, reference)
    if rows.is_empty():
        result = _nothing(facts, f"none of the {forecasts.height} archived forecasts' hours has been observed yet")
    else:
        run = {"feature_view_version": view.version, "reference_datetime": reference}
        history = scoring.history(rows, run=run, backtests=_backtests(settings, rows))
        archive.write_metrics(history)
        rolling, week = _rolling(history), scoring.recent(rows, days=WEEK)
        logger.info("scored %d forecasts: %s", week.height, rolling[str(WEEK)])
        checks += judging.of_scores(rows, rolling[str(WEEK)], settings)
        result = {**facts, "scored": week.height, **_extent(week), "metrics": rolling[str(WEEK)], "rolling": rolling}
    return result | {"alarms": _raise(settings, checks, view, reference)}


def _nothing(facts: dict[str, Any], note: str) -> dict[str, Any]:
    logger.info("nothing to score: %s", note)
    return {**facts, "scored": 0, "note": note, "alarms": []}


def _standing(
    settings: Settings, store: FeatureStore, forecasts: pl.DataFrame, reference: datetime
) -> list[judging.Check]:
    """Judge the newest run's forecasts, and the newest week against the training dataset of its model."""
    newest = forecasts.filter(pl.col("reference_datetime") == pl.col("reference_datetime").max())
    dataset = store.training_dataset(newest["training_dataset_version"][0])
    view = store.feature_view(dataset.feature_view_version)
    name, version = view.dataset, view.feature_group_version
    ingests = store.ingests(dataset=name, feature_group_version=version)
    end = max((each.window.end for each in ingests if each.known_at <= reference), default=dataset.window.end)
    window = Window(end - drift.RECENT, end)
    week = store.read(dataset=name, feature_group_version=version, window=window, reference_datetime=reference)
    training = store.read_training_dataset(dataset.version).filter(pl.col("datetime_utc") < end - drift.RECENT)
    known = pl.concat([training, week])
    return [*judging.of_quality(newest, settings), *judging.of_inputs(known, settings, end=end)]


def _raise(
    settings: Settings, checks: list[judging.Check], view: FeatureView, reference: datetime
) -> list[dict[str, Any]]:
    """Keep the checks; return the alarms that are open at the reference time."""
    alarms = Alarms(settings)
    version = view.version
    alarms.write(judging.frame(checks, reference=reference, feature_view_version=version, source="monitoring"))
    found = alarms.read(feature_view_version=version, as_of=reference, only_open=True)
    result = found.select("kind", "subject", "level", "message").to_dicts()
    for each in result:
        logger.warning("alarm (%s) %s, %s: %s", each["level"], each["kind"], each["subject"], each["message"])
    return result


def _forecasts(archive: ForecastArchive, view: FeatureView, reference: datetime) -> pl.DataFrame:
    """Return all whole runs before the reference time that forecast any of the last days that can be observed by then.

    Those days may lie weeks before the reference time, as data come late: the newest run says where. The run of the
    reference time itself forecasts after it is monitored, so its forecasts are left out when it runs again, too.
    """
    runs = archive.read_runs(feature_view_version=view.version, reference_until=reference)
    if runs.is_empty():
        return archive.read(feature_view_version=view.version, reference_until=reference)
    end, fh = runs.select(pl.col("window_end").max(), pl.col("fh").max()).row(0)
    return archive.read(
        feature_view_version=view.version,
        # A run forecasts no hour that is further ahead of its reference time than the longest horizon.
        reference_from=end - _LONGEST - 2 * _HORIZON,
        reference_until=reference,
        target=Window(end - _LONGEST - timedelta(hours=fh), floor_hour(reference) + 2 * _HORIZON),
    )


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
        reference_datetime=reference,
    )


def _backtests(settings: Settings, rows: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """Return what each model of the forecasts measured of itself when it was trained."""
    versions = set(rows["model_version"].unique())
    models = tracking.find_model_versions(settings, first=min(versions))
    return {each.version: json.loads(each.tags.get("metrics", "{}")) for each in models if each.version in versions}


def _rolling(history: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the figures over all by number of days."""
    total = history.filter(pl.col("level") == "overall")
    return {
        str(days): plain(dict(part.select("metric", "value").iter_rows()))
        for (days,), part in total.partition_by(["days"], as_dict=True, maintain_order=True).items()
    }


def _extent(rows: pl.DataFrame) -> dict[str, Any]:
    hours = rows["datetime_utc"]
    return {
        "runs": rows["reference_datetime"].n_unique(),
        "first_hour": hours.dt.strftime(DATETIME_FORMAT).min(),
        "last_hour": hours.dt.strftime(DATETIME_FORMAT).max(),
    }
