"""The data behind the forecasts: how fresh, how complete, what was revised, what was put in quarantine."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import streamlit as st

from app_dashboard import frames, page
from app_dashboard.charts import data as charts
from app_dashboard.display import NOTHING, Display, parsed, percent

HOUR = timedelta(hours=1)


def show() -> None:
    """Show the page."""
    page.title("Data", "How fresh and complete the data are, what was revised, and which rows failed validation.")
    with page.problems_shown():
        chosen = page.dataset()
        ingests = page.json("/ingests", limit=500, **chosen)["items"]
        if not ingests:
            st.info(
                "Nothing has been ingested yet: start the pipeline with `make run`.",
                icon=":material/hourglass_empty:",
            )
            return
        display = page.display()
        _freshness(ingests[0], page.json("/readiness")["freshness"], display)
        rows = _with_completeness(ingests)
        left, right = st.columns(2)
        with left:
            st.subheader("Completeness", anchor=False)
            page.chart(charts.completeness(rows, display), alternative="Share of hours that came, by run")
        with right:
            st.subheader("Revisions", anchor=False)
            page.chart(charts.changes(rows, display), alternative="Values revised or taken back, by run")
        page.tabs(
            {
                "Validation": lambda: _validations(chosen.get("dataset"), display),
                "Quarantine": lambda: _quarantine(chosen, display),
                "Revisions of a series": lambda: _revisions(display),
            },
            key="data_tab",
        )


def _with_completeness(ingests: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return ingests, oldest first, with the share of hours that came; where that is not recorded it is null."""
    rows = frames.table(ingests, "known_at", "window_start", "window_end").reverse()
    hours = (pl.col("window_end") - pl.col("window_start")) / HOUR * pl.col("series")
    return rows.with_columns(complete=1 - pl.col("missing_hours") / hours)


def _freshness(newest: Mapping[str, Any], fresh: Mapping[str, Any], display: Display) -> None:
    missing, series = newest["missing_hours"], newest["series"]
    hours = (parsed(newest["window_end"]) - parsed(newest["window_start"])) / HOUR * (series or 0)
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Newest observed hour", f"{display.local(parsed(newest['window_end']) - HOUR):%d %b %H:%M}")
        st.metric("Age of observations", _age(fresh["observations_age_hours"]))
        st.metric("Age of forecasts", _age(fresh["forecasts_age_hours"]))
        st.metric("Series", f"{series or 0:,}")
        st.metric("Complete", percent(1 - missing / hours, 2) if hours and missing is not None else NOTHING)
        st.metric("Revised by the newest run", f"{newest['revised']:,}")
    st.caption(f"Dataset {newest['dataset']}, from {newest['url']}")
    for warning in newest["warnings"]:
        st.warning(warning, icon=":material/warning:")


def _age(hours: float | None) -> str:
    if hours is None:
        return NOTHING
    return f"{hours:.1f} h" if abs(hours) < 48 else f"{hours / 24:,.0f} days"


def _validations(dataset: str | None, display: Display) -> None:
    items = page.json("/validations", limit=200, dataset=dataset)["items"]
    if not items:
        st.info("No run has been validated yet.", icon=":material/hourglass_empty:")
        return
    base = page.settings().api_public_url
    rows = [
        {
            "Run": display.when(parsed(each["reference_datetime"])) if each["reference_datetime"] else each["run"],
            "Outcome": each["outcome"],
            "Findings": ", ".join(f"{one['expectation']} {one['rows']:,}" for one in each["findings"]) or "none",
            "Rules passed": f"{(rules := each['evaluated_expectations']) - each['unmet_expectations']} of {rules}",
            "Page": base + each["page"],
        }
        for each in items
    ]
    link = st.column_config.LinkColumn("Page", display_text="open", width="small")
    st.dataframe(rows, hide_index=True, column_config={"Page": link}, height=380)


def _quarantine(chosen: Mapping[str, Any], display: Display) -> None:
    answer = page.json("/quarantine", limit=1000, pending=True, **chosen)
    items = answer["items"]
    if not items:
        st.success("No row waits in quarantine.", icon=":material/check_circle:")
        return
    rows = display.rounded(frames.table(items, "known_at", "datetime_utc"), "energy_consumption")
    rows = display.with_when(display.with_when(rows, "known_at", name="run"), "datetime_utc", name="hour")
    st.caption(
        f"The newest {len(items):,} of {answer['total']:,} findings that nobody has accepted; "
        "to accept values that are right, see `python -m feature_pipeline quarantine --help`."
    )
    st.dataframe(
        rows.select(
            pl.col("run").alias("Run"),
            pl.concat_str("area", pl.lit(" "), "consumer_type").alias("Series"),
            pl.col("hour").alias(f"Hour ({display.zone_title})"),
            pl.col("energy_consumption").alias(display.unit),
            pl.col("severity").alias("Severity"),
            pl.col("expectation").str.replace_all("_", " ").alias("Expectation"),
            pl.col("reason").alias("Reason"),
        ),
        hide_index=True,
        height=380,
    )


def _revisions(display: Display) -> None:
    st.caption("Hours of the last observed week whose value was revised: each value, and when it became known.")
    series = page.chosen_series()
    if series is None:
        return
    found = page.json(f"/observations/{series[0]}/{series[1]}/revisions", feature_view_version=page.view())["revisions"]
    rows = frames.table(found, "datetime_utc", "known_at")
    changed = rows.filter(pl.len().over("datetime_utc") > 1) if rows.height else rows
    if changed.is_empty():
        st.success("No value of the last week was revised.", icon=":material/check_circle:")
        return
    told = display.with_when(display.rounded(changed, "energy_consumption"), "datetime_utc", name="hour")
    told = display.with_when(told, "known_at", name="known")
    st.dataframe(
        told.select(
            pl.col("hour").alias(f"Hour ({display.zone_title})"),
            pl.col("energy_consumption").alias(display.unit),
            pl.col("known").alias("Known as of"),
        ),
        hide_index=True,
    )
