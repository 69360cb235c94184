"""Drift of inputs (their mean against the training dataset) and of errors (their mean against zero)."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from forecast_core.contracts.schema import SERIES

RECENT: Final = timedelta(days=7)
"""The recent days that are compared with the days before: a week, so that every weekday is among them."""

LEAST: Final = timedelta(days=14)
"""Days before the recent ones without which nothing is compared: the spread of fewer days says little."""

LIMIT: Final = 3.0
"""Standard deviations from which on a series counts as drifted: the three-sigma limit of control charts."""

SMOOTHING: Final = 0.1
"""Weight of the newest day in the tracking signal."""


def level_change(before: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Return SERIES and ``change``: the standardized difference of a series' recent mean from its mean before.

    It is (mean of the recent days' means - mean of the days' means before) over the
    standard deviation of the latter. Three standard deviations are the limit of W. A. Shewhart's control charts
    (Economic Control of Quality of Manufactured Product, 1931). Series without any variation before are left out,
    and so are those that have no recent value.

    Args:
        before: ``schema.OBSERVATIONS`` from before the recent days.
        recent: ``schema.OBSERVATIONS`` of the recent days.
    """
    mean = pl.col("energy_consumption").mean().alias("mean")
    days, after = (rows.group_by(*SERIES, day=pl.col("datetime_utc").dt.date()).agg(mean) for rows in (before, recent))
    usual = days.group_by(SERIES).agg(level=pl.col("mean").mean(), spread=pl.col("mean").std())
    now = after.group_by(SERIES).agg(pl.col("mean").mean())
    return (
        usual.filter(pl.col("spread") > 0)
        .join(now, on=SERIES)
        .select(*SERIES, change=(pl.col("mean") - pl.col("level")) / pl.col("spread"))
        .sort(SERIES)
    )


def parts(rows: pl.DataFrame, *, end: datetime) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return the rows before the recent week and those of it, or None if there are too few days before it."""
    start = end - RECENT
    before, recent = (
        rows.filter(condition)
        for condition in (pl.col("datetime_utc") < start, pl.col("datetime_utc").is_between(start, end, "left"))
    )
    first = before["datetime_utc"].min()
    if not isinstance(first, datetime) or start - first < LEAST or recent.is_empty():
        return None
    return before, recent


def tracking_signal(sums: pl.DataFrame) -> float | None:
    """Return Trigg's tracking signal of the daily errors over all series, from -1 (too low) to 1 (too high).

    It is the smoothed error over the smoothed absolute error, both with weight 0.1 for the newest day (D. W. Trigg,
    Monitoring a forecasting system, Operational Research Quarterly 15 (1964) 271-274); near zero while errors fall on
    both sides. An error is a day's sum of forecasts minus that of the values, relative to the latter.

    Args:
        sums: ``scoring.totals`` by hour, and perhaps by more.

    Returns:
        The signal, or None with fewer than ten days.
    """
    days = (
        sums.group_by(day=pl.col("datetime_utc").dt.date(), maintain_order=True)
        .agg(error=pl.col("signed").sum() / pl.col("size").sum())
        .filter(pl.col("error").is_finite())
        .sort("day")
    )
    if days.height < 1 / SMOOTHING:
        return None
    signed, size = (
        days.select(each.ewm_mean(alpha=SMOOTHING, adjust=True).last()).item()
        for each in (pl.col("error"), pl.col("error").abs())
    )
    return None if size == 0 else float(signed / size)
