"""Parts of all pages: access to the API, the user's choices, and messages where something is missing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypedDict

import polars as pl
import streamlit as st

from app_dashboard.charts.axes import Drawing
from app_dashboard.client import ApiProblem, Client, Parameter
from app_dashboard.display import DECIMALS, PER_KWH, ZONES, Display
from app_dashboard.settings import Settings

UNAUTHORISED: Final = (401, 403)
NOT_FOUND: Final = 404
DATASETS_FRESH_SECONDS: Final = 30.0
"""Every interaction with a page needs the list of datasets, which seldom changes."""
SERVER_FAULTS: Final = 500


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Return the settings of this server."""
    return Settings.of(os.environ)


@st.cache_resource(show_spinner=False)
def _client() -> Client:
    found = settings()
    try:
        return Client(found.api_url, key=found.api_key())
    except OSError as error:
        raise ApiProblem(
            f"The API key cannot be read: {error}. It is one line of text, for the user who runs the dashboard to read."
        ) from None


def json(path: str, **parameters: Parameter) -> dict[str, Any]:
    """Return an answer of the API about the chosen dataset."""
    return _client().json(path, **parameters)


def frame(path: str, **parameters: Parameter) -> pl.DataFrame:
    """Return a table of the API about the chosen dataset."""
    return _client().frame(path, **parameters)


def view() -> int | None:
    """Return the feature view that the user chose, or None: that of the newest run."""
    chosen = st.session_state.get("view")
    return int(chosen) if chosen is not None else None


def display() -> Display:
    """Return how the user wants values shown."""
    zone = ZONES[st.session_state.get("time") or "Danish time"]
    return Display(zone=zone, unit=st.session_state.get("unit") or "kWh", dark=st.context.theme.type == "dark")


def choices() -> None:
    """Show the choices that hold for all pages; of datasets, only if there are several."""
    with st.sidebar:
        _dataset()
        st.segmented_control("Time", list(ZONES), default="Danish time", key="time", bind="query-params", required=True)
        st.segmented_control("Unit", list(PER_KWH), default="kWh", key="unit", bind="query-params", required=True)


def _dataset() -> None:
    try:
        views = _views()
    except ApiProblem:
        # The page itself says so.
        return
    names = {str(each["version"]): f"{each['dataset']}, feature view {each['version']}" for each in views}
    if len(names) > 1:
        linked_choice("Dataset", list(names), key="view", named=lambda version: names.get(version, version))


@st.cache_data(ttl=DATASETS_FRESH_SECONDS, show_spinner=False)
def _views() -> list[dict[str, Any]]:
    """Return the feature views that have runs, that of the newest run first."""
    views = json("/feature-views", limit=1000)["items"]
    newest = max((each["latest_reference_datetime"] or "" for each in views), default="")
    return sorted(views, key=lambda each: each["latest_reference_datetime"] != newest)


class Dataset(TypedDict, total=False):
    """What names a dataset in the API's parameters; empty before there are forecasts."""

    dataset: str
    feature_group_version: int


def dataset() -> Dataset:
    """Return the chosen dataset."""
    chosen = [each for each in _views() if view() in (None, each["version"])]
    if not chosen:
        return {}
    return {"dataset": chosen[0]["dataset"], "feature_group_version": chosen[0]["feature_group_version"]}


def title(text: str, about: str) -> None:
    """Begin a page."""
    st.title(text, anchor=False)
    st.caption(about)


def chart(drawn: Drawing, *, alternative: str, key: str | None = None) -> None:
    """Show a chart in the width of the page; ``alternative`` says it to those who cannot see it."""
    st.altair_chart(drawn, width="stretch", alt=alternative, key=key)


def tabs(drawn: Mapping[str, Callable[[], None]], *, key: str) -> None:
    """Show tabs by title. Only the open one is drawn, so the others ask the API for nothing."""
    for tab, draw in zip(st.tabs(list(drawn), key=key, on_change="rerun"), drawn.values(), strict=True):
        if tab.open:
            with tab:
                draw()


@contextmanager
def problems_shown() -> Iterator[None]:
    """Show, in place of the rest, what the API could not give, and what to do."""
    try:
        yield
    except ApiProblem as problem:
        _show(problem)


def _show(problem: ApiProblem) -> None:
    if problem.status is None:
        st.error(f"**{problem.message}**", icon=":material/cloud_off:")
        st.markdown(
            "Start it with `make run` or `make up`. If it is elsewhere, set `ML_PIPELINE_API_URL` to its address and "
            "start the dashboard again."
        )
    elif problem.status in UNAUTHORISED:
        st.error(f"**The API requires a key.** {problem.message}", icon=":material/key:")
        st.markdown(
            "Put the key into the file `secrets/dashboard-api-key` of the root folder (`.energy`, unless "
            "`ML_PIPELINE_ROOT_DIR` names another folder), and start the dashboard again."
        )
    elif problem.status == NOT_FOUND:
        st.info(problem.message, icon=":material/hourglass_empty:")
        st.markdown(
            "If there has been no run yet, start one with `make run`: the first forecasts appear about a minute later."
        )
    elif problem.status >= SERVER_FAULTS:
        st.error(f"**The API failed.** {problem.message}", icon=":material/error:")
        st.markdown("Try again in a few seconds. If it fails again, the API's log says why (`.energy/logs/api.log`).")
    else:
        st.warning(problem.message, icon=":material/warning:")
    st.button("Try again", icon=":material/refresh:")


def chosen_series() -> tuple[str, str] | None:
    """Let the user choose a series by area and consumer type; return it, or None if there is none.

    The choice is in the address of the page, so that it can be linked to, and stays on other pages.
    """
    items = json("/series", limit=1000, feature_view_version=view())["items"]
    names = {(each["area"], each["consumer_type"]): series_name(each) for each in items}
    areas = sorted({area for area, _ in names})
    if not areas:
        st.info(
            "The newest run has no series: the page Data shows what was ingested.", icon=":material/hourglass_empty:"
        )
        return None
    left, right = st.columns([1, 3])
    with left:
        area = linked_choice("Area", areas, key="area")
    kinds = [kind for each, kind in names if each == area]
    with right:
        kind = linked_choice("Consumer type", kinds, key="consumer_type", named=_named(area, names))
    return area, kind


def linked_choice(label: str, options: Sequence[str], *, key: str, named: Callable[[str], str] = str) -> str:
    """Let the user choose one of at least one option, by a part of its name; the address of the page has it by its key.

    Streamlit's own binding would put the name there, and lose the choice when a name changes.
    """
    asked = st.query_params.get(key)
    if key not in st.session_state and asked in options:
        st.session_state[key] = asked
    chosen = st.selectbox(label, options, format_func=named, key=key, filter_mode="contains", persist_state="session")
    found = chosen if chosen in options else options[0]
    st.query_params[key] = found
    return found


def _named(area: str, names: Mapping[tuple[str, str], str]) -> Callable[[str], str]:
    return lambda kind: names.get((area, kind), kind)


def series_name(item: Mapping[str, Any]) -> str:
    """Return code and, where it is known, name of a series' consumer type."""
    name = item.get("name_en") or item.get("name_da")
    return f"{item['consumer_type']} · {name}" if name else str(item["consumer_type"])


def number_column(shown: Display) -> Any:
    """Return how a table's column of energies is written."""
    decimals = DECIMALS[shown.unit]
    return st.column_config.NumberColumn(format=f"%.{decimals}f" if decimals else "localized")


def share_column() -> Any:
    """Return how a table's column of shares, in percent, is written."""
    return st.column_config.NumberColumn(format="%.1f %%")
