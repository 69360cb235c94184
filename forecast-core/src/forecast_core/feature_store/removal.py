"""Remove an ingest from the observations of a feature group: every later read is as if it had not been made.

Only changes of state are stored, so a later ingest that gave the same value as the removed one stored nothing. It gets
a row with that value; the value is then known since the later ingest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.window import Window, as_utc
from forecast_core.feature_store import observations, revisions, series
from forecast_core.tables.delta import Snapshot, Table
from forecast_core.tables.files import FileChange

_KINDS: Final = ("first", "change")
_IS_VALUE: Final = pl.col("energy_consumption").is_not_null()


@dataclass(frozen=True)
class RemovedValues:
    """What became of the values of removed ingests.

    Attributes:
        values: Values that the ingests were the first to give, or gave otherwise than before.
        kept: Of these, values that a later ingest gave again: they are known since then.
        lost: Of these, values of keys that have no value any more.
    """

    values: int
    kept: int
    lost: int


def remove(table: Table, *, known_at: datetime) -> RemovedValues:
    """Remove the ingests at ``known_at`` in one commit; nothing is committed if there are none."""
    if table.snapshot() is None:
        return RemovedValues(0, 0, 0)
    return table.commit(lambda snapshot: _plan(snapshot, known_at))


def _plan(snapshot: Snapshot, known_at: datetime) -> tuple[RemovedValues, FileChange | None]:
    files, own = snapshot.files(), pl.col("known_at") == known_at
    touched = files.filter(
        ((pl.col("min_known_at") <= known_at) & (pl.col("max_known_at") >= known_at)).fill_null(value=True)
    )
    coverage = _read(snapshot, files.filter(pl.col("kind") == "coverage"), revisions.COVERAGE)
    first, change = (_read(snapshot, observations.files_of(touched, kind), revisions.REVISIONS) for kind in _KINDS)
    gone = pl.concat([first, change]).filter(own)
    if gone.is_empty() and coverage.filter(own).is_empty():
        return RemovedValues(0, 0, 0), None
    others = _others(snapshot, files, gone, known_at)
    later = _later(gone, others, coverage, known_at)
    left = pl.concat([others, later])
    named, nameless = _series(snapshot, files, left, known_at)
    paths = [*touched["path"], *_paths_of(files, nameless)]
    writer = observations.Writer(snapshot)
    for kind in _KINDS:
        rows = _read(snapshot, files.filter(pl.col("path").is_in(paths), pl.col("kind") == kind), revisions.REVISIONS)
        writer.add(kind, rows.filter(~own, ~pl.col("series").is_in(nameless["series"].implode())))
    later = later.filter(~pl.col("series").is_in(nameless["series"].implode()))
    # A key is in files of kind ``first`` at most once, and where its row is gone the next one takes the place.
    was_first = first.filter(own).select(revisions.KEY)
    writer.add("first", later.join(was_first, on=revisions.KEY, how="semi"))
    writer.add("change", later.join(was_first, on=revisions.KEY, how="anti"))
    writer.add("series", named)
    touched_coverage = touched.filter(pl.col("kind") == "coverage")
    writer.add("coverage", _read(snapshot, touched_coverage, revisions.COVERAGE).filter(~own))
    removed = dict.fromkeys([*paths, *files.filter(pl.col("kind") == "series")["path"]])
    return _counts(gone, later, left), FileChange(writer.finish(), list(removed))


def _read(snapshot: Snapshot, files: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return snapshot.scan(files["path"].to_list(), schema).collect()


def _others(snapshot: Snapshot, files: pl.DataFrame, gone: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """Return the rows of other ingests for the keys of the rows that go."""
    if gone.is_empty():
        return gone
    first, last = gone.select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max()).row(0)
    window = Window(as_utc(first), as_utc(last) + HOUR)
    rows = observations.scan(snapshot, observations.files_of(files, window=window))
    same_keys = rows.join(gone.lazy().select(revisions.KEY).unique(), on=revisions.KEY, how="semi")
    return same_keys.filter(pl.col("known_at") != known_at).collect()


def _later(gone: pl.DataFrame, others: pl.DataFrame, coverage: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """Return rows for the next ingests that were implicitly in the state that goes."""
    if gone.is_empty():
        return gone
    first, last = gone.select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max()).row(0)
    window = Window(as_utc(first), as_utc(last) + HOUR)
    next_at = revisions.hours_covered(window, known_at, coverage.filter(pl.col("known_at") >= known_at))
    # Of a marker and a value at the same time the value is last, and stays.
    states = gone.sort(*revisions.KEY, _IS_VALUE).unique(revisions.KEY, keep="last")
    following = states.join(next_at.select("datetime_utc", "next_at"), on="datetime_utc").drop_nulls("next_at")
    rows = following.with_columns(known_at="next_at").select(revisions.REVISIONS.names())
    return rows.join(others, on=(*revisions.KEY, "known_at"), how="anti")


def _series(
    snapshot: Snapshot, files: pl.DataFrame, left: pl.DataFrame, known_at: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the series with the time since when each is known now, and those that have no value any more."""
    stored = _read(snapshot, files.filter(pl.col("kind") == "series"), series.ROWS)
    concerned = stored.filter(pl.col("known_at") == known_at).select("series").unique()
    if concerned.is_empty():
        return stored, concerned
    rows = observations.scan(snapshot, observations.files_of(files, numbers=concerned))
    known = pl.concat([rows.filter(pl.col("known_at") != known_at), left.lazy()])
    since = (
        known.filter(_IS_VALUE, observations.of_series(concerned))
        .group_by("series")
        .agg(since=pl.col("known_at").min())
        .collect()
    )
    nameless = concerned.join(since, on="series", how="anti")
    named = stored.join(nameless, on="series", how="anti").join(since, on="series", how="left")
    named = named.with_columns(known_at=pl.coalesce("since", "known_at")).select(series.ROWS.names())
    return named.unique(maintain_order=True), nameless


def _paths_of(files: pl.DataFrame, numbers: pl.DataFrame) -> Sequence[str]:
    """Return the files that may have rows of some series."""
    return [] if numbers.is_empty() else observations.files_of(files, numbers=numbers)["path"].to_list()


def _counts(gone: pl.DataFrame, later: pl.DataFrame, left: pl.DataFrame) -> RemovedValues:
    values = gone.filter(_IS_VALUE)
    lost = values.join(left.filter(_IS_VALUE), on=revisions.KEY, how="anti")
    return RemovedValues(values.height, later.filter(_IS_VALUE).height, lost.height)
