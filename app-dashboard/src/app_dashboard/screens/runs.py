"""Runs: which hours have been through the pipeline, with what result, and where Airflow shows them."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import streamlit as st

from app_dashboard import frames, page
from app_dashboard.display import NOTHING, Display, parsed
from app_dashboard.screens import dag_runs

NEWEST = 500
DONE, STOPPED, UNDONE = "forecasts archived", "stopped by validation", "ingested, no forecasts yet"


class ReferenceTime(TypedDict):
    """What the API says of one reference time: its validation, its ingest and its run, as far as it came."""

    reference: str
    validation: NotRequired[Mapping[str, Any]]
    ingest: NotRequired[Mapping[str, Any]]
    run: NotRequired[Mapping[str, Any]]


def show() -> None:
    """Show the page."""
    page.title("Runs", "One run an hour: ingest, validation, training, forecast.")
    with page.problems_shown():
        chosen, display = page.dataset(), page.display()
        runs = page.json("/runs", limit=NEWEST, feature_view_version=page.view())
        ingests = page.json("/ingests", limit=NEWEST, **chosen)["items"]
        validations = page.json("/validations", limit=NEWEST, dataset=chosen.get("dataset"))["items"]
        rows = joined(runs["items"], ingests, validations)
        if rows:
            _figures(rows, runs["total"], display)
        else:
            st.info("No run yet: start the first with `make run`.", icon=":material/hourglass_empty:")
        dag_runs.show(display)
        if rows:
            st.subheader("Hour by hour", anchor=False)
            _table(rows, display)


def joined(
    runs: Sequence[Mapping[str, Any]], ingests: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]]
) -> list[ReferenceTime]:
    """Return what is recorded of each reference time, newest first: how far it came, and its numbers."""
    found: dict[str, ReferenceTime] = {}

    def of(reference: str) -> ReferenceTime:
        return found.setdefault(reference, {"reference": reference})

    for each in validations:
        if each["reference_datetime"]:
            of(each["reference_datetime"])["validation"] = each
    for each in ingests:
        of(each["known_at"])["ingest"] = each
    for each in runs:
        of(each["reference_datetime"])["run"] = each
    return [found[reference] for reference in sorted(found, reverse=True)]


def state(row: Mapping[str, Any]) -> str:
    """Return how far a run came."""
    if "run" in row:
        return DONE
    stopped = row.get("validation", {}).get("outcome") == "stopped"
    return STOPPED if stopped and "ingest" not in row else UNDONE


def _figures(rows: Sequence[Mapping[str, Any]], total: int, display: Display) -> None:
    archived = [row for row in rows if state(row) == DONE]
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Newest run", f"{display.local(parsed(rows[0]['reference'])):%d %b %H:%M}", help=state(rows[0]))
        st.metric("Runs with forecasts", f"{total:,}")
        st.metric("Stopped by validation", f"{sum(state(row) == STOPPED for row in rows):,}")
        if archived:
            st.metric("Forecasts of the newest run", f"{archived[0]['run']['forecasts']:,}")
    gaps = frames.missing_hours(frames.table(rows, "reference")["reference"].sort())
    recent = gaps[-24:]
    if recent:
        st.caption(
            f"{len(gaps):,} hours between the first and the last run have no run, the latest of them "
            f"{display.when(recent[-1])} ({display.zone_title}). A backfill of `ml_pipeline` runs them."
        )
    if page.settings().airflow_url:
        st.link_button("Open Airflow", f"{page.settings().airflow_url}/dags/ml_pipeline", icon=":material/open_in_new:")


def _table(rows: Sequence[Mapping[str, Any]], display: Display) -> None:
    base = page.settings().api_public_url
    shown = [_row(row, display, base) for row in rows]
    linked = {
        "Airflow": st.column_config.LinkColumn("Airflow", display_text="open", width="small"),
        "Validation": st.column_config.LinkColumn("Validation", display_text="open", width="small"),
    }
    if not any(row["Airflow"] for row in shown):
        for row in shown:
            row.pop("Airflow")
        linked.pop("Airflow")
    st.dataframe(shown, hide_index=True, column_config=linked, height=520)


def _row(row: Mapping[str, Any], display: Display, base: str) -> dict[str, Any]:
    run, ingest, validation = (row.get(name, {}) for name in ("run", "ingest", "validation"))
    return {
        f"As of ({display.zone_title})": display.when(parsed(row["reference"])),
        "State": state(row),
        "Validated": validation.get("outcome", NOTHING),
        "Rows": ingest.get("rows"),
        "New": ingest.get("new"),
        "Revised": ingest.get("revised"),
        "Model": run.get("model_version"),
        "Forecasts": run.get("forecasts"),
        "Validation": base + validation["page"] if validation.get("page") else None,
        "Airflow": run.get("airflow_url"),
    }
