"""Small multiples of all series: a card each, with what came and what is forecast, as SVG that flows with the page."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote, urlencode

import polars as pl

from app_dashboard.display import Display, percent

WIDTH, HEIGHT = 150, 46


def cards(rows: pl.DataFrame, hours: pl.DataFrame, display: Display) -> str:
    """Return HTML with a card for each series, in the order of ``rows``.

    Args:
        rows: ``area``, ``consumer_type``, ``name``, ``mean_forecast``, ``wape``, ``relative_mae``.
        hours: ``area``, ``consumer_type``, ``datetime_utc``, ``observed``, ``energy_consumption``, ``q10``, ``q90``.
        display: How values are shown.
    """
    parts = hours.sort("datetime_utc").partition_by("area", "consumer_type", as_dict=True)
    drawn = [_card(row, parts.get((row["area"], row["consumer_type"])), display) for row in rows.iter_rows(named=True)]
    return f"{_style(display)}<div class='series-map'>{''.join(drawn)}</div>"


def _card(row: dict[str, object], hours: pl.DataFrame | None, display: Display) -> str:
    area, kind, name = str(row["area"]), str(row["consumer_type"]), str(row["name"])
    relative = row["relative_mae"]
    bad = isinstance(relative, float) and relative >= 1
    error = percent(row["wape"]) if isinstance(row["wape"], float) else "no error yet"
    mark = "▲ " if bad else ""
    link = "./?" + urlencode({"area": area, "consumer_type": kind})
    size = display.energy(row["mean_forecast"])  # type: ignore[arg-type]
    return (
        f"<a class='series-card{' worse' if bad else ''}' href='{escape(link)}' target='_self' title='{escape(name)}'>"
        f"<span class='head'><b>{escape(area)} {escape(kind)}</b><span class='error'>{mark}{error}</span></span>"
        f"{_line(hours, display)}<span class='foot'>{escape(name.partition(' · ')[2] or size)}</span></a>"
    )


def _line(hours: pl.DataFrame | None, display: Display) -> str:
    if hours is None or hours.is_empty():
        return "<span class='none'></span>"
    palette = display.palette
    values = [hours[name].drop_nulls() for name in ("observed", "q10", "q90")]
    low = min(float(each.min()) for each in values if len(each))  # type: ignore[arg-type]
    high = max(float(each.max()) for each in values if len(each))  # type: ignore[arg-type]
    height, last = high - low or 1.0, max(hours.height - 1, 1)

    def points(name: str) -> list[str]:
        return [
            f"{at / last * WIDTH:.1f},{2 + (high - value) / height * (HEIGHT - 4):.1f}"
            for at, value in enumerate(hours[name])
            if value is not None
        ]

    band = " ".join([*points("q10"), *reversed(points("q90"))])
    drawing = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' preserveAspectRatio='none'>"
        f"<polygon points='{band}' fill='{palette.blue_80}'/>"
        f"{_polyline(points('observed'), palette.ink)}{_polyline(points('energy_consumption'), palette.blue)}</svg>"
    )
    # Streamlit takes SVG elements out of HTML, and leaves images.
    return f"<img alt='' src='data:image/svg+xml,{quote(drawing)}'>"


def _polyline(points: Sequence[str], colour: str) -> str:
    joined = " ".join(points)
    style = f"fill='none' stroke='{colour}' stroke-width='1.6' vector-effect='non-scaling-stroke'"
    return f"<polyline points='{joined}' {style}/>"


def _style(display: Display) -> str:
    palette = display.palette
    return f"""<style>
.series-map {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(138px, 1fr)); gap: 8px; }}
.series-card {{ display: flex; flex-direction: column; gap: 2px; padding: 6px 8px; border: 1px solid {palette.grid};
  border-radius: 6px; text-decoration: none !important; color: {palette.ink} !important; font-size: 12px; }}
.series-card:hover, .series-card:focus {{ border-color: {palette.blue}; }}
.series-card.worse {{ border-left: 3px solid {palette.red}; }}
.series-card .head {{ display: flex; justify-content: space-between; }}
.series-card .error {{ color: {palette.quiet}; }}
.series-card.worse .error {{ color: {palette.red}; }}
.series-card .foot {{ color: {palette.quiet}; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.series-card img, .series-card .none {{ width: 100%; height: {HEIGHT}px; }}
</style>"""
