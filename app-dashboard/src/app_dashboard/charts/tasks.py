"""The tasks of one DAG run along its time: when each began, how long it took, how it ended."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing
from app_dashboard.display import Display

ROW_HEIGHT = 22
OTHER = "other"


def gantt(tasks: pl.DataFrame, display: Display) -> Drawing:
    """Return a bar for each task, in the order given: ``task``, ``state``, ``begin`` and ``seconds``, ``lasted``."""
    palette = display.palette
    colours = {"success": palette.blue, "failed": palette.orange, "running": palette.green, OTHER: palette.quiet}
    rows = tasks.with_columns(
        end=pl.col("begin") + pl.col("seconds"),
        kind=pl.when(pl.col("state").is_in(list(colours))).then("state").otherwise(pl.lit(OTHER)),
    )
    shown = [kind for kind in colours if kind in rows["kind"]]
    scale = alt.Scale(domain=shown, range=[colours[kind] for kind in shown])
    names = alt.Y("task:N", sort=rows["task"].to_list(), axis=alt.Axis(title=None, labelLimit=150, labelOverlap=False))
    last = float(rows.select(pl.max_horizontal(pl.col("end").max(), 1.0)).item())
    # Room for what stands behind the last bar.
    along = alt.Scale(domain=[0, 1.2 * last], nice=False)
    axis = alt.Axis(title="seconds since the run started", tickCount=5)
    bars = (
        alt.Chart(rows)
        .mark_bar(height=12)
        .encode(
            x=alt.X("begin:Q", scale=along, axis=axis),
            x2="end:Q",
            y=names,
            color=alt.Color("kind:N", scale=scale, legend=alt.Legend(title=None, orient="bottom")),
            tooltip=[
                alt.Tooltip("task:N"),
                alt.Tooltip("state:N"),
                alt.Tooltip("begin:Q", title="started after, s", format=",.1f"),
                alt.Tooltip("lasted:N", title="duration"),
                alt.Tooltip("tries:Q"),
            ],
        )
    )
    told = (
        alt.Chart(rows)
        .mark_text(align="left", dx=4, color=palette.ink)
        .encode(x=alt.X("end:Q", scale=along), y=names, text="lasted:N")
    )
    return alt.layer(bars, told).properties(height=alt.Step(ROW_HEIGHT))
