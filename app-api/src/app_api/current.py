"""What one look at the tables found: their versions, all runs, and the newest run of each feature view.

A run or an ingest of a reference time after the look is not the newest, whatever the clock of those who made it said.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, TypedDict

import polars as pl

from app_api.faults import in_one_line, is_survivable
from app_api.run_index import RunIndex, indexed
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import RUNS
from forecast_core.feature_store import FeatureStore, FeatureView, Ingest

_LOG = logging.getLogger(__name__)
BEFORE: Final = datetime.min.replace(tzinfo=UTC)
"""The time of no look at all: everything is in the future."""


@dataclass(frozen=True)
class ViewData:
    """What is held of one feature view.

    Attributes:
        view: The feature view.
        ingest: The newest ingest of its feature group; None if there is none.
        next_ingest: When the next ingest that is in the future becomes the newest; None if there is none.
        run: Its newest run, if that is held in memory.
        not_taken: As ``FeatureStore.not_taken`` returns it.
    """

    view: FeatureView
    ingest: Ingest | None
    next_ingest: datetime | None = None
    run: RunIndex | None = None
    not_taken: Mapping[datetime, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Current:
    """The tables at one look at them; immutable, so that a request sees all of one look or all of another.

    Attributes:
        versions: Version of each table that exists.
        runs: ``archive.RUNS`` of all runs, those in the future too, sorted by reference time and view.
        views: The feature views that have runs, by number; without those that could never be read.
        faults: Why a view, or a part of it, could not be read, by number of the view.
        now: When the look was taken: what has a later reference time is not the newest.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    runs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RUNS))
    views: Mapping[int, ViewData] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)
    now: datetime = BEFORE

    @cached_property
    def due(self) -> pl.DataFrame:
        """The runs that are not in the future."""
        return due_runs(self.runs, self.now)

    @cached_property
    def next_change(self) -> datetime | None:
        """When a run or an ingest that is in the future becomes the newest of its view; None if there is none."""
        ahead: datetime | None = self.runs.filter(pl.col("reference_datetime") > self.now)["reference_datetime"].min()  # type: ignore[assignment]
        return min((at for at in (ahead, *(each.next_ingest for each in self.views.values())) if at), default=None)

    @cached_property
    def newest(self) -> int:
        """The default view: that of the newest run, among the views whose newest run is held; 0 if there is none."""
        return next((view for view in newest_first(self.due) if self.run(view) is not None), 0)

    @property
    def fault(self) -> str | None:
        """Why the newest run of all is not what is served by default; None if it is."""
        return next((self.faults.get(view) for view in newest_first(self.due)), None)

    def run(self, view: int) -> RunIndex | None:
        """Return the newest run of a view, if it is held."""
        return self.views[view].run if view in self.views else None

    def ingest(self, view: int) -> Ingest | None:
        """Return the newest ingest of a view's data, if there is one."""
        return self.views[view].ingest if view in self.views else None

    def edition(self, tables: Sequence[str]) -> tuple[object, ...]:
        """Return what changes whenever an answer that is made of some tables may change.

        With a fault, an answer has older data than the versions of the tables say, so the faults belong to it. What was
        in the future becomes the newest without a change of a table, so when that will be belongs to it, too.
        """
        return (*(self.versions.get(each) for each in tables), *sorted(self.faults), self.next_change)


@dataclass(frozen=True)
class Reader:
    """Reads what ``Current`` holds from the stores."""

    store: FeatureStore
    archive: ForecastArchive

    def following(self, before: Current, versions: Mapping[str, int], now: datetime) -> Current:
        """Return what the tables hold at these versions; unchanged parts are taken from the look before.

        A view that cannot be read does not keep the others from being read. What has a reference time after ``now`` is
        not the newest.

        Raises:
            StorageError: If the list of runs cannot be read now.
        """
        changed = {name for name in {*versions, *before.versions} if versions.get(name) != before.versions.get(name)}
        runs = before.runs
        # The row of a run is written before its forecasts, and the run exists as soon as these are there.
        if changed & {"forecasts", "forecast_runs"}:
            runs = self.archive.read_runs(known=before.runs)
        views: dict[int, ViewData] = {}
        faults: dict[int, str] = {}
        due = due_runs(runs, now)
        with_due = newest_first(due)
        for number in dict.fromkeys([*with_due, *newest_first(runs)]):
            known = before.views.get(number)
            try:
                data = known
                if data is None or "ingests" in changed or number in before.faults or _is_reached(data, now):
                    data = self._view(number, known, now)
                # Held is each view that was asked for, and the first that can be read: the default.
                if number not in with_due:
                    data = replace(data, run=None)
                elif data.run is not None or all(each.run is None for each in views.values()):
                    held = None if "forecasts" in changed else data.run
                    data = replace(data, run=self.newest_run(due, number, held=held))
                views[number] = data
            except BaseException as error:
                if not is_survivable(error):
                    raise
                faults[number] = in_one_line(error)
                if known is not None:
                    views[number] = known
        _LOG.debug("tables at %s", versions)
        return Current(versions, runs, views, faults, now)

    def newest_run(self, runs: pl.DataFrame, view: int, *, held: RunIndex | None) -> RunIndex:
        """Return the index of a view's newest run.

        Args:
            runs: ``archive.RUNS`` of all runs that are not in the future.
            view: The feature view.
            held: An index of forecasts that are in the archive unchanged; returned if it is of the newest run.

        Raises:
            NotFoundError: If the run's forecasts are not in the archive.
            StorageError: If the archive cannot be read now.
        """
        facts = runs.filter(pl.col("feature_view_version") == view).row(-1, named=True)
        reference: datetime = facts["reference_datetime"]
        if held is not None and held.reference == reference:
            return held
        frame = self.archive.read_run(feature_view_version=view, reference_datetime=reference)
        if frame.is_empty():
            raise NotFoundError(f"the archive has no forecasts of the run at {reference}: run it again")
        _LOG.info("forecasts of view %d made at %s: %d rows", view, reference, frame.height)
        return indexed(frame, reference=reference)

    def _view(self, number: int, known: ViewData | None, now: datetime) -> ViewData:
        view = self.store.feature_view(number) if known is None else known.view
        run = None if known is None else known.run
        group: Group = {"feature_group_version": view.feature_group_version, "dataset": view.dataset}
        ingest, not_taken = self.store.latest_ingest(**group), self.store.not_taken(**group)
        if ingest is None or ingest.known_at <= now:
            return ViewData(view, ingest, None, run, not_taken)
        ahead = self.store.ingests(**group, known_from=now)
        next_ingest = min(each.known_at for each in (*ahead, ingest) if each.known_at > now)
        return ViewData(view, self.store.latest_ingest(**group, known_until=now), next_ingest, run, not_taken)


class Group(TypedDict):
    """A feature group, as arguments of the store's methods."""

    dataset: str
    feature_group_version: int


def due_runs(runs: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the runs that are not in the future."""
    return runs.filter(pl.col("reference_datetime") <= now)


def _is_reached(data: ViewData, now: datetime) -> bool:
    return data.next_ingest is not None and data.next_ingest <= now


def newest_first(runs: pl.DataFrame) -> list[int]:
    """Return the feature views of some runs, that of the newest run first."""
    views: list[int] = runs["feature_view_version"].reverse().unique(maintain_order=True).to_list()
    return views
