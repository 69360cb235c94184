"""What the server holds between requests: the tables' versions and the latest run of each feature view.

A look at the tables makes a new, immutable ``Current``, which takes the place of the one before in one step: a request
sees all of one or all of the other. A run is one commit of the forecast archive, so none is ever seen by half.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from importlib.metadata import version
from threading import Lock
from typing import Any, Final, TypeVar

import polars as pl

from app_api.problems import Refused
from app_api.run_index import RunIndex, indexed
from forecast_core.archive import RUNS, ForecastArchive
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest
from forecast_core.tables.places import table

TABLES: Final = (
    "forecasts",
    "forecast_explanations",
    "forecast_runs",
    "monitoring",
    "ingests",
    "feature_views",
    "training_datasets",
    "quarantine",
    "quarantine_accepted",
    "consumer_types",
    "alarms",
    "alarm_notices",
)
INSTANT: Final = timedelta(microseconds=1)
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_NOTHING_YET: Final = "nothing has been forecast yet: run the pipeline once, then ask again"


@dataclass(frozen=True)
class Current:
    """The tables at one look at them.

    Attributes:
        versions: Version of each table that exists.
        runs: ``forecasts.RUNS`` of all runs, sorted by reference time and view.
        views: The feature views that have runs.
        latest: The latest run of each view whose forecasts were asked for, and of the newest view.
        ingests: The newest ingest of each of those views' feature groups.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    runs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RUNS))
    views: Mapping[int, FeatureView] = field(default_factory=dict)
    latest: Mapping[int, RunIndex] = field(default_factory=dict)
    ingests: Mapping[int, Ingest | None] = field(default_factory=dict)

    @cached_property
    def newest(self) -> int:
        """The view of the newest run; 0 if there is none."""
        return 0 if self.runs.is_empty() else int(self.runs["feature_view_version"][-1])


class Served:
    """The stores as the server sees them now, and what it holds of them in memory."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.clock = clock
        self.store = FeatureStore(settings)
        self.archive = ForecastArchive(settings)
        self.current = Current()
        self.identity = f"{version('app-api')} {hashlib.sha256(settings.store.encode()).hexdigest()[:16]}"
        self._lock = Lock()
        self._remembered: dict[str, tuple[tuple[int | None, ...], Any]] = {}

    def refresh(self) -> None:
        """Look at the tables, and take up what is new.

        Raises:
            StorageError: If they cannot be read now; what was there before stays.
        """
        with self._lock:
            versions = {name: number for name in TABLES if (number := self._version(name)) is not None}
            if versions != self.current.versions:
                self.current = self._taken_up(versions)

    def view(self, number: int | None) -> FeatureView:
        """Return a feature view that has runs; by default that of the newest run.

        Raises:
            Refused: 404 if there is no such view; it names those that there are.
        """
        current = self.current
        if not current.views:
            raise Refused(404, _NOTHING_YET, allowed=[])
        chosen = current.newest if number is None else number
        if chosen not in current.views:
            there = [str(each) for each in sorted(current.views)]
            raise Refused(
                404, f"feature view {chosen} has no forecasts; those that have: {', '.join(there)}", allowed=there
            )
        return current.views[chosen]

    def held(self, view: int | None) -> RunIndex | None:
        """Return the latest run of a view, by default of that of the newest run, if it is in memory."""
        current = self.current
        return current.latest.get(current.newest if view is None else view)

    def latest(self, view: int | None) -> RunIndex:
        """Return the latest run of a view, by default of that of the newest run.

        Raises:
            Refused: 404 if there is no such view.
        """
        number = self.view(view).version
        found = self.current.latest.get(number)
        return self._loaded(number) if found is None else found

    def known_at(self, view: FeatureView) -> datetime:
        """Return the reference time of the newest ingest of a view's data.

        Raises:
            Refused: 404 if nothing was ever ingested.
        """
        newest = self.current.ingests.get(view.version)
        if newest is None:
            raise Refused(404, f"nothing of {view.dataset} has been ingested yet", allowed=[])
        return newest.known_at

    def remembered(self, name: str, tables: Sequence[str], make: Callable[[], T]) -> T:
        """Return what ``make`` makes of tables, made anew when one of them has changed."""
        versions = tuple(self.current.versions.get(each) for each in tables)
        known = self._remembered.get(name)
        if known is None or known[0] != versions:
            known = self._remembered[name] = (versions, make())
        found: T = known[1]
        return found

    def _loaded(self, view: int) -> RunIndex:
        with self._lock:
            current = self.current
            if view not in current.latest:
                latest = {**current.latest, view: self._latest(current.runs, view)}
                self.current = Current(current.versions, current.runs, current.views, latest, current.ingests)
            return self.current.latest[view]

    def _version(self, name: str) -> int | None:
        opened = table(self.settings, name, schema=pl.Schema({})).open()
        return None if opened is None else opened.version()

    def _taken_up(self, versions: Mapping[str, int]) -> Current:
        before = self.current
        runs, same_forecasts = before.runs, versions.get("forecasts") == before.versions.get("forecasts")
        # A run's row is written before its forecasts, and the run exists from the latter on.
        if not same_forecasts or versions.get("forecast_runs") != before.versions.get("forecast_runs"):
            runs = self.archive.read_runs(known=before.runs)
        numbers = runs["feature_view_version"].unique().to_list()
        views = {number: before.views.get(number) or self.store.feature_view(number) for number in numbers}
        newest = runs["feature_view_version"][-1:].to_list()
        wanted = {*before.latest, *newest} & set(numbers)
        latest = {number: self._latest(runs, number, hold=same_forecasts) for number in sorted(wanted)}
        ingests = before.ingests
        if versions.get("ingests") != before.versions.get("ingests") or set(views) != set(before.views):
            ingests = {number: self._newest_ingest(view) for number, view in views.items()}
        _LOG.debug("tables at %s", versions)
        return Current(versions, runs, views, latest, ingests)

    def _latest(self, runs: pl.DataFrame, view: int, *, hold: bool = True) -> RunIndex:
        """Return the index of a view's latest run: the one in memory if ``hold`` and it is of the same run facts.

        With other forecasts in the table, equal facts are not enough: they are written first, so the index may be of
        the forecasts before them.
        """
        facts = runs.filter(pl.col("feature_view_version") == view).row(-1, named=True)
        tag = run_tag(facts)
        held = self.current.latest.get(view)
        if hold and held is not None and held.tag == tag:
            return held
        reference: datetime = facts["reference_datetime"]
        frame = self.archive.read_run(feature_view_version=view, reference_datetime=reference)
        if frame.is_empty():
            raise NotFoundError(f"the forecasts of the run at {reference} are gone from the archive: make it again")
        _LOG.info("forecasts of view %d made at %s: %d rows", view, reference, frame.height)
        return indexed(frame, reference=reference, tag=tag)

    def _newest_ingest(self, view: FeatureView) -> Ingest | None:
        return self.store.latest_ingest(feature_group_version=view.feature_group_version, dataset=view.dataset)


def run_tag(facts: Mapping[str, Any]) -> str:
    """Return what names the content of a run's forecasts."""
    return f"{facts['feature_view_version']}-{facts['reference_datetime']:%Y%m%dT%H%M}-{facts['forecasts_hash'][:24]}"
