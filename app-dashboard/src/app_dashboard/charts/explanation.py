"""What drove a forecast: what each member of the blend, or each group of inputs, adds to every hour."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, time_axis
from app_dashboard.display import Display

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's, but for black."""


def contributions(parts: pl.DataFrame, display: Display, *, height: int = 280) -> Drawing:
    """Return stacked bars by hour: ``datetime_utc``, ``name``, ``value`` in kWh; below zero it takes away."""
    rows = display.with_when(display.in_unit(parts, "value"))
    names = rows.group_by("name").agg(pl.col("value").abs().sum()).sort("value", descending=True)["name"].to_list()
    scale = alt.Scale(domain=names, range=[COLOURS[at % len(COLOURS)] for at in range(len(names))])
    form = alt.Legend(title=None, orient="bottom", columns=3, labelLimit=0)
    axis = time_axis(rows["datetime_utc"], display, every_hours=6)
    bars = (
        alt.Chart(rows.with_columns(until=pl.col("datetime_utc").dt.offset_by("50m")))
        .mark_bar()
        .encode(
            x=alt.X("datetime_utc:T", **axis),
            x2="until:T",
            y=alt.Y("value:Q", axis=alt.Axis(title=display.unit, format="~s", tickCount=5), stack=True),
            color=alt.Color("name:N", scale=scale, legend=form),
            tooltip=[
                alt.Tooltip("when:N", title="hour"),
                alt.Tooltip("name:N", title="part"),
                alt.Tooltip("value:Q", title=display.unit, format=",.4~f"),
            ],
        )
    )
    return alt.layer(bars).properties(height=height)
