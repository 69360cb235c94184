"""All series at a glance: as small multiples or as a heat map, sorted by error or size."""

from typing import Final

import polars as pl
import streamlit as st

from app_dashboard import page
from app_dashboard.charts.heat_map import heat_map
from app_dashboard.charts.sparklines import cards

DAYS: Final = 7
SORTS: Final = {
    "Error": ("wape", True),
    "Against naive": ("relative_mae", True),
    "Size": ("mean_forecast", True),
    "Name": ("consumer_type", False),
}
FORMS: Final = ("Small multiples", "Heat map")


def show() -> None:
    """Show the page."""
    page.title("Map of series", "Each series: the last 24 observed hours, and the forecast of the next 24.")
    with page.problems_shown():
        hours = page.frame("/forecasts", limit=1000, history_hours=24, feature_view_version=page.view())
        rows = _rows()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            form = st.segmented_control("Form", FORMS, default=FORMS[0], key="form", bind="query-params", required=True)
            by = st.segmented_control(
                "Sort by", list(SORTS), default="Error", key="sort", bind="query-params", required=True
            )
        column, descending = SORTS[by or "Error"]
        ordered = rows.sort([column, "area", "consumer_type"], descending=[descending, False, False], nulls_last=True)
        worse = ordered.filter(pl.col("relative_mae") >= 1).height
        st.caption(
            f"{ordered.height} series. The percentage is the error (WAPE) of the last {DAYS} days; ▲ marks the "
            f"{worse} series with an error not below the seasonal naive forecast's. A card opens its forecast."
            if form == FORMS[0]
            else f"{ordered.height} series; what is right of the dashed line is forecast."
        )
        if form == FORMS[0]:
            st.html(cards(ordered, hours, page.display()))
        else:
            page.chart(heat_map(ordered, hours, page.display()), alternative="Hours of every series against its mean")


def _rows() -> pl.DataFrame:
    items = page.json("/series", limit=1000, feature_view_version=page.view())["items"]
    schema = {"area": pl.String, "consumer_type": pl.String, "name": pl.String, "mean_forecast": pl.Float64}
    named = [{**each, "name": page.series_name(each)} for each in items]
    series = pl.DataFrame([{name: each[name] for name in schema} for each in named], schema=schema)
    metrics = page.frame(
        "/monitoring",
        level=["series"],
        days=[DAYS],
        metric=["wape", "relative_mae"],
        limit=10_000,
        feature_view_version=page.view(),
    )
    wide = metrics.select(
        pl.col("area", "consumer_type", "metric").cast(pl.String), pl.col("value").cast(pl.Float64)
    ).pivot("metric", index=["area", "consumer_type"], values="value")
    absent = [pl.lit(None, pl.Float64).alias(name) for name in ("wape", "relative_mae") if name not in wide.columns]
    return series.join(wide.with_columns(absent), on=["area", "consumer_type"], how="left")
