"""Compact observations: merge small files into sorted files of bounded size, and drop rows that repeat a state."""

from datetime import timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.window import Window, as_utc
from forecast_core.feature_store import observations, revisions, series
from forecast_core.tables import upkeep
from forecast_core.tables.delta import Snapshot, Table
from forecast_core.tables.files import FileChange
from forecast_core.tables.upkeep import Upkeep, number_of_files

_SCHEMAS: Final = {
    "first": revisions.REVISIONS,
    "change": revisions.REVISIONS,
    "series": series.ROWS,
    "coverage": revisions.COVERAGE,
}


def maintain_observations(table: Table, *, keep: timedelta) -> Upkeep | None:
    """Compact and vacuum the table of a feature group.

    Returns:
        The report of ``upkeep.maintain`` and ``rows_dropped``: rows that repeated the state before them.
    """
    opened = table.open()
    if opened is None:
        return None
    before, dropped = number_of_files(opened), 0
    for kind in _SCHEMAS:
        while (rows := table.commit(lambda snapshot, kind=kind: _merged(snapshot, kind))) is not None:  # type: ignore[misc]
            dropped += rows
    report = upkeep.maintain(table, keep=keep, merge=False)
    return None if report is None else {**report, "files_before": before, "rows_dropped": dropped}


def _merged(snapshot: Snapshot, kind: str) -> tuple[int | None, FileChange | None]:
    """Plan to merge small files of a kind that have blocks in common; None if there are none.

    Each merge leaves fewer files that share a block, so repeating it comes to an end.
    """
    small = observations.files_of(snapshot.files(), kind).filter(pl.col("rows") < observations.FILE_ROWS // 2)
    group = _first_group(small)
    if group is None:
        return None, None
    paths = group["path"].to_list()
    rows = snapshot.scan(paths, _SCHEMAS[kind])
    if kind == "series":
        merged = series.earliest(rows)
    elif kind == "change":
        merged = _that_say_something(snapshot, rows.collect())
    else:
        merged = rows.collect()
    writer = observations.Writer(snapshot)
    writer.add(kind, merged)
    return int(group["rows"].sum()) - merged.height, FileChange(writer.finish(), paths)


def _first_group(small: pl.DataFrame) -> pl.DataFrame | None:
    """Return the earliest files, two at least, each with a block in common with one before it, of rows for one file."""
    bounds = [observations.block(f"{bound}_datetime_utc").fill_null(0).alias(bound) for bound in ("min", "max")]
    files = small.with_columns(*bounds).sort("min", "max", "path")
    parts = (pl.col("min") > pl.col("max").cum_max().shift(1)).fill_null(value=True).cum_sum()
    near = files.with_columns(part=parts).filter(pl.col("rows").cum_sum().over("part") <= observations.FILE_ROWS)
    groups = near.filter(pl.len().over("part") > 1)
    return None if groups.is_empty() else groups.filter(pl.col("part") == groups["part"][0])


def _that_say_something(snapshot: Snapshot, rows: pl.DataFrame) -> pl.DataFrame:
    """Return those of ``rows`` that are changes of state among all that are stored of their keys."""
    first, last = rows.select(first=pl.col("datetime_utc").min(), last=pl.col("datetime_utc").max()).row(0)
    window = Window(as_utc(first), as_utc(last) + HOUR)
    of_same_hours = observations.scan(snapshot, observations.files_of(snapshot.files(), window=window))
    of_same_keys = of_same_hours.join(rows.lazy().select(revisions.KEY).unique(), on=revisions.KEY, how="semi")
    telling = revisions.changes_of_state(of_same_keys)
    # A value and the absence that it takes the place of have the same key and time.
    absent = pl.col("energy_consumption").is_null()
    columns = [*revisions.KEY, "known_at", "absent"]
    kept = rows.lazy().with_columns(absent=absent).join(telling.with_columns(absent=absent), on=columns, how="semi")
    return kept.drop("absent").collect()
