"""The chart of one series: what came, what is forecast with its intervals, and what had been forecast before."""

from typing import Any

import altair as alt
import polars as pl

from app_dashboard.charts.axes import Drawing, time_axis
from app_dashboard.display import Display

OBSERVED, FORECAST, BEFORE = "observed", "forecast", "forecast made 24 h earlier"
BAND_80, BAND_90 = "80 % interval", "90 % interval"
VALUES = ("observed", "forecast", "q05", "q10", "q50", "q90", "q95", "previous", "previous_q10", "previous_q90")


def forecast_chart(compared: pl.DataFrame, display: Display, *, height: int = 420) -> Drawing:
    """Return observations, forecast and earlier forecast of ``frames.side_by_side`` over time."""
    base = _base(compared, display, every_hours=24)
    y, colour = _values_axis(display), _colours(display, (OBSERVED, BEFORE, FORECAST, BAND_80, BAND_90))
    layers = [
        _named(base, BAND_90).mark_area().encode(y=y("q05"), y2="q95", color=colour),
        _named(base, BAND_80).mark_area().encode(y=y("q10"), y2="q90", color=colour),
        _named(base, OBSERVED).mark_line(strokeWidth=1.75).encode(y=y("observed"), color=colour),
        _named(base, BEFORE).mark_line(strokeWidth=2, strokeDash=[5, 3]).encode(y=y("previous"), color=colour),
        _named(base, FORECAST).mark_line(strokeWidth=2.5).encode(y=y("forecast"), color=colour),
        _pointer(base),
    ]
    return alt.layer(*layers).properties(height=height)


def kept_chart(met: pl.DataFrame, display: Display, *, height: int = 240) -> Drawing:
    """Return an earlier forecast, with its 80 % interval, beside what came, of ``frames.kept``."""
    base = _base(met, display, every_hours=6)
    y, colour = _values_axis(display), _colours(display, (OBSERVED, BEFORE))
    band = base.mark_area(opacity=0.22, color=display.palette.orange)
    layers = [
        band.encode(y=y("previous_q10"), y2="previous_q90"),
        _named(base, BEFORE).mark_line(strokeWidth=2, strokeDash=[5, 3]).encode(y=y("previous"), color=colour),
        _named(base, OBSERVED).mark_line(strokeWidth=2).encode(y=y("observed"), color=colour),
        _pointer(base),
    ]
    return alt.layer(*layers).properties(height=height)


def _base(compared: pl.DataFrame, display: Display, *, every_hours: int) -> alt.Chart:
    x = alt.X("datetime_utc:T", **time_axis(compared["datetime_utc"], display, every_hours=every_hours))
    return alt.Chart(_shown(compared, display)).encode(x=x)


def _named(base: alt.Chart, name: str) -> alt.Chart:
    """Return a layer that the legend calls ``name``."""
    return base.transform_calculate(what=f"'{name}'")


def _shown(compared: pl.DataFrame, display: Display) -> pl.DataFrame:
    rows = display.with_when(display.in_unit(compared, *VALUES))
    decimals = 0 if display.unit == "kWh" else 3

    def text(low: str, high: str) -> pl.Expr:
        return pl.concat_str(pl.col(low).round(decimals), pl.lit(" to "), pl.col(high).round(decimals))

    return rows.with_columns(interval_80=text("q10", "q90"), interval_90=text("q05", "q95"))


def _colours(display: Display, shown: tuple[str, ...]) -> alt.Color:
    palette = display.palette
    known = {
        OBSERVED: palette.ink,
        BEFORE: palette.orange,
        FORECAST: palette.blue,
        BAND_80: palette.blue_80,
        BAND_90: palette.blue_90,
    }
    scale = alt.Scale(domain=list(shown), range=[known[name] for name in shown])
    form = alt.Legend(title=None, orient="bottom", direction="horizontal", columns=2, symbolStrokeWidth=3, labelLimit=0)
    return alt.Color("what:N", scale=scale, legend=form)


def _values_axis(display: Display) -> Any:
    axis = alt.Axis(title=f"{display.unit} in the hour", format="~s" if display.unit == "kWh" else "~g", tickCount=5)

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", axis=axis, scale=alt.Scale(zero=False, nice=True))

    return y


def _pointer(base: alt.Chart) -> alt.Chart:
    """Return a line that stands at the hour under the pointer and tells its values."""
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["datetime_utc"], empty=False)
    told = [
        alt.Tooltip("when:N", title="hour"),
        alt.Tooltip("observed:Q", format=",.4~f"),
        alt.Tooltip("forecast:Q", format=",.4~f"),
        alt.Tooltip("interval_80:N", title=BAND_80),
        alt.Tooltip("interval_90:N", title=BAND_90),
        alt.Tooltip("previous:Q", title=BEFORE, format=",.4~f"),
    ]
    opacity = alt.condition(nearest, alt.value(0.6), alt.value(0))
    rule: alt.Chart = base.mark_rule(color="#888").encode(opacity=opacity, tooltip=told).add_params(nearest)
    return rule
