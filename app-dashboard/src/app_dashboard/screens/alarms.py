"""Open alarms, and past ones."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from app_dashboard import frames, page
from app_dashboard.display import Display, parsed

TIMES = ("opened_at", "tune_at", "last_at", "cleared_at", "notified_at")


def show() -> None:
    """Show the page."""
    page.title("Alarms", "An alarm opens when a check fails, is sent once, and closes when the check passes again.")
    with page.problems_shown():
        items = page.json("/alarms", limit=1000, feature_view_version=page.view())["items"]
        display = page.display()
        opened = [each for each in items if each["cleared_at"] is None]
        past = [each for each in items if each["cleared_at"] is not None]
        st.subheader(f"Open ({len(opened)})", anchor=False)
        if not opened:
            st.success("No alarm is open.", icon=":material/check_circle:")
        for alarm in opened:
            _open(alarm, display)
        st.subheader(f"Past ({len(past)})", anchor=False)
        if past:
            _past(past, display)
        else:
            st.caption("No alarm has closed yet.")


def _open(alarm: Mapping[str, Any], display: Display) -> None:
    tune = alarm["level"] == "tune"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("asks for tuning" if tune else "notifies", color="orange" if tune else "blue")
            st.markdown(f"**{alarm['kind'].replace('_', ' ')}** · {alarm['subject']}")
        st.markdown(alarm["message"])
        since, last = (display.when(parsed(alarm[name])) for name in ("opened_at", "last_at"))
        st.caption(
            f"Open since {since}, last confirmed {last} "
            f"({display.zone_title}). Threshold {alarm['threshold']:g}, value {_value(alarm['value'])}."
        )


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _past(alarms: list[dict[str, Any]], display: Display) -> None:
    rows = frames.table(alarms, *TIMES)
    rows = display.with_when(display.with_when(rows, "opened_at", name="from"), "cleared_at", name="until")
    st.dataframe(
        rows.select(
            pl.col("kind").str.replace_all("_", " ").alias("Alarm"),
            pl.col("subject").alias("About"),
            pl.col("from").alias(f"Opened ({display.zone_title})"),
            pl.col("until").alias("Closed"),
            pl.col("level").alias("Level"),
            pl.col("message").alias("Last message"),
        ),
        hide_index=True,
        column_config={"Last message": st.column_config.TextColumn(width="large")},
    )
