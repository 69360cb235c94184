"""Parquet files of a Delta table that we write ourselves: sorted, of bounded size, listed with their statistics.

delta-rs commits them. Because we choose the rows of each file, readers can skip most files by their bounds.
"""

import io
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from deltalake import DeltaTable

# The file system under the table itself: same options, same credentials, same retries. delta-rs exports it only here.
from deltalake._internal import DeltaFileSystemHandler, RemoveAction
from deltalake.transaction import AddAction

ROW_GROUP: Final = 1 << 17
PARTITION: Final = "kind"


@dataclass(frozen=True)
class FileChange:
    """Files to add to a table and to take out of it, in one commit; those taken out stay on disk until a vacuum."""

    added: Sequence[AddAction]
    removed: Sequence[str] = ()

    def actions(self) -> list[AddAction | RemoveAction]:
        """Return what delta-rs commits."""
        # The only use of the clock: a vacuum keeps a file for some time after it was taken out.
        now = time.time_ns() // 1_000_000
        removals = [RemoveAction(path, data_change=True, deletion_timestamp=now) for path in self.removed]
        return [*self.added, *removals]


def write(uri: str, rows: pl.DataFrame, *, kind: str, storage_options: Mapping[str, str] | None) -> AddAction:
    """Write ``rows``, as they are sorted, to a new file; nobody sees it until it is committed."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, row_group_size=ROW_GROUP, compression="zstd", compression_level=1)
    path, size = f"{PARTITION}={kind}/{uuid.uuid4().hex}.parquet", buffer.tell()
    options = None if storage_options is None else dict(storage_options)
    stream = DeltaFileSystemHandler(uri, options).open_output_stream(path)
    stream.write(buffer.getvalue())
    stream.close()  # type: ignore[attr-defined]  # deltalake's type information forgets it
    return AddAction(path, size, {PARTITION: kind}, 0, True, _statistics(rows))


def listed(table: DeltaTable, schema: pl.Schema) -> pl.DataFrame:
    """Return a row per file: ``path``, ``rows``, ``kind``, ``min_…`` and ``max_…`` of each column (null if unknown)."""
    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    bounds = {
        f"{bound}_{name}": pl.col(f"{bound}.{name}").cast(dtype)
        if f"{bound}.{name}" in actions.columns
        else pl.lit(None, dtype)
        for name, dtype in schema.items()
        for bound in ("min", "max")
        if name != PARTITION
    }
    return actions.select(path="path", rows="num_records", kind=f"partition.{PARTITION}", **bounds)


def scan(
    uri: str, paths: Sequence[str], schema: pl.Schema, *, storage_options: Mapping[str, str] | None
) -> pl.LazyFrame:
    """Return the rows of some of a table's files, which all have the columns of ``schema``."""
    if not paths:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(
        [f"{uri.rstrip('/')}/{path}" for path in paths],
        schema=schema,
        glob=False,
        hive_partitioning=False,
        storage_options=None if storage_options is None else dict(storage_options),
    )


def _statistics(rows: pl.DataFrame) -> str:
    bounds = rows.select(
        pl.all().exclude(pl.String).min().name.prefix("min_"), pl.all().exclude(pl.String).max().name.prefix("max_")
    ).row(0, named=True)

    def values(bound: str) -> dict[str, object]:
        found = {name: bounds.get(f"{bound}_{name}") for name in rows.columns}
        return {name: _plain(value) for name, value in found.items() if value is not None}

    return json.dumps(
        {
            "numRecords": rows.height,
            "minValues": values("min"),
            "maxValues": values("max"),
            "nullCount": rows.null_count().row(0, named=True),
        }
    )


def _plain(value: object) -> object:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value
