"""Data that the server holds between requests: versions of the tables and the newest run of each feature view.

A look at the tables makes a new, immutable ``Current``, which takes the place of the one before in one step: a request
sees all of one or all of the other. A run is one commit of the forecast archive, so none is ever seen by half.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version
from threading import Lock
from typing import Any, Final, TypeVar

import polars as pl

from app_api.current import Current, Reader
from app_api.faults import FaultLog, in_one_line, is_survivable
from app_api.problems import RETRY_SECONDS, Refused
from app_api.run_index import RunIndex
from forecast_core import stores
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore, FeatureView
from forecast_core.provenance import find

STALE_LOOKS: Final = 30
"""The data are stale if no look has been complete for this many intervals, a minute by default.

A look at 100,000 series takes 1.2 s, and an object store that answers slowly a few times more: this is well beyond.
"""
RETRY_LOOKS: Final = 15
"""A view that could not be read is tried again at each commit, and at every so many looks: half a minute by default.

Reading a large run takes a second of processor time, which a fault that stays must not cost every two seconds.
"""
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_NOTHING_YET: Final = "nothing has been forecast yet: run the pipeline once, then ask again"


class Served:
    """The stores as the server sees them now, and what it holds of them in memory."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.clock = clock
        self.store = FeatureStore(settings)
        self.archive = ForecastArchive(settings)
        self.current = Current()
        self.failure: str | None = "the tables have not been read yet"
        """Why the last look at the tables failed; None if it did not."""
        self.form = hashlib.sha256(version("app-api").encode()).hexdigest()[:8]
        """Names the form of all answers, which another version of the API may change: a part of every ETag."""
        self.place = hashlib.sha256(settings.store.encode()).hexdigest()[:16]
        """Names the store: a part of each ETag that is made from versions of its tables."""
        self._completed = clock()
        self._reader = Reader(self.store, self.archive)
        self._faults = FaultLog(_LOG)
        self._looks = 0
        self._lock = Lock()
        self._remembered: dict[str, tuple[tuple[object, ...], Any]] = {}

    @property
    def age(self) -> timedelta:
        """Time since the last look that took up all that was new (before the first: since the server was made)."""
        return self.clock() - self._completed

    @property
    def is_stale(self) -> bool:
        """Whether that is too long ago."""
        return self.age > STALE_LOOKS * timedelta(seconds=self.settings.api_refresh_seconds)

    def look(self) -> None:
        """Look at the tables as ``refresh`` does; after an error of any kind, what was read before is still served."""
        try:
            self.refresh()
        except BaseException as error:
            if not is_survivable(error):
                raise
            self.failed(error)
        else:
            self._faults.update({f"feature view {number}": fault for number, fault in self.current.faults.items()})

    def failed(self, error: BaseException) -> None:
        """Take note that a look failed; the log says so once, and once more when a later look succeeds."""
        self.failure = in_one_line(error)
        self._faults.update({"the store": self.failure})

    def refresh(self) -> None:
        """Look at the tables, and take up what is new.

        Raises:
            StorageError: If they cannot be read now; what was read before stays.
        """
        with self._lock:
            self._looks += 1
            versions = stores.versions(self.settings)
            before = self.current
            now = self.clock()
            reached = before.next_change is not None and before.next_change <= now
            if versions != before.versions or reached or (before.faults and self._looks % RETRY_LOOKS == 0):
                self.current = self._reader.following(before, versions, now)
            self.failure = None
            if self.current.fault is None:
                self._completed = self.clock()

    def view(self, number: int | None) -> FeatureView:
        """Return a feature view that has runs; by default that of the newest run.

        Raises:
            Refused: 404 if there is no such view (it names those that there are), 503 if it cannot be read now.
        """
        current = self.current
        chosen = current.newest if number is None else number
        if chosen in current.views:
            return current.views[chosen].view
        if chosen in current.faults or (number is None and current.faults):
            raise _unreadable("the forecasts" if number is None else f"feature view {number}")
        if not current.views:
            raise Refused(404, _NOTHING_YET, allowed=[])
        if number is None:
            raise _all_ahead(current.runs, "")
        there = [str(each) for each in sorted(current.views)]
        raise Refused(
            404, f"feature view {chosen} has no forecasts; those that have: {', '.join(there)}", allowed=there
        )

    def view_at(self, number: int | None, reference: datetime) -> int:
        """Return the feature view of the run of a reference time: the given one, the default, or the only one.

        Raises:
            Refused: 404 if there is no such view, 503 if it cannot be read now.
            NotFoundError: If it has no run of that time; the message names the view that has one.
            InvalidArgument: If no view is given, the default has no run of that time, and several others have.
        """
        current = self.current
        views = current.runs.filter(pl.col("reference_datetime") == reference)["feature_view_version"].to_list()
        if number is not None or not views:
            wanted: int | None = self.view(number).version
        else:
            wanted = current.newest if current.newest in views else None
        found = find.run_at(current.runs, reference_datetime=reference, feature_view_version=wanted)
        return self.view(found["feature_view_version"]).version

    def held(self, view: int | None) -> RunIndex | None:
        """Return the newest run of a view, by default of the default view, if it is in memory."""
        current = self.current
        return current.run(current.newest if view is None else view)

    def latest(self, view: int | None) -> RunIndex:
        """Return the newest run of a view that is not in the future, by default of the default view.

        Raises:
            Refused: 404 if there is no such view, or all its runs are in the future; 503 if it cannot be read now.
        """
        number = self.view(view).version
        return self.current.run(number) or self._loaded(number)

    def known_at(self, view: FeatureView) -> datetime:
        """Return the reference time of the newest ingest of a view's data.

        Raises:
            Refused: 404 if nothing was ever ingested.
        """
        newest = self.current.ingest(view.version)
        if newest is None:
            raise Refused(404, f"nothing of {view.dataset} has been ingested yet", allowed=[])
        return newest.known_at

    def not_taken(self, view: int, reference: datetime) -> int:
        """Return the number of corrected values that a view's run, repeated after a correction, did not take."""
        data = self.current.views.get(view)
        return 0 if data is None else data.not_taken.get(reference, 0)

    def remembered(self, name: str, tables: Sequence[str], make: Callable[[], T]) -> T:
        """Return what ``make`` makes of tables, made anew when one of them has changed."""
        edition = self.current.edition(tables)
        known = self._remembered.get(name)
        if known is None or known[0] != edition:
            known = self._remembered[name] = (edition, make())
        found: T = known[1]
        return found

    def _loaded(self, view: int) -> RunIndex:
        """Read a view's newest run, and hold it from now on."""
        with self._lock:
            current = self.current
            data = current.views[view]
            if current.due.filter(pl.col("feature_view_version") == view).is_empty():
                raise _all_ahead(
                    current.runs.filter(pl.col("feature_view_version") == view), f" of feature view {view}"
                )
            run = self._reader.newest_run(current.due, view, held=data.run)
            self.current = replace(current, views={**current.views, view: replace(data, run=run)})
            return run


def _all_ahead(runs: pl.DataFrame, of_view: str) -> Refused:
    times = [f"{each:%Y-%m-%dT%H:%M}Z" for each in runs["reference_datetime"].unique().sort()]
    detail = (
        f"all {len(times)} runs{of_view} have reference times in the future, from {times[0]} on: ask for one by "
        "reference_datetime"
    )
    return Refused(404, detail, allowed=times[:10])


def _unreadable(what: str) -> Refused:
    detail = f"{what} cannot be read now; the server's log says why; try again in a moment"
    return Refused(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})
