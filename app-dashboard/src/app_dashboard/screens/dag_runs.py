"""The newest runs of the DAG as Airflow has them, and the tasks of one of them; part of the page Runs."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from app_dashboard import frames, page
from app_dashboard.charts import tasks as charts
from app_dashboard.client import ApiProblem
from app_dashboard.display import NOTHING, Display, lasting, parsed

MARKS: Final = {"success": "✓", "failed": "✗", "running": "▶", "queued": "…"}


def show(display: Display) -> None:
    """Show the part of the page; what Airflow does not say takes one line, and leaves the rest as it is."""
    st.subheader("In Airflow", anchor=False)
    try:
        found = page.json("/airflow/runs")
    except ApiProblem as problem:
        st.info(f"{problem.message}.", icon=":material/cloud_off:")
        return
    # What has not begun comes last.
    began = sorted(found["items"], key=lambda each: each["started_at"] or "", reverse=True)
    items = {each["dag_run_id"]: each for each in began}
    st.caption(_outlook(found, display))
    if not items:
        st.info("Airflow has no run of `ml_pipeline` yet: `make run` starts one.", icon=":material/hourglass_empty:")
        return
    left, right = st.columns(2)
    with left:
        link = st.column_config.LinkColumn("Page", display_text="open", width="small")
        rows = [_row(each, display) for each in items.values()]
        st.dataframe(rows, hide_index=True, column_config={"Page": link}, height=400)
    with right:

        def named(run: str) -> str:
            return f"{_hour(items[run], display)}, {items[run]['state']}"

        _tasks(items[page.linked_choice("Run", list(items), key="dag_run", named=named)], found["as_of"], display)


def _outlook(found: Mapping[str, Any], display: Display) -> str:
    runs = f"The newest {len(found['items'])} of {found['total']:,} runs of `ml_pipeline`"
    if found["paused"]:
        return f"{runs}. The DAG is paused: no run starts by itself until it is unpaused in Airflow."
    due = found["next_run_after"]
    return f"{runs}; the next is due {display.when(parsed(due))} ({display.zone_title})." if due else f"{runs}."


def _row(run: Mapping[str, Any], display: Display) -> dict[str, Any]:
    began = run["started_at"]
    return {
        "State": f"{MARKS.get(run['state'], '')} {run['state']}".strip(),
        f"Hour ({display.zone_title})": _hour(run, display),
        "Duration": lasting(run["seconds"]),
        "Started": display.when(parsed(began)) if began else NOTHING,
        "Tries": max((task["tries"] for task in run["tasks"]), default=0),
        "Page": run["airflow_url"],
    }


def _hour(run: Mapping[str, Any], display: Display) -> str:
    return display.when(parsed(run["logical_date"] or run["run_after"]))


def _tasks(run: Mapping[str, Any], as_of: str, display: Display) -> None:
    tasks = frames.tasks(run, as_of).with_columns(
        lasted=pl.struct("state", "seconds").map_elements(_lasted, return_dtype=pl.String)
    )
    if tasks.is_empty():
        st.info("This run has no tasks yet.", icon=":material/hourglass_empty:")
        return
    page.chart(charts.gantt(tasks, display), alternative="Tasks of the run along its time, by state")
    with st.expander("As a table"):
        st.dataframe(
            tasks.select(
                pl.col("task").alias("Task"),
                pl.col("state").alias("State"),
                pl.col("begin").round(1).alias("Started after (s)"),
                pl.col("lasted").alias("Duration"),
                pl.col("tries").alias("Tries"),
            ),
            hide_index=True,
            height="content",
        )


def _lasted(task: Mapping[str, Any]) -> str:
    """Return how long a task took; of one that did nothing, its state."""
    return lasting(task["seconds"]) if task["state"] in {"success", "failed", "running"} else str(task["state"])
