"""The app that Streamlit runs: the list of pages and what is around them."""

from pathlib import Path

import streamlit as st

from app_dashboard import page
from app_dashboard.screens import accuracy, alarms, data, forecasts, map_of_series, models, provenance, runs

PAGES = {
    "": [
        st.Page(forecasts.show, title="Forecasts", icon=":material/show_chart:", url_path="forecasts", default=True),
        st.Page(map_of_series.show, title="Map of series", icon=":material/grid_view:", url_path="map"),
        st.Page(accuracy.show, title="Accuracy", icon=":material/target:", url_path="accuracy"),
        st.Page(alarms.show, title="Alarms", icon=":material/notifications:", url_path="alarms"),
    ],
    "Behind the forecasts": [
        st.Page(data.show, title="Data", icon=":material/database:", url_path="data"),
        st.Page(models.show, title="Models", icon=":material/model_training:", url_path="models"),
        st.Page(runs.show, title="Runs", icon=":material/schedule:", url_path="runs"),
        st.Page(provenance.show, title="Provenance", icon=":material/account_tree:", url_path="provenance"),
    ],
}


def main() -> None:
    """Show the page that the address names."""
    # An icon of Material Symbols would be fetched from a stranger.
    icon = str(Path(__file__).with_name("favicon.svg"))
    st.set_page_config(page_title="Energy forecasts", page_icon=icon, layout="wide")
    chosen = st.navigation(PAGES, expanded=True)
    page.choices()
    chosen.run()


if __name__ == "__main__":
    main()
