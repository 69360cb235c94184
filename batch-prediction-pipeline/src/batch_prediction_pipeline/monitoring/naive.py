"""The seasonal naive forecast of each archived run, from the observations that the run itself knew.

It is what the backtest of a model is compared with: the newest value observed a whole number of days before the
forecast hour, in the run's window and as known at the run's reference time.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import numpy as np
import polars as pl

from forecast_core.contracts.schema import HOUR, KEY, OBSERVATIONS, SERIES, UTC_HOUR
from forecast_core.contracts.window import Window, as_utc
from load_forecaster.metrics import FloatArray
from load_forecaster.naive import naive_values

SEASON: Final = 24
"""Hours after which values are expected to repeat."""

RECENT: Final = timedelta(days=7)
"""Days before the end of the windows that are read of every series; older hours are read of silent series only.

For one new hour, reading 30 days of 76 series took .19 of the .4 CPU seconds of all naive forecasts.
"""

NAIVE: Final = pl.Schema(
    {"reference_datetime": UTC_HOUR, **{name: OBSERVATIONS[name] for name in KEY}, "naive": pl.Float64()}
)
"""The naive forecast, in kWh, of one hour by one run; null where the run knew no value to repeat."""


class ReadRevisions(Protocol):
    """Reads what became known of a window, when: ``FeatureStore.read_revisions`` of one feature group."""

    def __call__(self, *, window: Window, series: Sequence[tuple[str, str]]) -> pl.DataFrame:
        """Return OBSERVATIONS with ``known_at``."""


def of_runs(runs: pl.DataFrame, series: pl.DataFrame, read: ReadRevisions) -> pl.DataFrame:
    """Return NAIVE of every forecast hour of some runs of one feature view.

    Args:
        runs: ``reference_datetime``, ``window_start``, ``window_end``, ``fh`` and ``first_hour`` (the first that is
            forecast) of each run, at least one.
        series: SERIES to forecast, each once.
        read: Reads the revisions of the view's feature group.
    """
    start, end = as_utc(runs["window_start"].min()), as_utc(runs["window_end"].max())  # type: ignore[arg-type]  # times
    recent = max(start, as_utc(runs["window_end"].min()) - RECENT)  # type: ignore[arg-type]  # a time
    found = _of_window(runs, series, read, Window(recent, end))
    silent = found.filter(pl.col("naive").is_null()).select(SERIES).unique()
    if recent == start or silent.is_empty():
        return found
    return pl.concat([found.join(silent, on=SERIES, how="anti"), _of_window(runs, silent, read, Window(start, end))])


def _of_window(runs: pl.DataFrame, series: pl.DataFrame, read: ReadRevisions, window: Window) -> pl.DataFrame:
    """Return NAIVE by the hours of a window alone: the values of each run's own window, as known at its reference."""
    ordered, codes = runs.sort("reference_datetime"), series.with_row_index("code")
    revisions = read(window=window, series=series.rows())
    # A marker that a source no longer has a value (null) leaves the newest value known.
    known = revisions.drop_nulls("energy_consumption").join(codes, on=SERIES).sort("known_at", maintain_order=True)
    position = ((known["datetime_utc"] - window.start).dt.total_hours()).to_numpy()
    code, value = known["code"].to_numpy(), known["energy_consumption"].to_numpy()
    until = known["known_at"].search_sorted(ordered["reference_datetime"], side="right").to_list()
    values = np.full((window.hours, series.height), np.nan)
    forecasts: list[FloatArray] = []
    applied = 0
    for upto, run in zip(until, ordered.iter_rows(named=True), strict=True):
        # In the order in which they became known: of two values of one hour, the newer one stays.
        values[position[applied:upto], code[applied:upto]] = value[applied:upto]
        applied = upto
        first, last = (max(0, (run[name] - window.start) // HOUR) for name in ("window_start", "window_end"))
        gap = (run["first_hour"] - run["window_end"]) // HOUR
        forecasts.append(naive_values(values[first:last], fh=run["fh"], season=SEASON, gap=gap))
    return _rows(ordered, series, forecasts)


def _rows(runs: pl.DataFrame, series: pl.DataFrame, forecasts: Sequence[FloatArray]) -> pl.DataFrame:
    """Return NAIVE of the matrices [lead, series] of the runs."""
    hours = runs.select("reference_datetime", "first_hour", lead=pl.int_ranges("fh")).explode("lead")
    hours = hours.select("reference_datetime", datetime_utc=pl.col("first_hour") + pl.col("lead") * pl.lit(HOUR))
    values = np.concatenate(forecasts).ravel()
    return (
        hours.join(series, how="cross", maintain_order="left_right")
        .with_columns(naive=pl.Series(values).fill_nan(None))
        .select(NAIVE.names())
    )
