"""The tables of checks, of what people were told, and of the feature views that nobody looks after any more."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

import polars as pl

from forecast_core.alarms import notices
from forecast_core.alarms.derivation import derive, is_enough
from forecast_core.alarms.schema import (
    CHECKS,
    CHECKS_TABLE,
    DATE,
    DUE,
    IDENTITY,
    KEEP_FIRING,
    NOTICES,
    NOTICES_TABLE,
    RETIRED,
    RETIRED_TABLE,
    Source,
)
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc
from forecast_core.tables import checks, keyed
from forecast_core.tables.delta import Change, Snapshot
from forecast_core.tables.faults import storage_errors

_FIRST_DAYS: Final = 2
"""Days of checks that are read at first: with fewer, the night's ``KEEP_FIRING`` would always ask for more."""


class Alarms:
    """Delta tables ``alarms`` (the checks), ``alarm_notices`` and ``retired_views`` under ``settings.store``.

    All methods raise ``StorageError`` when the store cannot be read or written now.
    """

    def __init__(self, settings: Settings) -> None:
        self._checks = CHECKS_TABLE.table(settings)
        self._notices = NOTICES_TABLE.table(settings)
        self._retired = RETIRED_TABLE.table(settings)

    def write(self, frame: pl.DataFrame) -> int:
        """Store one evaluation, in place of what it stored before; the same again commits nothing.

        Args:
            frame: CHECKS with at least one row, all of one feature view version, reference time and source.

        Returns:
            The number of rows.

        Raises:
            InvalidArgument: If the frame is not exactly that, or a subject of a kind comes twice.
        """
        frame = checks.strict_frame(frame, CHECKS)
        evaluations = frame.select("feature_view_version", "reference_datetime", "source").unique()
        if evaluations.height != 1:
            raise InvalidArgument(f"expected the checks of exactly one evaluation, got those of {evaluations.rows()}")
        version, reference_datetime, source = evaluations.row(0)
        day = reference_datetime.date()
        key = {DATE: day, "feature_view_version": version, "reference_datetime": reference_datetime}
        dated = frame.with_columns(pl.lit(day).alias(DATE))
        keyed.replace(self._checks, dated, key={**key, "source": source})
        return frame.height

    def remove_checks(self, *, feature_view_version: int, reference_datetime: datetime) -> int:
        """Remove what monitoring found at a reference time; return how many checks there were.

        What people were told stays. An alarm of which they were told, and which is gone now, is told as cleared.
        """
        reference = as_utc(reference_datetime)
        key: dict[str, keyed.Value] = {
            DATE: reference.date(),
            "feature_view_version": feature_view_version,
            "reference_datetime": reference,
            "source": "monitoring",
        }
        return keyed.remove(self._checks, key=key)

    def read_checks(
        self,
        *,
        feature_view_version: int | None = None,
        reference_from: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return CHECKS with reference times from ``reference_from`` to ``as_of``, both included, sorted."""
        reference, day = pl.col("reference_datetime"), pl.col(DATE)
        conditions = [] if feature_view_version is None else [pl.col("feature_view_version") == feature_view_version]
        if reference_from is not None:
            conditions += [day >= as_utc(reference_from).date(), reference >= as_utc(reference_from)]
        if as_of is not None:
            conditions += [day <= as_utc(as_of).date(), reference <= as_utc(as_of)]
        frame = self._checks.collect(lambda rows: rows.filter(*conditions).select(CHECKS.names()))
        return frame.sort("reference_datetime", *IDENTITY)

    def read_last_checks(
        self, *, feature_view_version: int, as_of: datetime, source: Source = "monitoring"
    ) -> pl.DataFrame:
        """Return the CHECKS of an evaluator that decide which of its alarms are open, the last evaluation among them.

        They are those of the last days, and of as many days more as the open alarms are old.
        """
        found = self._recent({feature_view_version}, as_utc(as_of), None)
        return found.filter(pl.col("source") == source)

    def read(
        self, *, feature_view_version: int | None = None, as_of: datetime | None = None, only_open: bool = False
    ) -> pl.DataFrame:
        """Return ALARMS, open ones first, then the latest opened first.

        Args:
            feature_view_version: The feature view that they are about; default all that have not been retired.
            as_of: What was known at this reference time; default everything.
            only_open: Whether to leave out those that have cleared. Only the last days are read then, and as many
                more as the open alarms are old.
        """
        until = None if as_of is None else as_utc(as_of)
        views = None if feature_view_version is None else {feature_view_version}
        if only_open:
            found = self._recent(self._looked_after(until) if views is None else views, until, None)
        else:
            found = self.read_checks(feature_view_version=feature_view_version, as_of=until)
            gone = [] if views is not None else self._retired_until(until)
            found = found.filter(~pl.col("feature_view_version").is_in(gone))
        told = self._told(until)
        alarms = notices.with_notices(derive(found), told)
        alarms = alarms.filter(pl.col("cleared_at").is_null()) if only_open else alarms
        return alarms.sort(
            pl.col("cleared_at").is_null(), "opened_at", *IDENTITY, descending=[True, True] + [False] * len(IDENTITY)
        )

    def due(self) -> pl.DataFrame:
        """Return DUE: what people are to be told now of the feature views that have not been retired."""
        views = self._looked_after(None)
        told = self._told(None).filter(pl.col("feature_view_version").is_in(views))
        since: Any = notices.outstanding(told)["notified_at"].min()
        alarms = notices.with_notices(derive(self._recent(views, None, since)), told)
        if since is not None:
            alarms = alarms.filter(pl.col("cleared_at").is_null() | (pl.col("cleared_at") >= since))
        else:
            alarms = alarms.filter(pl.col("cleared_at").is_null())
        return notices.due(alarms, told).select(DUE.names())

    def mark_told(self, told: pl.DataFrame, *, notified_at: datetime) -> int:
        """Record what was told at a time, as it was told; return how much of it is new.

        Args:
            told: The columns of NOTICES but ``notified_at``, such as DUE has.
            notified_at: When it was told.
        """
        told_at = pl.lit(as_utc(notified_at), dtype=UTC_HOUR).alias("notified_at")
        given = told.with_columns(told_at).select(NOTICES.names())
        key = [name for name in NOTICES.names() if name != "notified_at"]

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            stored = snapshot.rows.select(key).collect()
            added = given.join(stored, on=key, how="anti")
            return added.height, None if added.is_empty() else Change(added)

        return 0 if given.is_empty() else self._notices.commit(plan)

    def retire_view(self, feature_view_version: int, *, retired_at: datetime) -> bool:
        """Stop looking after a feature view; return whether it was looked after."""
        if feature_view_version in self.retired_views():
            return False
        row = pl.DataFrame([(feature_view_version, as_utc(retired_at))], schema=RETIRED, orient="row")
        return keyed.replace(self._retired, row, key={"feature_view_version": feature_view_version})

    def restore_view(self, feature_view_version: int) -> bool:
        """Look after a retired feature view again; return whether it was retired."""
        key = {"feature_view_version": feature_view_version}
        return keyed.replace(self._retired, pl.DataFrame(schema=RETIRED), key=key)

    def retired_views(self) -> dict[int, datetime]:
        """Return the feature views that nobody looks after any more, and since when."""
        return dict(self._retired.collect(lambda rows: rows.sort("feature_view_version")).iter_rows())

    def _told(self, until: datetime | None) -> pl.DataFrame:
        told = self._notices.collect(lambda rows: rows)
        return told if until is None else told.filter(pl.col("notified_at") <= until)

    def _retired_until(self, until: datetime | None) -> list[int]:
        return [view for view, at in self.retired_views().items() if until is None or at <= until]

    def _looked_after(self, until: datetime | None) -> set[int]:
        """Return the feature views that may have checks and have not been retired."""
        snapshot = self._checks.snapshot()
        bounds = () if snapshot is None else _files(snapshot).select("first_view", "last_view").unique().iter_rows()
        views = {view for first, last in bounds for view in range(first, last + 1)}
        return views - set(self._retired_until(until))

    def _recent(self, views: Collection[int], until: datetime | None, since: datetime | None) -> pl.DataFrame:
        """Return the CHECKS of some views on the last days that decide which alarms are open, or cleared at ``since``.

        The days double until checks before them would not change these alarms.
        """
        snapshot = self._checks.snapshot()
        if snapshot is None or not views:
            return pl.DataFrame(schema=CHECKS)
        files = _files(snapshot).filter(pl.lit(until is None) | (pl.col("day") <= (until or datetime.max).date()))  # noqa: DTZ901  # not used
        for days in _spans(files["day"].unique().sort(descending=True).to_list(), since):
            start = datetime(days[-1].year, days[-1].month, days[-1].day, tzinfo=UTC)
            found = self._of_days(snapshot, views, days, until)
            older = files.filter(pl.col("day") < start.date())
            evaluators = [(view, source) for view in views for source in KEEP_FIRING if _may_have(older, view, source)]
            if is_enough(found, start=start, since=since, older=evaluators):
                break
        else:
            found = pl.DataFrame(schema=CHECKS)
        return found

    def _of_days(
        self, snapshot: Snapshot, views: Collection[int], days: Collection[date], until: datetime | None
    ) -> pl.DataFrame:
        wanted = [pl.col(DATE).is_in(list(days)), pl.col("feature_view_version").is_in(list(views))]
        if until is not None:
            wanted.append(pl.col("reference_datetime") <= until)
        with storage_errors(self._checks.uri):
            found = snapshot.rows.filter(*wanted).select(CHECKS.names()).collect()
        return found.sort("reference_datetime", *IDENTITY)


def _files(snapshot: Snapshot) -> pl.DataFrame:
    """Return the day of each file of checks, and the bounds of its feature views and sources."""
    actions = pl.DataFrame(snapshot.table.get_add_actions(flatten=True))
    if actions.is_empty():
        schema = {"day": pl.Date(), "first_view": pl.Int64(), "last_view": pl.Int64()}
        return pl.DataFrame(schema={**schema, "first_source": pl.String(), "last_source": pl.String()})
    return actions.select(
        day=pl.col(f"partition.{DATE}").cast(pl.Date),
        first_view="min.feature_view_version",
        last_view="max.feature_view_version",
        first_source="min.source",
        last_source="max.source",
    )


def _may_have(files: pl.DataFrame, view: int, source: str) -> bool:
    """Whether one of the files may have checks of an evaluator."""
    of_view = pl.lit(view).is_between("first_view", "last_view")
    return not files.filter(of_view, pl.lit(source).is_between("first_source", "last_source")).is_empty()


def _spans(days: list[date], since: datetime | None) -> Iterator[list[date]]:
    """Yield the newest days, at least those from ``since`` on, and more and more of them up to all."""
    count = _FIRST_DAYS if since is None else max(_FIRST_DAYS, sum(day >= as_utc(since).date() for day in days))
    while days:
        yield days[:count]
        if count >= len(days):
            return
        count *= 2
