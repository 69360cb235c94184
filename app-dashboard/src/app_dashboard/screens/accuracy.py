"""Accuracy of archived forecasts: over time, by lead hour and by series, beside the naive forecast; intervals."""

from typing import Final

import polars as pl
import streamlit as st

from app_dashboard import page
from app_dashboard.charts import accuracy
from app_dashboard.client import Parameter
from app_dashboard.display import NOTHING, Display, percent

WINDOWS: Final = {"1 day": 1, "7 days": 7, "30 days": 30}
OVER_TIME: Final = ["wape", "naive_wape", "backtest_wape", "coverage_80", "coverage_90"]
BEGINNING: Final = "2000-01-01T00:00:00Z"


def show() -> None:
    """Show the page."""
    page.title(
        "Accuracy", "Archived forecasts compared with the observations since, and with the value 24 hours earlier."
    )
    chosen = st.segmented_control(
        "Over the last", list(WINDOWS), default="7 days", key="over", bind="query-params", required=True
    )
    days = WINDOWS[chosen or "7 days"]
    with page.problems_shown():
        newest = _metrics(level=["overall", "series", "lead"], days=[days])
        if newest.is_empty():
            st.info(
                "No forecast can be scored yet. A run scores the forecasts whose hours have been observed since, "
                "which takes a day at the least.",
                icon=":material/hourglass_empty:",
            )
            return
        past = _metrics(level=["overall"], days=[days], metric=OVER_TIME, reference_from=BEGINNING)
        _show(newest, past, page.display())


def _metrics(**asked: Parameter) -> pl.DataFrame:
    found = page.frame("/monitoring", limit=10_000, feature_view_version=page.view(), **asked)
    return found.with_columns(pl.col("area", "consumer_type", "metric", "level").cast(pl.String))


def _show(newest: pl.DataFrame, past: pl.DataFrame, display: Display) -> None:
    overall = newest.filter(pl.col("level") == "overall")
    _figures(dict(zip(overall["metric"], overall["value"], strict=True)), overall)
    st.subheader("Over time", anchor=False)
    page.chart(
        accuracy.over_time(past, display), alternative="Error of the forecasts and of the naive forecast over time"
    )
    left, right = st.columns(2)
    with left:
        st.subheader("By lead hour", anchor=False)
        leads = newest.filter(pl.col("level") == "lead")
        page.chart(accuracy.by_lead(leads, display), alternative="Error by hours ahead")
    with right:
        st.subheader("Interval coverage", anchor=False)
        page.chart(accuracy.calibration(past, display, height=260), alternative="Share of values inside the intervals")
    st.subheader("By series", anchor=False)
    series = _by_series(newest)
    chart, table = st.tabs(["Chart", "Table"])
    with chart:
        page.chart(
            accuracy.by_series(series, display), alternative="MAE of each series divided by that of the naive forecast"
        )
    with table:
        _table(series)


def _figures(values: dict[str, float | None], overall: pl.DataFrame) -> None:
    ratio = values.get("relative_mae")
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Error (WAPE)", percent(values.get("wape"), 2), help="Sum of errors over sum of consumption")
        st.metric("Seasonal naive", percent(values.get("naive_wape"), 2), help="WAPE of the value 24 hours earlier")
        st.metric(
            "Relative MAE",
            NOTHING if ratio is None else f"{ratio:.2f}",
            help="MAE divided by that of the seasonal naive forecast; below 1 is better",
        )
        st.metric("In the 80 % interval", percent(values.get("coverage_80")), help="Share of observations inside it")
        st.metric("In the 90 % interval", percent(values.get("coverage_90")), help="Share of observations inside it")
        st.metric("Forecast hours", f"{overall['n'].sum() // max(overall.height, 1):,}")


def _by_series(newest: pl.DataFrame) -> pl.DataFrame:
    rows = newest.filter(pl.col("level") == "series")
    wide = rows.pivot("metric", index=["area", "consumer_type"], values="value")
    counted = rows.group_by("area", "consumer_type").agg(pl.col("n").max())
    return wide.join(counted, on=["area", "consumer_type"]).with_columns(
        series=pl.concat_str("area", pl.lit(" "), "consumer_type")
    )


def _table(series: pl.DataFrame) -> None:
    shares = {
        "wape": "WAPE",
        "naive_wape": "Naive WAPE",
        "bias": "Bias",
        "coverage_80": "In 80 %",
        "coverage_90": "In 90 %",
    }
    rows = series.sort("relative_mae", descending=True, nulls_last=True).select(
        pl.col("series").alias("Series"),
        pl.col("relative_mae").alias("Relative MAE"),
        *((pl.col(name) * 100).alias(text) for name, text in shares.items()),
        pl.col("n").alias("Hours"),
    )
    forms = dict.fromkeys(shares.values(), page.share_column())
    forms["Relative MAE"] = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(rows, hide_index=True, column_config=forms, height=480)
