"""Provenance: from one forecast back to run, model, data, ingests and source, step by step."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from app_dashboard import page
from app_dashboard.display import Display, parsed, percent

HOUR = timedelta(hours=1)


def show() -> None:
    """Show the page."""
    page.title("Provenance", "Where a number comes from, step by step back to its source.")
    with page.problems_shown():
        series = page.chosen_series()
        runs = page.json("/runs", limit=500, feature_view_version=page.view())["items"]
        if series is None or not runs:
            return
        display = page.display()
        run, hour = _chosen(runs, display)
        found = page.json(
            f"/forecasts/{series[0]}/{series[1]}/provenance",
            datetime_utc=hour,
            reference_datetime=run["reference_datetime"],
            feature_view_version=run["feature_view_version"],
        )
        _walk(found, display)


def _chosen(runs: Sequence[Mapping[str, Any]], display: Display) -> tuple[Mapping[str, Any], str]:
    by_reference = {each["reference_datetime"]: each for each in runs}
    left, right = st.columns(2)

    def named(text: str) -> str:
        return display.when(parsed(text))

    with left:
        made = page.linked_choice("Made as of", list(by_reference), key="reference_datetime", named=named)
    run = by_reference[made]
    first = parsed(run["window_end"])
    hours = [f"{first + at * HOUR:%Y-%m-%dT%H:%M:%SZ}" for at in range(run["fh"])]
    with right:
        hour = page.linked_choice("For the hour", hours, key="hour", named=named)
    return run, hour


def _walk(found: Mapping[str, Any], display: Display) -> None:
    for number, (name, steps) in enumerate(STEPS.items(), start=1):
        with st.container(border=True, gap="xsmall"):
            headline, facts = steps(found, display)
            st.markdown(f"**{number} · {name}** — {headline}")
            st.caption(" · ".join(fact for fact in facts if fact))
            with st.expander("All that is recorded"):
                st.json(found[KEYS[name]], expanded=1)


def _forecast(found: Mapping[str, Any], display: Display) -> tuple[str, list[str]]:
    forecast = found["forecast"]
    low, high = (display.energy(forecast[name], with_unit=name == "q90") for name in ("q10", "q90"))
    return f"{display.energy(forecast['energy_consumption'])}, 80 % interval {low} to {high}", [
        f"{forecast['area']} {forecast['consumer_type']}",
        f"{display.when(parsed(forecast['datetime_utc']))} ({display.zone_title})",
        f"quality: {forecast['quality']}",
    ]


def _run(found: Mapping[str, Any], display: Display) -> tuple[str, list[str]]:
    run = found["run"]
    same = "as recorded" if run.get("forecasts_are_as_recorded") else "NOT as recorded"
    return f"made as of {display.when(parsed(run['reference_datetime']))}", [
        f"{run['forecasts']:,} forecasts, {same}",
        f"history of {run['history_rows']:,} values, {run['history_series']} series",
        f"DAG run {run['dag_run_id']}" if run.get("dag_run_id") else "run by hand",
    ]


def _model(found: Mapping[str, Any], _display: Display) -> tuple[str, list[str]]:
    model = found["model"]
    metrics = model["metrics"]
    return f"version {model['version']}", [
        f"backtest error {percent(metrics.get('wape'), 2)}, naive {percent(metrics.get('naive_wape'), 2)}",
        f"{len(model['files'])} files, each with its SHA-256",
    ]


def _configuration(found: Mapping[str, Any], _display: Display) -> tuple[str, list[str]]:
    configuration = found["configuration"]
    return str(configuration["source"]), [f"{len(configuration['values'])} values"]


def _training_dataset(found: Mapping[str, Any], display: Display) -> tuple[str, list[str]]:
    dataset = found["training_dataset"]
    start, end = (display.when(parsed(dataset[name])) for name in ("window_start", "window_end"))
    return f"version {dataset['version']}: {dataset['rows']:,} values of {dataset['series']} series", [
        f"{start} to {end}",
        f"content {dataset['content_hash'][:12]}…",
    ]


def _observations(found: Mapping[str, Any], display: Display) -> tuple[str, list[str]]:
    observed = found["observations"]
    newest = observed["latest"][0] if observed["latest"] else None
    told = f"the newest {display.energy(newest['energy_consumption'])}" if newest else ""
    return f"{observed['count']:,} values of the series", [
        told,
        f"last hour {display.when(parsed(observed['last_hour']))}" if observed.get("last_hour") else "",
        f"content {observed['sha256'][:12]}…",
    ]


def _ingests(found: Mapping[str, Any], display: Display) -> tuple[str, list[str]]:
    ingests = found["ingests"]
    newest = ingests["of_run"] or {}
    return f"{ingests['count']} ingests brought these values", [
        f"the run's own, as of {display.when(parsed(newest['known_at']))}: {newest['new']:,} new, "
        f"{newest['revised']:,} revised"
        if newest
        else "",
        f"{len(newest.get('warnings') or [])} warnings of its {_validation(newest)}" if newest else "",
    ]


def _validation(ingest: Mapping[str, Any]) -> str:
    address = ingest["validation_page"]
    return f"[validation]({page.settings().api_public_url}{address})" if address else "validation"


def _source(found: Mapping[str, Any], _display: Display) -> tuple[str, list[str]]:
    sources = found["ingests"]["sources"]
    return ", ".join(each["url"] for each in sources), [f"{each['values']:,} values" for each in sources]


STEPS = {
    "Forecast": _forecast,
    "Run": _run,
    "Model": _model,
    "Configuration": _configuration,
    "Training dataset": _training_dataset,
    "Observations": _observations,
    "Ingests": _ingests,
    "Source": _source,
}
KEYS = {
    "Forecast": "forecast",
    "Run": "run",
    "Model": "model",
    "Configuration": "configuration",
    "Training dataset": "training_dataset",
    "Observations": "observations",
    "Ingests": "ingests",
    "Source": "feature_view",
}
