"""The table of ingests: which window of which source became known when, and what it changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, TypedDict

import polars as pl

from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.window import Window, as_utc
from forecast_core.feature_store.revisions import IngestCounts
from forecast_core.tables import keyed
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Table

_COUNTS: Final = tuple(each.name for each in fields(IngestCounts))
_KEY: Final = ("dataset", "feature_group_version", "known_at", "window_start", "window_end")
_AT_FIRST: Final = ("new", "revised", "vanished", "made_by")
INGESTS: Final = Frame(
    {
        "dataset": pl.String(),
        "feature_group_version": pl.Int64(),
        "known_at": UTC_HOUR,
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
        "url": pl.String(),
        **dict.fromkeys(_COUNTS, pl.Int64()),
        "record": pl.String(),
        "made_by": pl.String(),
    },
    key=_KEY,
    meaning={
        **meaning("dataset", "feature_group_version", "known_at", "window_start", "window_end"),
        "url": "the source",
        "rows": "values that the source gave",
        "new": "values of keys that had none before",
        "revised": "values other than the newest before",
        "vanished": "keys that had a value at the ingest before and have none now",
        "conflicting": "values other than one already stored for the same ``known_at``; the stored one stays",
        "record": "more facts about the ingest, JSON",
        **meaning("made_by"),
    },
)
"""One row per dataset, feature group version, ``known_at`` and window."""

TABLE: Final = Declaration(name="ingests", frame=INGESTS, added=pl.Schema({"written": pl.Int64()}), dated_by="known_at")
"""The table of ingests; ``written`` numbers the commits."""


class IngestFacts(TypedDict):
    """What names an ingest, its source and its counts, with its window in two columns."""

    dataset: str
    feature_group_version: int
    known_at: datetime
    window_start: datetime
    window_end: datetime
    url: str
    rows: int
    new: int
    revised: int
    vanished: int
    conflicting: int


@dataclass(frozen=True)
class Ingest:
    """One ingest: what it asked for and got, and what it changed and by whom when it first got just that."""

    dataset: str
    feature_group_version: int
    known_at: datetime
    window: Window
    url: str
    counts: IngestCounts
    record: Mapping[str, Any]
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> IngestFacts:
        """Return all but the record and what made it."""
        return {
            "dataset": self.dataset,
            "feature_group_version": self.feature_group_version,
            "known_at": self.known_at,
            "window_start": self.window.start,
            "window_end": self.window.end,
            "url": self.url,
            "rows": self.counts.rows,
            "new": self.counts.new,
            "revised": self.counts.revised,
            "vanished": self.counts.vanished,
            "conflicting": self.counts.conflicting,
        }


def write(table: Table, ingest: Ingest) -> None:
    """Store the facts in place of those of an earlier ingest of the same dataset, version, ``known_at`` and window.

    If only ``_AT_FIRST`` differs, the earlier facts stay: an ingest that is repeated after others changes no value, but
    is compared with more values, so its counts differ.
    """
    row: dict[str, Any] = {
        **ingest.facts(),
        "record": record_text(ingest.record),
        "made_by": record_text(ingest.made_by),
    }
    key = {name: row[name] for name in _KEY}
    keyed.replace(table, pl.DataFrame([row], schema=INGESTS), key=key, ordinal="written", makers=_AT_FIRST)


def remove(table: Table, *, dataset: str, feature_group_version: int, known_at: datetime) -> int:
    """Remove the facts of the ingests into a feature group at a time; return how many there were."""
    key: dict[str, keyed.Value] = {
        "dataset": dataset,
        "feature_group_version": feature_group_version,
        "known_at": known_at,
    }
    return keyed.remove(table, key=key)


def record_text(record: Mapping[str, Any]) -> str:
    """Return ``record`` as JSON.

    Raises:
        InvalidArgument: If it is not plain JSON.
    """
    try:
        return json.dumps(record, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"the record of an ingest must be plain JSON: {error}", record=record) from error


def written_at(
    table: Table, *, dataset: str, feature_group_version: int, known_at: datetime, window: Window
) -> Ingest | None:
    """Return the ingest of a group, reference time and window, or None."""
    conditions = _conditions(dataset, feature_group_version, window.end, known_at, known_at)
    found = table.collect(lambda rows: rows.filter(pl.col("window_start") == window.start, *conditions))
    return None if found.is_empty() else _from_row(found.row(0, named=True))


def last_written(
    table: Table, *, dataset: str | None, feature_group_version: int, window_end: datetime | None
) -> Ingest | None:
    """Return the ingest whose facts were written last, or None; ingests of version 1.0.0 are in no other order."""
    conditions = _conditions(dataset, feature_group_version, window_end, None, None)
    last = table.collect(lambda rows: rows.filter(*conditions).sort("written", "known_at").tail(1))
    return None if last.is_empty() else _from_row(last.row(0, named=True))


def latest(
    table: Table,
    *,
    feature_group_version: int,
    dataset: str | None,
    window_end: datetime | None,
    known_until: datetime | None,
) -> Ingest | None:
    """Return the ingest with the newest ``known_at``; of several datasets at that time, the one written last."""
    conditions = _conditions(dataset, feature_group_version, window_end, None, known_until)
    newest = table.collect(lambda rows: rows.filter(*conditions).sort("known_at", "written").tail(1))
    return None if newest.is_empty() else _from_row(newest.row(0, named=True))


def listed(
    table: Table,
    *,
    dataset: str | None,
    feature_group_version: int | None,
    known_from: datetime | None,
    known_until: datetime | None,
) -> list[Ingest]:
    """Return the ingests that meet what is given, sorted by ``known_at``, then as they were written."""
    conditions = _conditions(dataset, feature_group_version, None, known_from, known_until)
    found = table.collect(lambda rows: rows.filter(*conditions).sort("known_at", "written"))
    return [_from_row(row) for row in found.iter_rows(named=True)]


def marks(
    table: Table, *, dataset: str, feature_group_version: int, known_from: datetime, known_until: datetime
) -> pl.DataFrame:
    """Return when each ingest of a feature group became known, its window, and the number of its commit."""
    conditions = _conditions(dataset, feature_group_version, None, known_from, known_until)
    names = ("known_at", "window_start", "window_end", "written")
    return table.collect(lambda rows: rows.filter(*conditions).select(names).sort(names))


def not_taken(table: Table, *, dataset: str, feature_group_version: int) -> dict[datetime, int]:
    """Return, by ``known_at``, the number of conflicting values, where there are any."""
    conditions = [*_conditions(dataset, feature_group_version, None, None, None), pl.col("conflicting") > 0]
    found = table.collect(
        lambda rows: rows.filter(*conditions).group_by("known_at").agg(pl.col("conflicting").sum()).sort("known_at")
    )
    return {as_utc(known_at): count for known_at, count in found.iter_rows()}


def _conditions(
    dataset: str | None,
    feature_group_version: int | None,
    window_end: datetime | None,
    known_from: datetime | None,
    known_until: datetime | None,
) -> list[pl.Expr]:
    wanted = {"feature_group_version": feature_group_version, "dataset": dataset, "window_end": window_end}
    conditions = [pl.col(name) == value for name, value in wanted.items() if value is not None]
    if known_from is not None:
        conditions.append(pl.col("known_at") >= known_from)
    if known_until is not None:
        conditions.append(pl.col("known_at") <= known_until)
    return conditions


def _from_row(row: dict[str, Any]) -> Ingest:
    return Ingest(
        dataset=row["dataset"],
        feature_group_version=row["feature_group_version"],
        known_at=as_utc(row["known_at"]),
        window=Window(as_utc(row["window_start"]), as_utc(row["window_end"])),
        url=row["url"],
        counts=IngestCounts(**{name: row[name] for name in _COUNTS}),
        record=json.loads(row["record"]),
        made_by=json.loads(row["made_by"]),
    )


def groups(table: Table) -> list[tuple[str, int]]:
    """Return the feature groups that have ingests: dataset and version, sorted."""
    names = table.collect(lambda rows: rows.select("dataset", "feature_group_version").unique())
    return sorted(names.iter_rows())
