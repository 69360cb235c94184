"""All series as a heat map: a row each, coloured by how far an hour is from the series' own mean."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, TimeAxis, time_axis
from app_dashboard.display import Display

ROW_HEIGHT = 13


def heat_map(rows: pl.DataFrame, hours: pl.DataFrame, display: Display) -> Drawing:
    """Return the heat map, with a line where the forecasts begin; rows are in the order of ``rows``.

    Args:
        rows: A row per series, with ``area`` and ``consumer_type``.
        hours: Forecasts of these series with the column ``observed``, in kWh.
        display: Zone, unit and colours.
    """
    shown = _shown(hours, display)
    order = rows.select(pl.concat_str("area", pl.lit(" "), "consumer_type")).to_series().to_list()
    axis = time_axis(hours["datetime_utc"], display, every_hours=6, grid=False)
    begin = shown.filter(pl.col("kind") == "forecast").select(pl.col("datetime_utc").min())
    line = alt.Chart(begin).mark_rule(color=display.palette.ink, strokeDash=[4, 3])
    layers = alt.layer(_cells(shown, order, axis, display), line.encode(x=alt.X("datetime_utc:T", **axis)))
    return layers.properties(height=ROW_HEIGHT * len(order) + 20)


def _shown(hours: pl.DataFrame, display: Display) -> pl.DataFrame:
    """Return a row per cell: its series, its value in the chosen unit, and the value over the series' mean."""
    named = hours.with_columns(
        series=pl.concat_str("area", pl.lit(" "), "consumer_type"),
        value=pl.coalesce("energy_consumption", "observed"),
        kind=pl.when(pl.col("energy_consumption").is_null()).then(pl.lit("observed")).otherwise(pl.lit("forecast")),
    )
    relative = named.with_columns(relative=pl.col("value") / pl.col("value").mean().over("series") - 1)
    return display.with_when(display.in_unit(relative, "value")).with_columns(
        until=pl.col("datetime_utc").dt.offset_by("1h")
    )


def _cells(shown: pl.DataFrame, order: list[str], axis: TimeAxis, display: Display) -> alt.Chart:
    palette = display.palette
    scale = alt.Scale(
        domain=[-0.6, 0, 0.6], clamp=True, interpolate="rgb", range=[palette.low, palette.middle, palette.high]
    )
    form = alt.Legend(title="against its own mean", orient="top", format="+.0%", gradientLength=160)
    names = alt.Axis(title=None, labelFontSize=10, labelOverlap=False, labelFlush=False)
    cells: alt.Chart = (
        alt.Chart(shown.select("series", "datetime_utc", "until", "when", "kind", "value", "relative"))
        .mark_rect()
        .encode(
            x=alt.X("datetime_utc:T", **axis),
            x2="until:T",
            y=alt.Y("series:N", sort=order, axis=names),
            color=alt.Color("relative:Q", scale=scale, legend=form),
            tooltip=[
                alt.Tooltip("series:N"),
                alt.Tooltip("when:N", title="hour"),
                alt.Tooltip("kind:N"),
                alt.Tooltip("value:Q", title=display.unit, format=",.4~f"),
                alt.Tooltip("relative:Q", title="against its mean", format="+.0%"),
            ],
        )
    )
    return cells
