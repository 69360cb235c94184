"""The watch: whether what ought to be there is there. It is asked at any time, and told what time it is.

It needs no run of the pipeline: an orchestrator asks it every half hour, by its own clock.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from batch_prediction_pipeline.monitoring.judging import Check, frame
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, as_utc
from forecast_core.feature_store import FeatureStore, Ingest

logger = logging.getLogger(__name__)

_INSTANT: Final = timedelta(microseconds=1)
_LOOK_BACK: Final = timedelta(days=7)


def check(now: datetime | str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Look whether forecasts, runs and data are there, as of ``now``; return what is to be told of all open alarms.

    What is looked after is the feature view whose forecasts are the newest. A system that has never ingested anything
    has nothing to be late.

    Args:
        now: The present time; naive is UTC, text is ISO.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: ``open``, the number of open alarms; ``due``, for each that has not been told, or whose clearing has
        not, ``kind``, ``subject``, ``notice`` (``notify``, ``tune`` or ``cleared``), ``opened_at`` and ``text``.

    Raises:
        InvalidArgument: If the time cannot be read.
        StorageError: If the stores cannot be read or written now.
    """
    settings, at = settings or Settings(), moment("now", now)
    alarms = Alarms(settings)
    newest = _newest_run(settings, at)
    if newest is not None:
        checks = list(_checks(settings, newest, at))
        view = newest["feature_view_version"]
        alarms.write(frame(checks, reference_datetime=at, feature_view_version=view, source="watch"))
    due = alarms.due()
    return {
        "open": alarms.read(only_open=True).height,
        "due": [_notice(row) for row in due.sort("opened_at", "kind", "subject").iter_rows(named=True)],
    }


def told(due: Sequence[Mapping[str, Any]], now: datetime | str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Record that what ``check`` returned as ``due`` has been told, so that it is not told again.

    Returns:
        Plain JSON: ``told``, how many of them are recorded now.

    Raises:
        InvalidArgument: If the time cannot be read.
        StorageError: If the store cannot be written now.
    """
    alarms, wanted = Alarms(settings or Settings()), {_identity(each) for each in due}
    rows = alarms.due()
    chosen = [_identity(_notice(row)) in wanted for row in rows.iter_rows(named=True)]
    return {"told": alarms.mark_told(rows.filter(pl.Series(chosen, dtype=pl.Boolean)), at=moment("now", now))}


def _identity(notice: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(notice[name]) for name in ("kind", "subject", "notice", "opened_at"))


def _notice(row: Mapping[str, Any]) -> dict[str, Any]:
    about = "" if row["subject"] == "overall" else f" of {row['subject']}"
    opened = row["opened_at"].strftime(DATETIME_FORMAT)
    if row["notice"] == "cleared":
        text = f"cleared: {row['kind']}{about}, open since {opened} UTC: {row['message']}"
    else:
        request = ", and the next run tunes" if row["notice"] == "tune" else ""
        text = f"alarm: {row['kind']}{about}, since {opened} UTC{request}: {row['message']}"
    return {
        **{name: row[name] for name in ("kind", "subject", "notice")},
        "opened_at": opened,
        "text": text,
    }


def _newest_run(settings: Settings, at: datetime) -> dict[str, Any] | None:
    """Return the newest run that archived forecasts, or else what names the newest ingest; None if there is neither."""
    runs = ForecastArchive(settings).read_runs(reference_until=at + _INSTANT)
    if not runs.is_empty():
        return runs.row(-1, named=True)
    store = FeatureStore(settings)
    ingests = [each for each in store.ingests() if each.known_at <= at]
    if not ingests:
        return None
    newest = ingests[-1]
    view = store.create_feature_view(dataset=newest.dataset, feature_group_version=newest.feature_group_version)
    return {"feature_view_version": view, "reference_datetime": None}


def _checks(settings: Settings, newest: Mapping[str, Any], at: datetime) -> Iterator[Check]:
    hours, store = settings.alarm_run_hours, FeatureStore(settings)
    view = store.feature_view(newest["feature_view_version"])
    ingests = [
        each
        for each in store.ingests(dataset=view.dataset, feature_group_version=view.feature_group_version)
        if each.known_at <= at
    ]
    reference = newest["reference_datetime"]
    yield _since("forecast", "no run has archived forecasts", reference or ingests[0].known_at, at, hours)
    yield _since("run", "no run has ingested anything", ingests[-1].known_at, at, hours)
    yield _data(settings, store, ingests[-1], at)


def _since(kind: str, what: str, last: datetime, at: datetime, hours: float) -> Check:
    age = (at - as_utc(last)) / HOUR
    return Check(kind, age, (hours,), f"{what} since {last:{DATETIME_FORMAT}} UTC, {age:.1f} hours ago")


def _data(settings: Settings, store: FeatureStore, ingest: Ingest, at: datetime) -> Check:
    """Judge the age of the newest observation against what the source's usual delay makes of it."""
    usual = ingest.known_at - ingest.window.end
    window = Window(max(ingest.window.start, ingest.window.end - _LOOK_BACK), ingest.window.end)
    known = store.read(
        dataset=ingest.dataset, feature_group_version=ingest.feature_group_version, window=window, reference_datetime=at
    )
    newest = known.select(pl.col("datetime_utc").max()).item()
    until = window.start if newest is None else newest + HOUR
    late = (at - as_utc(until) - usual) / HOUR
    return Check(
        "data",
        late,
        (settings.alarm_data_hours,),
        f"the newest observation ends at {until:{DATETIME_FORMAT}} UTC: {late:.1f} hours later than with the usual "
        f"delay of {usual / timedelta(days=1):.1f} days",
    )
