"""Models: which one forecasts, what it measured of itself, what changed since, and what drives a forecast."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import streamlit as st

from app_dashboard import page
from app_dashboard.charts.explanation import contributions
from app_dashboard.display import NOTHING, Display, parsed, percent
from app_dashboard.frames import table

USUAL = "usual course"


def show() -> None:
    """Show the page."""
    page.title("Models", "The model that makes the newest forecasts, its backtest, and how versions differ.")
    with page.problems_shown():
        models = page.json("/models", limit=200)["items"]
        if not models:
            st.info(
                "No model has been trained yet: `make run` trains the first.",
                icon=":material/hourglass_empty:",
            )
            return
        display = page.display()
        _forecasting(models, display)
        page.tabs(
            {
                "Versions": lambda: _versions(models, display),
                "Champion": lambda: _decisions(display),
                "Compare versions": lambda: _changed(models, display),
                "What drives a forecast": lambda: _explained(display),
            },
            key="models_tab",
        )


def _forecasting(models: Sequence[Mapping[str, Any]], display: Display) -> None:
    """Show the model of the newest run; before there are runs, the newest model.

    The highest version may be a backfill's: it was trained last, for an hour long past.
    """
    runs = page.json("/runs", limit=1, feature_view_version=page.view())["items"]
    number = runs[0]["model_version"] if runs else models[0]["version"]
    known = [each for each in models if each["version"] == number]
    _figures(known[0] if known else page.json(f"/models/{number}"), display)


def _figures(model: Mapping[str, Any], display: Display) -> None:
    metrics = model["metrics"]
    made = model["reference_datetime"]
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Model in use", f"version {model['version']}")
        st.metric("Data known as of", f"{display.local(parsed(made)):%d %b %H:%M}" if made else NOTHING)
        st.metric("Configuration", model["configuration_source"] or NOTHING)
        st.metric("Backtest error (WAPE)", percent(metrics.get("wape"), 2))
        st.metric("Seasonal naive", percent(metrics.get("naive_wape"), 2))
        st.metric("In the 80 % interval", percent(metrics.get("coverage_80")))


def _versions(models: Sequence[Mapping[str, Any]], display: Display) -> None:
    rows = [
        {
            "Version": each["version"],
            "Champion": "★" if each.get("champion") else "",
            f"As of ({display.zone_title})": display.when(parsed(each["reference_datetime"]))
            if each["reference_datetime"]
            else NOTHING,
            "Configuration": each["configuration_source"],
            "Training dataset": each["training_dataset_version"],
            **{name: _percentage(each["metrics"].get(key)) for name, key in _SHARES.items()},
            _RATIO: each["metrics"].get("rmae24"),
        }
        for each in models
    ]
    forms = {**dict.fromkeys(_SHARES, page.share_column()), _RATIO: st.column_config.NumberColumn(format="%.3f")}
    st.dataframe(rows, hide_index=True, column_config=forms, height=380)


_SHARES = {"WAPE": "wape", "Naive WAPE": "naive_wape", "In 80 %": "coverage_80", "In 90 %": "coverage_90"}
_RATIO = "Relative MAE (24 h)"


def _percentage(share: float | None) -> float | None:
    return None if share is None else share * 100


def _decisions(display: Display) -> None:
    """Show who was promoted, kept or rolled back, and why."""
    st.caption(
        "The champion is a configuration; every run trains a new model with it. A configuration that a search found "
        "replaces it only if it forecasts no worse in a test on hours that the search did not use."
    )
    with page.problems_shown():
        items = page.json("/promotions", limit=200, feature_view_version=page.view())["items"]
        if not items:
            st.info("No challenger yet: the champion is the default configuration.", icon=":material/verified:")
            return
        rows = [
            {
                f"As of ({display.zone_title})": display.when(parsed(each["at"])),
                "Decision": _ACTIONS.get(each["action"], each["action"]),
                "Champion since then": each["source"],
                "Why": each["reason"],
                "By": each["by"],
                "Model": each["model_version"],
            }
            for each in items
        ]
        st.dataframe(rows, hide_index=True, column_config={"Why": st.column_config.TextColumn(width="large")})


_ACTIONS = {"promote": "promoted", "keep": "champion kept", "rollback": "rolled back"}


def _changed(models: Sequence[Mapping[str, Any]], display: Display) -> None:
    versions = [each["version"] for each in models]
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox("Version", versions, key="version")
    with right:
        other = st.selectbox("Compared with", versions, index=min(1, len(versions) - 1), key="compared")
    cards = [page.json(f"/models/{version}") for version in (chosen, other)]
    facts = [_facts(card, display) for card in cards]
    names = [name for name in dict.fromkeys([*facts[0], *facts[1]]) if facts[0].get(name) != facts[1].get(name)]
    if not names:
        st.success("The two versions do not differ.", icon=":material/check_circle:")
    else:
        rows = [
            {"What": name, f"version {chosen}": facts[0].get(name), f"version {other} ": facts[1].get(name)}
            for name in names
        ]
        st.dataframe(rows, hide_index=True, height="content")
    with st.expander(f"All that is recorded of version {chosen}"):
        st.json(cards[0], expanded=1)


def _facts(card: Mapping[str, Any], display: Display) -> dict[str, str]:
    """Return what may change from one model to the next, as text."""
    made = card["reference_datetime"]
    code = card["made_by"].get("code", {}).get("packages", {})
    return {
        "data known as of": display.when(parsed(made)) if made else NOTHING,
        "training dataset": str(card["training_dataset_version"]),
        "feature view": str(card["feature_view_version"]),
        "configuration from": str(card["configuration_source"]),
        **{f"configuration: {name}": str(value) for name, value in (card["configuration"] or {}).items()},
        **{f"backtest: {name}": percent(card["metrics"].get(key), 2) for name, key in _SHARES.items()},
        **{f"code: {name}": f"{each.get('version')} ({each.get('sha256', '')[:8]})" for name, each in code.items()},
    }


def _explained(display: Display) -> None:
    series = page.chosen_series()
    if series is None:
        return
    found = page.json(f"/forecasts/{series[0]}/{series[1]}/explanation", feature_view_version=page.view())
    st.caption(
        f"The forecast of {series[0]} {series[1]} made as of {display.when(parsed(found['reference_datetime']))}."
    )
    members, features = (_parts(found["hours"], kind) for kind in ("members", "features"))
    if members.is_empty() and features.is_empty():
        st.info("This run kept no explanation of its forecasts.", icon=":material/hourglass_empty:")
        return
    # The usual course is so much larger than the effects of inputs that these could not be seen beside it.
    around = features.filter(pl.col("name") != USUAL) if features.height else features
    for parts, heading in ((members, "By member of the blend"), (around, "By input, beside the usual course")):
        if parts.height:
            st.subheader(heading, anchor=False)
            page.chart(contributions(parts, display), alternative=f"{heading}, hour by hour")


def _parts(hours: Sequence[Mapping[str, Any]], kind: str) -> pl.DataFrame:
    rows = [{"datetime_utc": hour["datetime_utc"], **part} for hour in hours for part in hour[kind]]
    return table(rows, "datetime_utc")
