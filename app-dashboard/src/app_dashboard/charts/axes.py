"""The time axis of all charts."""

from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypedDict

import altair as alt
import polars as pl

from app_dashboard.display import Display

DAY: Final = 24
Drawing: TypeAlias = alt.LayerChart | alt.FacetChart
"""What Altair may make of layers; ours are always layered."""


class TimeAxis(TypedDict):
    """Keyword arguments of an Altair encoding of times."""

    scale: alt.Scale
    axis: alt.Axis


def time_axis(times: pl.Series, display: Display, *, every_hours: int = DAY, **axis: Any) -> TimeAxis:
    """Return ``scale`` and ``axis`` of an encoding of UTC times, ticked and labelled in the chosen zone.

    A tick stands at every full day there, or at every ``every_hours`` of it; at every hour if the times have none of
    these. Browsers know only UTC and their own zone, so the label's expression adds the zone's offset, the one before a
    change of the clocks or the one after it.
    """
    days = _ticks(times, display, every_hours)
    ticks = days or _ticks(times, display, 1)
    first, last = times.min(), times.max()
    scale = alt.Scale(type="utc")
    if not ticks or not isinstance(first, datetime) or not isinstance(last, datetime):
        return {"scale": scale, "axis": alt.Axis(title=display.zone_title)}
    changed = [tick for tick in ticks if _offset(tick, display) != _offset(first, display)]
    change = _milliseconds(changed[0]) if changed else _milliseconds(last) + 1
    before, after = (_offset(each, display) // timedelta(milliseconds=1) for each in (first, last))
    shown = f"(time(datum.value) + (time(datum.value) < {change} ? {before} : {after}))"
    # Without a tick at midnight, no label would tell the day.
    hour = "%H:%M" if days else "%-d %b %H:%M"
    label = f"utchours({shown}) == 0 ? utcFormat({shown}, '%a %-d %b') : utcFormat({shown}, '{hour}')"
    # Numbers would do by the grammar, but draw no tick.
    values = [tick.strftime("%Y-%m-%dT%H:%M:%SZ") for tick in ticks]
    facts = {
        "title": display.zone_title,
        "values": values,
        "labelExpr": label,
        "labelOverlap": "greedy",
        "grid": True,
        **axis,
    }
    return {"scale": scale, "axis": alt.Axis(**facts)}


def _ticks(times: pl.Series, display: Display, every_hours: int) -> list[datetime]:
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return []
    hours = pl.datetime_range(first.replace(minute=0), last, "1h", eager=True)
    return [hour for hour in hours if display.local(hour).hour % every_hours == 0]


def _offset(moment: datetime, display: Display) -> timedelta:
    return display.local(moment).utcoffset() or timedelta(0)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
