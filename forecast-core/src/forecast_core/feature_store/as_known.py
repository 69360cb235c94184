"""Read a window as known at a reference time by scattering rows into a dense series-by-hour grid; no sort.

Files are read in any order. Of several rows for one key, the one known last stays. The grid is in order of keys, and
so is the result.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from forecast_core.contracts.schema import HOUR, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.window import Window
from forecast_core.feature_store import observations, revisions, series
from forecast_core.tables.delta import Snapshot

_BATCH_ROWS: Final = 1 << 21
"""Rows read at once. Arrays of more would exceed 32 MB, and glibc returns such arrays to the system each time."""
_THREADS: Final = 2
_SPARSE: Final = 8
"""Grid cells per stored row above which sorting needs less memory than a grid."""
_Places = npt.NDArray[np.int64]
_NEVER: Final = np.iinfo(np.int64).min


def read(
    snapshot: Snapshot, *, window: Window, known_at: datetime, wanted: Sequence[tuple[str, str]] | None = None
) -> pl.DataFrame:
    """Return OBSERVATIONS of a window as known at a time, of some series or all, sorted by key."""
    files = snapshot.files()
    known = series.only(observations.names(snapshot, files), wanted)
    if known.is_empty():
        return pl.DataFrame(schema=OBSERVATIONS)
    numbers = None if wanted is None else known
    files = observations.files_of(files, window=window, known_until=known_at, numbers=numbers)
    condition = (
        (pl.col("datetime_utc") >= window.start)
        & (pl.col("datetime_utc") < window.end)
        & (pl.col("known_at") <= known_at)
        & pl.col("energy_consumption").is_not_null()
    )
    if numbers is not None:
        condition &= observations.of_series(numbers)
    if known.height * window.hours > _SPARSE * max(files["rows"].sum(), _BATCH_ROWS):
        rows = observations.scan(snapshot, files).filter(condition)
        found = series.named(revisions.as_known_at(rows, known_at), known)
        return found.select(OBSERVATIONS.names()).collect()
    values = _grid(snapshot, files, condition, window, known)
    return _frame(values, window, known)


def _grid(
    snapshot: Snapshot, files: pl.DataFrame, condition: pl.Expr, window: Window, known: pl.DataFrame
) -> npt.NDArray[np.float64]:
    """Return the values, by series in the order of ``known`` and by hour; NaN where there is none."""
    firsts, changes = (observations.files_of(files, kind) for kind in ("first", "change"))
    row_of = np.zeros(int(known["series"].to_numpy().max()) + 1, dtype=np.int64)
    row_of[known["series"].to_numpy()] = np.arange(known.height) * window.hours
    values = np.full(known.height * window.hours, np.nan)
    since = None if changes.is_empty() else np.full(values.size, _NEVER)

    def placed(paths: list[str]) -> tuple[_Places, pl.DataFrame]:
        rows = snapshot.scan(paths, revisions.REVISIONS).filter(condition)
        hour = (pl.col("datetime_utc") - window.start).dt.total_hours()
        found = rows.select("series", hour.alias("hour"), "energy_consumption", "known_at").collect()
        return row_of[found["series"].to_numpy()] + found["hour"].to_numpy(), found

    def put_first(paths: list[str]) -> None:
        # No two of these rows have one place: threads do not meet.
        places, rows = placed(paths)
        values[places] = rows["energy_consumption"].to_numpy()
        if since is not None:
            since[places] = rows["known_at"].to_physical().to_numpy()

    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(put_first, _batches(firsts)):
            pass
    if since is None:
        return values
    for paths in _batches(changes):
        places, rows = placed(paths)
        # Of several rows for one place, numpy keeps the last.
        order = rows["known_at"].arg_sort().to_numpy()
        places, known_at = places[order], rows["known_at"].to_physical().to_numpy()[order]
        newer = known_at > since[places]
        values[places[newer]] = rows["energy_consumption"].to_numpy()[order][newer]
        since[places[newer]] = known_at[newer]
    return values


def _frame(values: npt.NDArray[np.float64], window: Window, known: pl.DataFrame) -> pl.DataFrame:
    present = ~np.isnan(values)
    hours = pl.datetime_range(window.start, window.end, HOUR, closed="left", time_unit="us", eager=True)
    hour_numbers = hours.to_physical().to_numpy()
    if present.all():
        times, counts = np.tile(hour_numbers, known.height), np.full(known.height, window.hours)
    else:
        counts = present.reshape(known.height, window.hours).sum(axis=1)
        (places,) = present.nonzero()
        times, values = hour_numbers[places % window.hours], values[places]
    rows = pl.Series(np.repeat(np.arange(known.height, dtype=np.uint32), counts))
    named = known.select(pl.col(SERIES).gather(rows))
    return named.with_columns(pl.Series("datetime_utc", times).cast(UTC_HOUR), pl.Series("energy_consumption", values))


def _batches(files: pl.DataFrame) -> Iterator[list[str]]:
    paths: list[str] = []
    total = 0
    for path, rows in files.select("path", "rows").iter_rows():
        if paths and total + rows > _BATCH_ROWS:
            yield paths
            paths, total = [], 0
        paths.append(path)
        total += rows
    if paths:
        yield paths
