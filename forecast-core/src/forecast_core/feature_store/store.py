"""The feature store: observations with their revisions, ingests, feature views and training datasets.

Long, because it is the one entrance to seven modules: each method checks its arguments and calls one of them. Half of
the lines are signatures and descriptions of arguments and errors.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from forecast_core import step_log
from forecast_core.contracts.dag_run import DagRun
from forecast_core.contracts.errors import InvalidArgument, NotFoundError, WindowError
from forecast_core.contracts.schema import OBSERVATIONS, SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, as_utc
from forecast_core.feature_store import (
    as_known,
    compaction,
    ingests,
    observations,
    removal,
    revisions,
    training_datasets,
    views,
)
from forecast_core.feature_store.ingests import Ingest
from forecast_core.feature_store.removal import RemovedValues
from forecast_core.feature_store.revisions import IngestCounts, between, changes_of_state
from forecast_core.feature_store.series import named
from forecast_core.feature_store.training_datasets import TrainingDataset
from forecast_core.feature_store.views import FeatureView
from forecast_core.tables import checks
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Snapshot, Table
from forecast_core.tables.faults import storage_errors
from forecast_core.tables.places import place

_OBSERVATIONS: Final = Declaration(
    name="observations",
    frame=observations.STORED,
    dated_by="known_at",
    partition_by=("kind",),
    compact_every=None,
    members=lambda settings: [
        (dataset, f"v{version}") for dataset, version in ingests.groups(ingests.TABLE.table(settings))
    ],
    maintain=compaction.maintain_observations,
)
"""One table per feature group. Its files are sorted and of bounded size; delta-rs would mix their rows."""

TABLES: Final = (ingests.TABLE, views.TABLE, training_datasets.TABLE, _OBSERVATIONS)
"""The tables of the feature store."""


class FeatureStore:
    """Delta tables under ``settings.store``; every method may be called by many processes at once, and again.

    All methods raise ``StorageError`` when the store cannot be read or written now and ``FormatError`` when an unknown
    version of this software wrote it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._ingests = ingests.TABLE.table(settings)
        self._views = views.TABLE.table(settings)
        self._training_datasets = training_datasets.TABLE.table(settings)

    def ingest(
        self,
        frame: pl.DataFrame,
        *,
        dataset: str,
        feature_group_version: int,
        window: Window,
        reference_datetime: datetime,
        url: str,
        record: Mapping[str, Any],
        made_by: Mapping[str, Any] | None = None,
        dag_run: DagRun | None = None,
    ) -> IngestCounts:
        """Store what a source gave at a reference time for all hours of a window.

        The same again changes nothing but the order of writing: it is then the ingest that was written last.

        Args:
            frame: OBSERVATIONS of the window's hours; a key that is not in it is absent.
            dataset: Name of the source's dataset.
            feature_group_version: With the dataset, names the feature group.
            window: The hours that were asked for.
            reference_datetime: When the values became known: the reference time of the run.
            url: The source.
            record: More facts about the ingest, plain JSON.
            made_by: Code and DAG run, plain JSON; the same ingest again keeps those that made it first.
            dag_run: The run that ingests; None from a shell. ``last_ingest`` finds its ingest by it.

        Returns:
            How the values differ from everything known before.

        Raises:
            InvalidArgument: If the frame is not exactly OBSERVATIONS, a value is missing or not finite, a key comes
                twice, or an hour is outside the window. Nothing is stored then.
        """
        window = checks.plain_window(window)
        given = checks.within(checks.strict_frame(frame, OBSERVATIONS), window)
        ingests.record_text({**record, **(made_by or {})})
        group, moment = self._group(dataset, feature_group_version), as_utc(reference_datetime)
        counts = observations.ingest(group, given, window=window, known_at=moment)
        facts = Ingest(dataset, feature_group_version, moment, window, url, counts, record, made_by or {})
        ingests.write(self._ingests, facts)
        entry = step_log.Entry(
            made="ingest", dataset=dataset, version=feature_group_version, reference_datetime=moment, window=window
        )
        step_log.write(self.settings, entry, dag_run=dag_run)
        return counts

    def remove_ingests(
        self, *, dataset: str, feature_group_version: int, reference_datetime: datetime
    ) -> tuple[int, RemovedValues]:
        """Remove the ingests of a reference time, so that every later read is as if they had not been made.

        A value that a later ingest gave again is from then on known since that later ingest. Training datasets stay:
        they are files of their own. Killed and called again, it ends in the same state.

        Returns:
            How many ingests there were, and what became of their values.
        """
        group, moment = self._group(dataset, feature_group_version), as_utc(reference_datetime)
        values = removal.remove(group, known_at=moment)
        facts = {"dataset": dataset, "feature_group_version": feature_group_version}
        return ingests.remove(self._ingests, **facts, known_at=moment), values  # type: ignore[arg-type]

    def read(
        self,
        *,
        dataset: str,
        feature_group_version: int,
        window: Window,
        reference_datetime: datetime,
        series: Sequence[tuple[str, str]] | None = None,
        with_known_at: bool = False,
    ) -> pl.DataFrame:
        """Return OBSERVATIONS of a window as known at a reference time, sorted by key: the newest value of each key.

        Args:
            dataset: With the version, names the feature group.
            feature_group_version: Its version.
            window: The hours to return.
            reference_datetime: Later revisions are not seen.
            series: Only these, as (area, consumer_type); one that the store does not know has no rows.
            with_known_at: Add ``known_at``: since when each value has been the newest one.

        Raises:
            NotFoundError: If the feature group does not exist; the message names those that do.
        """
        known_at = as_utc(reference_datetime)
        if with_known_at:
            group = (dataset, feature_group_version)
            return self._query(group, window, series, lambda rows: revisions.with_known_at(rows, known_at))
        table, snapshot = self._existing(dataset, feature_group_version)
        with storage_errors(table.uri):
            return as_known.read(snapshot, window=checks.plain_window(window), known_at=known_at, wanted=series)

    def read_revisions(
        self,
        *,
        dataset: str,
        feature_group_version: int,
        window: Window,
        series: Sequence[tuple[str, str]] | None = None,
        known_until: datetime | None = None,
    ) -> pl.DataFrame:
        """Return every change of state of a window: OBSERVATIONS and ``known_at``, sorted by key and ``known_at``.

        ``energy_consumption`` is null where a source that had a value no longer has it. The result does not depend on
        the order in which the ingests came.

        Args:
            dataset: With the version, names the feature group.
            feature_group_version: Its version.
            window: The hours to return.
            series: Only these, as (area, consumer_type).
            known_until: Only what became known up to this time, inclusive.

        Raises:
            NotFoundError: If the feature group does not exist; the message names those that do.
        """
        until = [] if known_until is None else [pl.col("known_at") <= as_utc(known_until)]
        return self._query(
            (dataset, feature_group_version), window, series, lambda rows: changes_of_state(rows.filter(*until))
        )

    def changes(
        self, *, dataset: str, feature_group_version: int, window: Window, known_from: datetime, known_to: datetime
    ) -> pl.DataFrame:
        """Return the values of a window that differ between two reference times, sorted by key.

        Returns:
            KEY, ``before`` (as known at ``known_from``; null where nothing was known) and ``after`` (at ``known_to``).

        Raises:
            InvalidArgument: If ``known_to`` is before ``known_from``.
            NotFoundError: If the feature group does not exist; the message names those that do.
        """
        first, last = as_utc(known_from), as_utc(known_to)
        if last < first:
            raise InvalidArgument(f"changes are those from a time to a later one, not from {first} to {last}")
        group = (dataset, feature_group_version)
        return self._query(group, window, None, lambda rows: between(rows, known_from=first, known_to=last))

    def known_series(
        self, *, dataset: str, feature_group_version: int, reference_datetime: datetime
    ) -> list[tuple[str, str]]:
        """Return the series, as (area, consumer_type), that have a value by then, sorted; none of no group."""
        group = self._group(dataset, feature_group_version)
        snapshot = group.snapshot()
        with storage_errors(group.uri):
            known = None if snapshot is None else observations.names(snapshot, snapshot.files())
        return (
            []
            if known is None
            else known.filter(pl.col("known_at") <= as_utc(reference_datetime)).select(SERIES).rows()
        )

    def newest_hour(self, *, dataset: str, feature_group_version: int, reference_datetime: datetime) -> datetime | None:
        """Return the last hour that has a value as known at a reference time, in whatever window; None if none has.

        Raises:
            NotFoundError: If the feature group does not exist; the message names those that do.
        """
        table, snapshot = self._existing(dataset, feature_group_version)
        with storage_errors(table.uri):
            return observations.newest_hour(snapshot, known_at=as_utc(reference_datetime))

    def covered(
        self, *, dataset: str, feature_group_version: int, window: Window, reference_datetime: datetime
    ) -> bool:
        """Whether ingests at or after a reference time have, together, asked for all hours of a window."""
        group, plain = self._group(dataset, feature_group_version), checks.plain_window(window)
        snapshot = group.snapshot()
        with storage_errors(group.uri):
            return snapshot is not None and observations.covered(
                snapshot, window=plain, known_at=as_utc(reference_datetime)
            )

    def ingests(
        self,
        *,
        dataset: str | None = None,
        feature_group_version: int | None = None,
        known_from: datetime | None = None,
        known_until: datetime | None = None,
    ) -> list[Ingest]:
        """Return the facts of ingests, sorted by ``known_at``, then in the order of their commits.

        Args:
            dataset: Only ingests of this dataset.
            feature_group_version: Only ingests into this version of the feature group.
            known_from: First ``known_at``, inclusive.
            known_until: Last ``known_at``, inclusive.
        """
        return ingests.listed(
            self._ingests,
            dataset=dataset,
            feature_group_version=feature_group_version,
            known_from=None if known_from is None else as_utc(known_from),
            known_until=None if known_until is None else as_utc(known_until),
        )

    def ingest_marks(
        self, *, dataset: str, feature_group_version: int, known_from: datetime, known_until: datetime
    ) -> pl.DataFrame:
        """Return ``known_at``, ``window_start``, ``window_end`` and ``written`` of the ingests of a feature group.

        Two equal answers mean that what was known at any time in [from, until] has not changed in between, as far as
        ingests at ``known_from`` or later tell of it.
        """
        return ingests.marks(
            self._ingests,
            dataset=dataset,
            feature_group_version=feature_group_version,
            known_from=as_utc(known_from),
            known_until=as_utc(known_until),
        )

    def latest_ingest(
        self,
        *,
        feature_group_version: int,
        dataset: str | None = None,
        window_end: datetime | None = None,
        known_until: datetime | None = None,
    ) -> Ingest | None:
        """Return the ingest with the newest ``known_at``, or None; of several datasets, the one written last.

        Args:
            feature_group_version: Version of the feature group.
            dataset: Only ingests of this dataset.
            window_end: Only ingests whose window ends at this hour.
            known_until: Only ingests with ``known_at`` at or before this time.
        """
        return ingests.latest(
            self._ingests,
            feature_group_version=feature_group_version,
            dataset=dataset,
            window_end=None if window_end is None else as_utc(window_end),
            known_until=None if known_until is None else as_utc(known_until),
        )

    def last_ingest(
        self,
        *,
        feature_group_version: int,
        dataset: str | None = None,
        window_end: datetime | None = None,
        reference_datetime: datetime | None = None,
        dag_run: DagRun | None = None,
    ) -> Ingest | None:
        """Return the ingest that a step means which is told no window or time, or None.

        It is the one of the DAG run, also where that run found every value stored already; otherwise the last one in
        the order of writing, which a rerun moves. It is not the one with the newest ``known_at``.

        Args:
            feature_group_version: Version of the feature group.
            dataset: Only ingests of this dataset.
            window_end: Only ingests whose window ends at this hour.
            reference_datetime: An ingest of this reference time is preferred.
            dag_run: The run that asks; None from a shell.
        """
        end = None if window_end is None else as_utc(window_end)
        found = step_log.entries(
            self.settings,
            "ingest",
            dag_run=dag_run,
            reference_datetime=reference_datetime,
            dataset=dataset,
            version=feature_group_version,
            window_end=end,
        )
        for each in found:
            ingest = ingests.written_at(
                self._ingests,
                dataset=each.dataset,
                feature_group_version=each.version,
                known_at=each.reference_datetime,
                window=each.window,
            )
            if ingest is not None:
                return ingest
        return ingests.last_written(
            self._ingests, dataset=dataset, feature_group_version=feature_group_version, window_end=end
        )

    def not_taken(self, *, dataset: str, feature_group_version: int) -> dict[datetime, int]:
        """Return, by reference time, how many values its run did not take when it was repeated after a correction.

        The values stored for the reference time stay; a later run takes the others. Times without any are left out.
        """
        return ingests.not_taken(self._ingests, dataset=dataset, feature_group_version=feature_group_version)

    def feature_group_versions(self, dataset: str | None = None) -> list[tuple[str, int]]:
        """Return the feature groups that exist as (dataset, version), sorted."""
        return [group for group in ingests.groups(self._ingests) if dataset in (None, group[0])]

    def create_feature_view(self, *, dataset: str, feature_group_version: int) -> int:
        """Return the version of the view of a feature group; the same definition always has the same version.

        Raises:
            NotFoundError: If the feature group does not exist; the message names those that do.
        """
        self._existing(dataset, feature_group_version)
        return views.create(self._views, views.definition(dataset=dataset, feature_group_version=feature_group_version))

    def feature_view(self, version: int) -> FeatureView:
        """Return a feature view.

        Raises:
            NotFoundError: If there is no such version; the message names those that exist.
        """
        return views.get(self._views, version)

    def feature_views(self) -> list[FeatureView]:
        """Return all feature views, by version."""
        return views.listed(self._views)

    def create_training_dataset(
        self, *, feature_view_version: int, window: Window, reference_datetime: datetime
    ) -> TrainingDataset:
        """Store the rows of a view in a window as known at a reference time; the same content has the same version.

        Raises:
            NotFoundError: If there is no such feature view.
            WindowError: If nothing was known of the window; the message says of which hours something was.
        """
        view, moment, window = (
            self.feature_view(feature_view_version),
            as_utc(reference_datetime),
            checks.plain_window(window),
        )
        group, snapshot = self._existing(view.dataset, view.feature_group_version)
        with storage_errors(group.uri):
            frame = as_known.read(snapshot, window=window, known_at=moment)
            if frame.is_empty():
                raise _nothing_known(window, moment, observations.span(snapshot, known_at=moment))
        draft = training_datasets.of_frame(
            frame,
            feature_view_version=view.version,
            definition_hash=view.definition_hash,
            window=window,
            known_at=moment,
        )
        training_datasets.write_file(frame, self._file(draft), self.settings.storage_options)
        return training_datasets.register(self._training_datasets, draft)

    def training_dataset(self, version: int) -> TrainingDataset:
        """Return the facts of a training dataset.

        Raises:
            NotFoundError: If there is no such version; the message names the newest.
        """
        return training_datasets.get(self._training_datasets, version)

    def last_training_dataset(
        self,
        *,
        feature_view_version: int | None = None,
        reference_datetime: datetime | None = None,
        dag_run: DagRun | None = None,
    ) -> TrainingDataset:
        """Return the training dataset that a step means which is told none.

        It is the one that ``feature_view.create`` returned to the DAG run; otherwise the one that it returned last; in
        a store of version 1.0.0, which has no log of that, the highest version.

        Args:
            feature_view_version: Only datasets of this feature view.
            reference_datetime: A dataset that was returned for this reference time is preferred.
            dag_run: The run that asks; None from a shell.

        Raises:
            NotFoundError: If there is none.
        """
        found = step_log.entries(
            self.settings,
            "training_dataset",
            dag_run=dag_run,
            reference_datetime=reference_datetime,
            feature_view_version=feature_view_version,
        )
        for each in found:
            return self.training_dataset(each.version)
        return training_datasets.highest(self._training_datasets, feature_view_version=feature_view_version)

    def newest_training_dataset(
        self, *, feature_view_version: int | None = None, known_until: datetime | None = None
    ) -> TrainingDataset:
        """Return the facts of the training dataset of the latest reference time.

        Args:
            feature_view_version: Only datasets of this feature view.
            known_until: Only datasets of this reference time or an earlier one.

        Raises:
            NotFoundError: If there is none.
        """
        until = None if known_until is None else as_utc(known_until)
        return training_datasets.newest(
            self._training_datasets, feature_view_version=feature_view_version, known_until=until
        )

    def read_training_dataset(self, version: int) -> pl.DataFrame:
        """Return OBSERVATIONS of a training dataset, sorted by key, checked against its hash.

        Raises:
            NotFoundError: If there is no such version, or its file is gone.
            FormatError: If the file does not have the content that was registered.
        """
        dataset = self.training_dataset(version)
        return training_datasets.read_file(
            self._file(dataset),
            dataset,
            definition_hash=self.feature_view(dataset.feature_view_version).definition_hash,
            storage_options=self.settings.storage_options,
        )

    def _group(self, dataset: str, feature_group_version: int) -> Table:
        checks.dataset_name(dataset)
        version = checks.version_number("feature_group_version", feature_group_version)
        return _OBSERVATIONS.table(self.settings, dataset, f"v{version}")

    def _query(
        self,
        group: tuple[str, int],
        window: Window,
        series: Sequence[tuple[str, str]] | None,
        query: Callable[[pl.LazyFrame], pl.LazyFrame],
    ) -> pl.DataFrame:
        table, snapshot = self._existing(*group)
        with storage_errors(table.uri):
            rows, known = observations.query(snapshot, window=checks.plain_window(window), wanted=series)
            return named(query(rows), known).collect()

    def _existing(self, dataset: str, feature_group_version: int) -> tuple[Table, Snapshot]:
        group = self._group(dataset, feature_group_version)
        snapshot = group.snapshot()
        if snapshot is None:
            existing = self.feature_group_versions()
            raise NotFoundError(
                f"there is no feature group {dataset!r} version {feature_group_version}; "
                f"there are {existing or 'none yet'}: run the feature pipeline first",
                dataset=dataset,
                feature_group_version=feature_group_version,
                existing=existing,
            )
        return group, snapshot

    def _file(self, dataset: TrainingDataset) -> str:
        # Not in the registry's own folder: vacuum removes files that a Delta table does not know.
        return place(self.settings, "training_dataset_files", f"{dataset.content_hash}.parquet")


def _nothing_known(window: Window, known_at: datetime, span: tuple[datetime, datetime] | None) -> WindowError:
    hours = "no hour at all" if span is None else " to ".join(f"{hour:{DATETIME_FORMAT}}" for hour in span)
    return WindowError(
        f"as known at {known_at:{DATETIME_FORMAT}} the store has no value from {window.start:{DATETIME_FORMAT}} up to "
        f"{window.end:{DATETIME_FORMAT}} UTC; it has {hours}: ask for a window in there, or ingest this one",
        window=window,
        known_at=known_at,
        span=span,
    )
