"""Charts of ingests: completeness, and values revised or taken back."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, time_axis
from app_dashboard.display import Display


def completeness(ingests: pl.DataFrame, display: Display, *, height: int = 200) -> Drawing:
    """Return the share of the window's hours that each ingest had: ``known_at``, ``complete``, ``missing_hours``."""
    rows = display.with_when(ingests, "known_at")
    axis = time_axis(rows["known_at"], display)
    line = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2, color=display.palette.blue, point=alt.OverlayMarkDef(size=28))
        .encode(
            x=alt.X("known_at:T", **axis),
            y=alt.Y(
                "complete:Q",
                axis=alt.Axis(title="hours received", format=".2%", tickCount=4),
                scale=alt.Scale(zero=False, nice=True, domainMax=1),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="as of"),
                alt.Tooltip("complete:Q", format=".2%"),
                alt.Tooltip("missing_hours:Q", title="missing hours", format=","),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
    )
    return alt.layer(line).properties(height=height)


def changes(ingests: pl.DataFrame, display: Display, *, height: int = 200) -> Drawing:
    """Return how many values each ingest revised or took back: ``known_at``, ``new``, ``revised``, ``vanished``."""
    palette = display.palette
    kinds = {"revised": palette.orange, "vanished": palette.quiet}
    long = display.with_when(ingests, "known_at").unpivot(
        list(kinds), index=["known_at", "when", "new"], variable_name="what", value_name="values"
    )
    axis = time_axis(ingests["known_at"], display)
    scale = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    bars = (
        alt.Chart(long)
        .mark_bar(size=7)
        .encode(
            x=alt.X("known_at:T", **axis),
            y=alt.Y("values:Q", axis=alt.Axis(title="values", tickCount=4, tickMinStep=1, format=",d")),
            color=alt.Color("what:N", scale=scale, legend=alt.Legend(title=None, orient="bottom")),
            tooltip=[
                alt.Tooltip("when:N", title="as of"),
                alt.Tooltip("what:N"),
                alt.Tooltip("values:Q", format=","),
                alt.Tooltip("new:Q", title="new", format=","),
            ],
        )
    )
    return alt.layer(bars).properties(height=height)
