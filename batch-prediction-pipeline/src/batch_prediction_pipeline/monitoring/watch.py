"""Dead man's switch: check for missing runs, forecasts and data. The scheduler passes ``now``.

It reads the tables only, so it works while the pipeline is paused, fails or hangs. Airflow calls it every half hour.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

import polars as pl

from batch_prediction_pipeline.monitoring import dag_runs
from batch_prediction_pipeline.monitoring.judging import Check, frame
from batch_prediction_pipeline.monitoring.watched import Watched, watched_views
from forecast_core.alarms import NOTICES, OVERALL, Alarms
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest

logger = logging.getLogger(__name__)


class Notice(TypedDict):
    """One thing that people are to be told: ``text``.

    ``notice`` is the alarm's level (``notify`` or ``tune``) or ``cleared``; the other fields name the alarm. An alarm
    about the DAG has the feature view version 0 and no dataset. Times are ISO text in UTC.
    """

    feature_view_version: int
    dataset: str
    source: str
    kind: str
    subject: str
    notice: str
    opened_at: str
    text: str


class Checked(TypedDict):
    """What ``check`` returns: the number of open alarms, and what people are to be told now."""

    open: int
    due: list[Notice]


class Told(TypedDict):
    """What ``told`` returns: how many notices had not been recorded before."""

    told: int


def check(now: datetime | str, *, dag: Mapping[str, Any] | None = None, settings: Settings | None = None) -> Checked:
    """Look whether forecasts, runs and data are there, as of ``now``; return what people are to be told of all alarms.

    Every feature view that forecasts is looked after until it is retired (``watched.retire``). While no view has
    forecast yet, that of the newest ingest is. A system that has never ingested anything has nothing to be late.

    Args:
        now: The present time; naive is UTC, text is ISO.
        dag: ``dag_runs.Dag``, what Airflow says of the hourly DAG; without it, its runs are not judged.
        settings: Where things are; default from the environment.

    Returns:
        ``Checked``, plain JSON: each level of an alarm is due until ``told`` records it, and so is its clearing.

    Raises:
        InvalidArgument: If the time or ``dag`` cannot be read.
        StorageError: If the stores cannot be read or written now.
    """
    settings, time = settings or Settings(), moment("now", now)
    alarms, store = Alarms(settings), FeatureStore(settings)
    for watched in watched_views(settings, time):
        checks = list(_checks(settings, store, watched, time))
        version = watched.view.version
        alarms.write(frame(checks, reference_datetime=time, feature_view_version=version, source="watch"))
    if dag is not None:
        found = list(dag_runs.checks(dag, settings, now=time))
        alarms.write(frame(found, reference_datetime=time, feature_view_version=dag_runs.NO_VIEW, source="watch"))
    due = alarms.due().sort("opened_at", "feature_view_version", "kind", "subject")
    views = {view.version: view for view in store.feature_views()}
    return {
        "open": alarms.read(only_open=True).height,
        "due": [_notice(row, views.get(row["feature_view_version"])) for row in due.iter_rows(named=True)],
    }


def told(due: Sequence[Mapping[str, Any]], now: datetime | str, *, settings: Settings | None = None) -> Told:
    """Record that people were told what ``check`` returned as ``due``, so that they are not told again.

    It is recorded as it was sent, whatever the alarm has become since: what follows (a higher level, the clearing) is
    due then.

    Raises:
        InvalidArgument: If the time cannot be read, or something is not as ``check`` returned it.
        StorageError: If the store cannot be written now.
    """
    names = [name for name in NOTICES.names() if name != "notified_at"]
    missing = sorted({name for each in due for name in names if name not in each})
    if missing:
        raise InvalidArgument(f"expected notices as watch.check returned them; they have no {', '.join(missing)}")
    rows = [{**each, "opened_at": moment("opened_at", each["opened_at"])} for each in due]
    values = [[row[name] for name in names] for row in rows]
    sent = pl.DataFrame(values, schema={name: NOTICES[name] for name in names}, orient="row")
    return {"told": Alarms(settings or Settings()).mark_told(sent, notified_at=moment("now", now))}


def _notice(row: Mapping[str, Any], view: FeatureView | None) -> Notice:
    """Return the notice of an alarm of a feature view, or of the DAG if there is none."""
    series = "" if row["subject"] == OVERALL else f" of {row['subject']}"
    where = "the DAG ml_pipeline" if view is None else f"{view.dataset} (feature view {view.version})"
    about = f"{row['kind']}{series} in {where}"
    since = f"{row['opened_at']:{DATETIME_FORMAT}} UTC"
    if row["notice"] == "cleared":
        text = f"cleared: {about}, open since {since}: {row['message']}"
    else:
        request = ", and the next run tunes" if row["notice"] == "tune" else ""
        text = f"alarm: {about}, since {since}{request}: {row['message']}"
    return {
        "feature_view_version": row["feature_view_version"],
        "dataset": "" if view is None else view.dataset,
        "source": row["source"],
        "kind": row["kind"],
        "subject": row["subject"],
        "notice": row["notice"],
        "opened_at": as_utc(row["opened_at"]).isoformat(),
        "text": text,
    }


def _checks(settings: Settings, store: FeatureStore, watched: Watched, now: datetime) -> Iterator[Check]:
    hours, ingest = settings.alarm_run_hours, watched.newest_ingest
    forecast = watched.newest_run or watched.first_ingest
    yield _since("forecast", "no run has archived forecasts", forecast, now, hours)
    yield _since("run", "no run has ingested anything", ingest.known_at, now, hours)
    yield _data(settings, store, ingest, now)


def _since(kind: str, what: str, last: datetime, now: datetime, hours: float) -> Check:
    age = (now - as_utc(last)) / HOUR
    return Check(kind, age, (hours,), f"{what} since {last:{DATETIME_FORMAT}} UTC, {age:.1f} hours ago")


def _data(settings: Settings, store: FeatureStore, ingest: Ingest, now: datetime) -> Check:
    """Judge how much older than with the usual delay of the source the newest observation is."""
    usual = ingest.known_at - ingest.window.end
    # Wherever it is: a source that has stalled for weeks has none in the window of the newest ingest.
    newest = store.newest_hour(
        dataset=ingest.dataset, feature_group_version=ingest.feature_group_version, reference_datetime=now
    )
    until = ingest.window.start if newest is None else newest + HOUR
    late = (now - as_utc(until) - usual) / HOUR
    return Check(
        "data",
        late,
        (settings.alarm_data_hours,),
        f"the newest observation ends at {until:{DATETIME_FORMAT}} UTC: {late:.1f} hours later than with the usual "
        f"delay of {usual / timedelta(days=1):.1f} days",
    )
