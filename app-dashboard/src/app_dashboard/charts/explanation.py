"""What drove a forecast: what each member of the blend, or each group of inputs, adds to every hour."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, time_axis
from app_dashboard.display import Display

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's, but for black."""


MOST_PARTS = 7
OTHERS = "all others"


def contributions(parts: pl.DataFrame, display: Display, *, height: int = 320) -> Drawing:
    """Return stacked bars by hour: ``datetime_utc``, ``name``, ``value`` in kWh; what takes away is below zero."""
    rows = display.with_when(stacked(display.in_unit(parts, "value")))
    names = rows["name"].unique(maintain_order=True).to_list()
    scale = alt.Scale(domain=names, range=list(COLOURS[: len(names)]))
    axis = time_axis(rows["datetime_utc"], display, every_hours=6)
    bars = (
        alt.Chart(rows.with_columns(until=pl.col("datetime_utc").dt.offset_by("50m")))
        .mark_rect()
        .encode(
            x=alt.X("datetime_utc:T", **axis),
            x2="until:T",
            y=alt.Y("low:Q", axis=alt.Axis(title=display.unit, format="~s", tickCount=5)),
            y2="high:Q",
            color=alt.Color(
                "name:N", scale=scale, legend=alt.Legend(title=None, orient="bottom", columns=2, labelLimit=0)
            ),
            tooltip=[
                alt.Tooltip("when:N", title="hour"),
                alt.Tooltip("name:N", title="part"),
                alt.Tooltip("value:Q", title=display.unit, format=",.4~f"),
            ],
        )
    )
    return alt.layer(bars).properties(height=height)


def stacked(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the largest parts, and the sum of the others, with where each begins and ends: ``low``, ``high``.

    Of each hour, what is positive is stacked upwards from zero and what is negative downwards, largest parts first.
    """
    sizes = parts.group_by("name").agg(size=pl.col("value").abs().sum()).sort("size", "name", descending=[True, False])
    kept = sizes["name"].head(MOST_PARTS if sizes.height > MOST_PARTS + 1 else sizes.height).to_list()
    named = parts.with_columns(
        name=pl.when(pl.col("name").is_in(kept)).then("name").otherwise(pl.lit(OTHERS)),
    )
    order = pl.col("name").replace_strict({name: at for at, name in enumerate([*kept, OTHERS])}, return_dtype=pl.Int32)
    summed = named.group_by("datetime_utc", "name").agg(pl.col("value").sum()).sort(order, "datetime_utc")
    ends = pl.col("value").cum_sum().over("datetime_utc", pl.col("value") < 0)
    return summed.with_columns(low=ends - pl.col("value"), high=ends)
