"""Charts of how good the forecasts were: over time, by lead hour, by series, and how well intervals hold."""

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, time_axis
from app_dashboard.display import Display

MODEL, NAIVE, BACKTEST = "forecast", "seasonal naive", "backtest of the models"
NAMES = {"wape": MODEL, "naive_wape": NAIVE, "backtest_wape": BACKTEST}


def over_time(metrics: pl.DataFrame, display: Display, *, height: int = 260) -> Drawing:
    """Return WAPE of forecasts, naive forecasts and backtests by reference time."""
    rows = display.with_when(_named(metrics), "reference_datetime")
    axis = time_axis(rows["reference_datetime"], display, tickCount=8)
    lines = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28))
        .encode(
            x=alt.X("reference_datetime:T", **axis),
            y=_share("value", "error (WAPE)"),
            color=_colour(rows, display),
            tooltip=[
                alt.Tooltip("what:N", title="of"),
                alt.Tooltip("when:N", title="as of"),
                alt.Tooltip("value:Q", title="WAPE", format=".2%"),
                alt.Tooltip("n:Q", title="forecast hours", format=","),
            ],
        )
    )
    return alt.layer(lines).properties(height=height)


def by_lead(metrics: pl.DataFrame, display: Display, *, height: int = 260) -> Drawing:
    """Return WAPE by how many hours ahead the forecast was."""
    rows = _named(metrics)
    lines = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28))
        .encode(
            x=alt.X("lead:Q", axis=alt.Axis(title="hours ahead", tickMinStep=1), scale=alt.Scale(nice=False)),
            y=_share("value", "error (WAPE)"),
            color=_colour(rows, display),
            tooltip=[
                alt.Tooltip("what:N", title="of"),
                alt.Tooltip("lead:Q", title="hours ahead"),
                alt.Tooltip("value:Q", title="WAPE", format=".2%"),
            ],
        )
    )
    return alt.layer(lines).properties(height=height)


def by_series(series: pl.DataFrame, display: Display) -> Drawing:
    """Return a bar per series, best first: its MAE divided by that of the naive forecast.

    Args:
        series: ``series``, ``relative_mae``, ``wape``, ``n``.
        display: How values are shown.
    """
    palette = display.palette
    order = series.sort("relative_mae")["series"].to_list()
    worse = alt.condition(alt.datum.relative_mae >= 1, alt.value(palette.orange), alt.value(palette.blue))
    bars = (
        alt.Chart(series)
        .mark_bar(height=8)
        .encode(
            x=alt.X(
                "relative_mae:Q",
                axis=alt.Axis(
                    title="MAE divided by that of the seasonal naive forecast (below 1 is better)", orient="top"
                ),
            ),
            y=alt.Y(
                "series:N",
                sort=order,
                axis=alt.Axis(title=None, labelFontSize=10, labelOverlap=False, labelFlush=False),
            ),
            color=worse,
            tooltip=[
                alt.Tooltip("series:N"),
                alt.Tooltip("relative_mae:Q", title="relative MAE", format=".2f"),
                alt.Tooltip("wape:Q", title="WAPE", format=".1%"),
                alt.Tooltip("n:Q", title="forecast hours", format=","),
            ],
        )
    )
    one = alt.Chart(pl.DataFrame({"at": [1.0]})).mark_rule(color=palette.ink, strokeDash=[4, 3]).encode(x="at:Q")
    return alt.layer(bars, one).properties(height=13 * series.height + 40)


def calibration(metrics: pl.DataFrame, display: Display, *, height: int = 200) -> Drawing:
    """Return the share of values inside the 80 and 90 % intervals by reference time, beside the nominal shares."""
    names = {"coverage_80": "80 % interval", "coverage_90": "90 % interval"}
    palette = display.palette
    scale = alt.Scale(domain=list(names.values()), range=[palette.blue, palette.green])
    rows = display.with_when(
        metrics.filter(pl.col("metric").is_in(list(names))).with_columns(
            what=pl.col("metric").replace_strict(names, return_dtype=pl.String)
        ),
        "reference_datetime",
    )
    colour = alt.Color("what:N", scale=scale, legend=alt.Legend(title=None, orient="bottom"))
    axis = time_axis(rows["reference_datetime"], display)
    held = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28))
        .encode(
            x=alt.X("reference_datetime:T", **axis),
            y=_share("value", "observations inside"),
            color=colour,
            tooltip=[
                alt.Tooltip("what:N", title="of"),
                alt.Tooltip("when:N", title="as of"),
                alt.Tooltip("value:Q", title="inside", format=".1%"),
            ],
        )
    )
    promised = pl.DataFrame({"promise": [0.8, 0.9], "what": list(names.values())})
    rules = alt.Chart(promised).mark_rule(strokeDash=[4, 3]).encode(y="promise:Q", color=colour)
    return alt.layer(held, rules).properties(height=height)


def _named(metrics: pl.DataFrame) -> pl.DataFrame:
    known = metrics.filter(pl.col("metric").is_in(list(NAMES)))
    return known.with_columns(what=pl.col("metric").replace_strict(NAMES, return_dtype=pl.String))


def _share(column: str, title: str) -> alt.Y:
    return alt.Y(
        f"{column}:Q", axis=alt.Axis(title=title, format="%", tickCount=5), scale=alt.Scale(zero=False, nice=True)
    )


def _colour(rows: pl.DataFrame, display: Display) -> alt.Color:
    palette = display.palette
    known = {MODEL: palette.blue, NAIVE: palette.orange, BACKTEST: palette.quiet}
    shown = [name for name in known if name in set(rows["what"])]
    scale = alt.Scale(domain=shown, range=[known[name] for name in shown])
    return alt.Color("what:N", scale=scale, legend=alt.Legend(title=None, orient="bottom", labelLimit=0))
