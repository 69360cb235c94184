"""Find the keys of an ingest that need no plan, by position in a dense series-by-hour grid instead of by joins."""

from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from forecast_core.contracts.window import Window

_HOUR_US: Final = 3_600_000_000
_SPARSE: Final = 16
"""Grid cells per row above which the grid costs more than it saves."""


def hour_numbers(rows: pl.DataFrame, window: Window) -> npt.NDArray[np.int64]:
    """Return the number of each row's hour in the window, from 0."""
    begin = int(window.start.timestamp()) * 1_000_000
    numbers: npt.NDArray[np.int64] = (rows["datetime_utc"].to_physical().to_numpy() - begin) // _HOUR_US
    return numbers


def settled(
    values: pl.DataFrame, firsts: pl.DataFrame, changes: pl.DataFrame, *, window: Window, known_at: datetime
) -> tuple[pl.Series, pl.Series]:
    """Mark the keys of an ingest that need no plan: exactly one row is stored, known by then, with the given value.

    Args:
        values: ``revisions.VALUES`` given, inside the window.
        firsts: ``revisions.REVISIONS`` stored, at most one of a key.
        changes: All others that are stored.
        window: The hours of all three.
        known_at: When the given values became known.

    Returns:
        For each row of ``values``, and for each of ``firsts``, whether its key is one of those.
    """
    series = max(int(rows["series"].to_numpy().max(initial=-1)) for rows in (values, firsts, changes)) + 1
    size = series * window.hours
    if values.is_empty() or firsts.is_empty() or size > _SPARSE * (values.height + firsts.height):
        return pl.repeat(False, values.height, eager=True), pl.repeat(False, firsts.height, eager=True)
    given, first, changed = (
        rows["series"].to_numpy().astype(np.int64) * window.hours + hour_numbers(rows, window)
        for rows in (values, firsts, changes)
    )
    stored = np.full(size, np.nan)
    stored[first] = firsts.select(pl.col("energy_consumption").fill_null(np.nan))["energy_consumption"].to_numpy()
    stored[first[(firsts["known_at"] > known_at).to_numpy()]] = np.nan
    stored[changed] = np.nan
    # Bit by bit: 0.0 is not -0.0, and no value that is given has the bits of NaN.
    same = stored[given].view(np.int64) == values["energy_consumption"].to_numpy().view(np.int64)
    done = np.zeros(size, dtype=bool)
    done[given[same]] = True
    return pl.Series(same), pl.Series(done[first])
