"""Training datasets: the rows of a view in a window, immutable, identified by their content.

The rows are a parquet file named by the hash of the content; a Delta table gives each hash its version number.
"""

import hashlib
import os
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from forecast_core.contracts.errors import FormatError, NotFoundError
from forecast_core.contracts.schema import OBSERVATIONS, SERIES, UTC_HOUR, Frame, meaning
from forecast_core.contracts.window import Window, as_utc
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change, Snapshot, Table
from forecast_core.tables.faults import storage_errors

TRAINING_DATASETS: Final = Frame(
    {
        "version": pl.Int64(),
        "content_hash": pl.String(),
        "feature_view_version": pl.Int64(),
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
        "known_at": UTC_HOUR,
        "rows": pl.Int64(),
        "series": pl.Int64(),
    },
    key=("version",),
    meaning={
        "version": "version of the training dataset",
        "content_hash": "``content_hash`` of its rows",
        **meaning("feature_view_version", "window_start", "window_end"),
        "known_at": "reference time for which it was first created, UTC",
        "rows": "number of rows",
        "series": "number of series",
    },
)
"""One row per version of a training dataset."""

TABLE: Final = Declaration(name="training_datasets", frame=TRAINING_DATASETS)
"""The table of training datasets."""


@dataclass(frozen=True)
class TrainingDataset:
    """The facts of one version; ``known_at`` is the reference time for which it was first created."""

    version: int
    content_hash: str
    feature_view_version: int
    window: Window
    known_at: datetime
    rows: int
    series: int


def content_hash(frame: pl.DataFrame, *, definition_hash: str, window: Window) -> str:
    """Return the SHA-256 of OBSERVATIONS sorted by key, with the view and the window that they are of.

    Hashed are, in this order: a tag, the definition's hash, the window's bounds; then per series its two names, each
    with its length before it, and its number of rows; then all hours and all values. Whole numbers and times
    (microseconds since 1970) are little-endian int64, values little-endian float64.
    """
    digest = hashlib.sha256(b"training dataset 1\n")
    _text(digest, definition_hash)
    bounds = pl.Series([window.start, window.end], dtype=UTC_HOUR)
    digest.update(bounds.to_physical().to_numpy().astype("<i8").tobytes())
    series = frame.group_by(SERIES, maintain_order=True).len()
    digest.update(struct.pack("<q", series.height))
    for area, consumer_type, rows in series.iter_rows():
        _text(digest, area)
        _text(digest, consumer_type)
        digest.update(struct.pack("<q", rows))
    digest.update(np.ascontiguousarray(frame["datetime_utc"].to_physical().to_numpy(), dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(frame["energy_consumption"].to_numpy(), dtype="<f8").tobytes())
    return digest.hexdigest()


def register(table: Table, dataset: TrainingDataset) -> TrainingDataset:
    """Return the dataset with its content's version: the one that this content has, or the next one."""

    def plan(snapshot: Snapshot) -> tuple[TrainingDataset, Change | None]:
        known = snapshot.rows.filter(pl.col("content_hash") == dataset.content_hash).collect()
        if not known.is_empty():
            return _from_row(known), None
        version = (snapshot.rows.select(pl.col("version").max()).collect().item() or 0) + 1
        row = (
            version,
            dataset.content_hash,
            dataset.feature_view_version,
            dataset.window.start,
            dataset.window.end,
            dataset.known_at,
            dataset.rows,
            dataset.series,
        )
        frame = pl.DataFrame([row], schema=TRAINING_DATASETS, orient="row")
        return _from_row(frame), Change(frame)

    return table.commit(plan)


def get(table: Table, version: int) -> TrainingDataset:
    """Return the facts of a version.

    Raises:
        NotFoundError: If it does not exist; the message names those that do.
    """
    found = table.collect(lambda rows: rows.filter(pl.col("version") == version))
    if found.is_empty():
        newest = sorted(table.collect(lambda rows: rows.select("version"))["version"].to_list())[-10:]
        raise NotFoundError(
            f"there is no training dataset version {version}; the newest are {newest or 'none yet'}: "
            "create one with feature_view.create",
            version=version,
            existing=newest,
        )
    return _from_row(found)


def newest(
    table: Table, *, feature_view_version: int | None = None, known_until: datetime | None = None
) -> TrainingDataset:
    """Return the facts of the dataset of the latest reference time, the highest version among several.

    The highest version of all may be that of a past hour, created by a backfill.

    Raises:
        NotFoundError: If there is none.
    """
    return _last(table, feature_view_version, known_until, "known_at", "version")


def highest(table: Table, *, feature_view_version: int | None = None) -> TrainingDataset:
    """Return the facts of the dataset of the highest version: the one that was first created last.

    Raises:
        NotFoundError: If there is none.
    """
    return _last(table, feature_view_version, None, "version")


def _last(table: Table, feature_view_version: int | None, known_until: datetime | None, *order: str) -> TrainingDataset:
    wanted = [] if feature_view_version is None else [pl.col("feature_view_version") == feature_view_version]
    if known_until is not None:
        wanted.append(pl.col("known_at") <= known_until)
    found = table.collect(lambda rows: rows.filter(*wanted).sort(order).tail(1))
    if found.is_empty():
        of_view = "" if feature_view_version is None else f" of feature view {feature_view_version}"
        raise NotFoundError(f"there is no training dataset{of_view} yet: create one with feature_view.create")
    return _from_row(found)


def write_file(frame: pl.DataFrame, uri: str, storage_options: Mapping[str, str] | None) -> None:
    """Write a parquet file that is named by its content: atomically, and at most once on a local disk."""
    with storage_errors(uri):
        if "://" in uri:
            frame.write_parquet(uri, storage_options=_options(storage_options))
            return
        path = Path(uri)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as file:
                frame.write_parquet(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read_file(
    uri: str, dataset: TrainingDataset, *, definition_hash: str, storage_options: Mapping[str, str] | None
) -> pl.DataFrame:
    """Return the rows of a dataset, after making sure that they are those that were registered.

    Raises:
        FormatError: If the file is not, bit for bit in keys and values, what was registered.
        NotFoundError: If there is no file.
        StorageError: If it cannot be read now.
    """
    remedy = f"remove {uri} and create the dataset again as known at {dataset.known_at}"
    with storage_errors(uri):
        try:
            # Without glob=False, a root folder with [, * or ? in its path would name other files.
            frame = pl.read_parquet(uri, glob=False, storage_options=_options(storage_options), hive_partitioning=False)
        except FileNotFoundError as error:
            raise NotFoundError(f"the file of training dataset {dataset.version} is gone: {remedy}", uri=uri) from error
        except pl.exceptions.PolarsError as error:
            raise FormatError(f"training dataset {dataset.version} is damaged ({error}): {remedy}", uri=uri) from error
    if frame.schema != OBSERVATIONS or (
        content_hash(frame, definition_hash=definition_hash, window=dataset.window) != dataset.content_hash
    ):
        raise FormatError(
            f"training dataset {dataset.version} in {uri} is not what was registered: its content does not have the "
            f"hash {dataset.content_hash}; {remedy}",
            uri=uri,
            version=dataset.version,
        )
    return frame


def of_frame(
    frame: pl.DataFrame, *, feature_view_version: int, definition_hash: str, window: Window, known_at: datetime
) -> TrainingDataset:
    """Return the facts of OBSERVATIONS sorted by key, not yet registered: version 0."""
    return TrainingDataset(
        version=0,
        content_hash=content_hash(frame, definition_hash=definition_hash, window=window),
        feature_view_version=feature_view_version,
        window=window,
        known_at=known_at,
        rows=frame.height,
        series=frame.select(SERIES).n_unique(),
    )


def _from_row(frame: pl.DataFrame) -> TrainingDataset:
    row = frame.row(0, named=True)
    window = Window(as_utc(row.pop("window_start")), as_utc(row.pop("window_end")))
    return TrainingDataset(window=window, known_at=as_utc(row.pop("known_at")), **row)


def _text(digest: "hashlib._Hash", text: str) -> None:
    data = text.encode()
    digest.update(struct.pack("<q", len(data)) + data)


def _options(storage_options: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if storage_options is None else dict(storage_options)
