"""Which feature views the watch looks after: those that forecast, until a command retires them."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypedDict

from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest

logger = logging.getLogger(__name__)

_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Watched:
    """A feature view that is looked after, with the reference times of its newest run and ingest.

    ``newest_run`` is None if the view has not forecast yet; ``first_ingest`` is then since when it could have, and
    otherwise the newest ingest.
    """

    view: FeatureView
    newest_run: datetime | None
    newest_ingest: Ingest
    first_ingest: datetime


class Retired(TypedDict):
    """What ``retire`` returns: the feature view, whether it is retired now, and whether that is new."""

    feature_view_version: int
    dataset: str
    retired: bool
    changed: bool


def retire(
    feature_view_version: int | str, now: datetime | str, *, undo: bool = False, settings: Settings | None = None
) -> Retired:
    """Stop looking after a feature view that is not to forecast any more: it has no alarms, and nothing is sent.

    It is looked after again from the first run on that forecasts with it at a reference time after ``now``, or when the
    command is undone. Its forecasts and figures stay.

    Args:
        feature_view_version: As ``feature_view.create`` returned it.
        now: The present time; naive is UTC, text is ISO.
        undo: Look after the view again.
        settings: Where things are; default from the environment.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no such feature view; the message names those that exist.
        StorageError: If the stores cannot be read or written now.
    """
    settings, time = settings or Settings(), moment("now", now)
    view = FeatureStore(settings).feature_view(whole_number("feature_view_version", feature_view_version, least=1))
    alarms = Alarms(settings)
    changed = alarms.restore_view(view.version) if undo else alarms.retire_view(view.version, retired_at=time)
    return {"feature_view_version": view.version, "dataset": view.dataset, "retired": not undo, "changed": changed}


def watched_views(settings: Settings, now: datetime) -> Iterator[Watched]:
    """Yield the feature views to look after at a time, by version; one that forecasts again is restored."""
    store, archive, alarms = FeatureStore(settings), ForecastArchive(settings), Alarms(settings)
    retired, forecast = alarms.retired_views(), False
    for view in store.feature_views():
        runs = archive.newest_run(feature_view_version=view.version, reference_until=now + _INSTANT)
        if runs.is_empty():
            continue
        forecast, newest = True, as_utc(runs["reference_datetime"][0])
        if view.version in retired and newest <= retired[view.version]:
            continue
        if view.version in retired:
            logger.info("feature view %d forecasts again, so it is looked after again", view.version)
            alarms.restore_view(view.version)
        ingest = _newest_ingest(store, view, now)
        if ingest is not None:
            yield Watched(view, newest, ingest, ingest.known_at)
    if not forecast:
        yield from _before_the_first_forecast(store, now, retired)


def _newest_ingest(store: FeatureStore, view: FeatureView, now: datetime) -> Ingest | None:
    return store.latest_ingest(dataset=view.dataset, feature_group_version=view.feature_group_version, known_until=now)


def _before_the_first_forecast(store: FeatureStore, now: datetime, retired: dict[int, datetime]) -> Iterator[Watched]:
    """Yield the feature view of the newest ingest: a first run that fails after its ingest is missed, too."""
    ingests = store.ingests(known_until=now)
    if not ingests:
        return
    newest = ingests[-1]
    named = {"dataset": newest.dataset, "feature_group_version": newest.feature_group_version}
    version = store.create_feature_view(**named)  # type: ignore[arg-type]  # a name and a number
    if version not in retired:
        own = [each for each in ingests if (each.dataset, each.feature_group_version) == tuple(named.values())]
        yield Watched(store.feature_view(version), None, newest, own[0].known_at)
