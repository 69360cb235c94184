"""One series: last week's observations, the forecast with its intervals, and yesterday's forecast beside what came."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from app_dashboard import frames, page
from app_dashboard.charts.series import forecast_chart, kept_chart
from app_dashboard.display import Display, parsed, percent

WEEK: Final = 168
DAY: Final = 24


def show() -> None:
    """Show the page."""
    page.title("Forecasts", "The last week, the next 24 hours, and how yesterday's forecast turned out.")
    with page.problems_shown():
        series = page.chosen_series()
        if series is None:
            return
        area, kind = series
        forecast = page.json(
            f"/forecasts/{area}/{kind}", history_hours=WEEK, previous_hours=DAY, feature_view_version=page.view()
        )
        _show(forecast, page.display())


def _show(forecast: Mapping[str, Any], display: Display) -> None:
    compared = frames.side_by_side(forecast)
    hours, met = frames.hours(forecast), frames.kept(compared)
    _figures(forecast, hours, met, display)
    name = f"{forecast['area']} {forecast['consumer_type']}"
    page.chart(
        forecast_chart(compared, display),
        alternative=f"Observed consumption of the last week and forecast of the next 24 hours of {name}",
    )
    table, yesterday = st.tabs(["Next 24 hours", "Yesterday's forecast"])
    with table:
        _table(hours, display)
        _links(forecast, compared)
    with yesterday:
        _yesterday(forecast, met, display)


def _figures(forecast: Mapping[str, Any], hours: pl.DataFrame, met: pl.DataFrame, display: Display) -> None:
    peak = hours.row(int(hours["energy_consumption"].arg_max() or 0), named=True)
    with st.container(horizontal=True, gap="medium", key="figures"):
        st.metric("Next 24 hours", display.energy(float(hours["energy_consumption"].sum())))
        st.metric(f"Peak, {display.local(peak['datetime_utc']):%a %H:%M}", display.energy(peak["energy_consumption"]))
        st.metric(
            "Error of yesterday's forecast",
            percent(frames.wape(met)),
            help="WAPE: sum of errors over sum of consumption",
        )
        st.metric("Made as of", f"{display.local(parsed(forecast['reference_datetime'])):%d %b %H:%M}")
    for note in notes(forecast, hours):
        st.warning(note, icon=":material/warning:")


def notes(forecast: Mapping[str, Any], hours: pl.DataFrame) -> list[str]:
    """Return what a reader must know of a forecast that is not an ordinary one: how it was made, and from what."""
    told = []
    unusual = sorted(set(hours["quality"]) - {"model"})
    if fallback := [each for each in unusual if each.startswith("fallback")]:
        told.append(f"Some hours are not forecast by the model: {', '.join(fallback)}.")
    if others := [each for each in unusual if not each.startswith("fallback")]:
        told.append(f"Some observations were not used: {', '.join(others)}.")
    if count := forecast.get("not_taken"):
        told.append(
            f"{count:,} corrected values came after this run's data were stored and are not in this forecast: "
            "the next run takes them."
        )
    return told


def _table(hours: pl.DataFrame, display: Display) -> None:
    values = display.rounded(hours, *frames.HOUR_COLUMNS)
    rows = display.with_when(values).select(
        pl.col("when").alias(f"Hour ({display.zone_title})"),
        pl.col("energy_consumption").alias(f"Forecast, {display.unit}"),
        pl.col("q10").alias("80 % from"),
        pl.col("q90").alias("to"),
        pl.col("q05").alias("90 % from"),
        pl.col("q95").alias("to "),
        pl.col("quality").alias("Quality"),
    )
    numbers = {name: page.number_column(display) for name in rows.columns[1:6]}
    st.dataframe(rows, hide_index=True, column_config=numbers, height=420)


def _links(forecast: Mapping[str, Any], compared: pl.DataFrame) -> None:
    area, kind = forecast["area"], forecast["consumer_type"]
    columns = {"forecast": "forecast_kwh", "observed": "observed_kwh", "previous": "forecast_made_24_hours_before_kwh"}
    wide = compared.rename(columns).drop("previous_q10", "previous_q90")
    text = wide.with_columns(pl.col("datetime_utc").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv()
    made = parsed(forecast["reference_datetime"])
    with st.container(horizontal=True):
        st.download_button(
            "Download as CSV",
            text,
            file_name=f"forecast-{area}-{kind}-{made:%Y-%m-%dT%H}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="All of the chart, in kWh and UTC",
        )
        st.link_button(
            "From the API",
            f"{page.settings().api_public_url}/api/v1/forecasts/{area}/{kind}",
            icon=":material/data_object:",
            help="JSON; with the header Accept also CSV, Arrow and parquet",
        )


def _yesterday(forecast: Mapping[str, Any], met: pl.DataFrame, display: Display) -> None:
    if met.is_empty():
        before = forecast.get("previous")
        st.info(
            "The hours of the forecast made 24 hours earlier have not been observed yet."
            if before
            else "No forecast was made 24 hours before this one, so there is nothing to compare.",
            icon=":material/hourglass_empty:",
        )
        return
    page.chart(kept_chart(met, display), alternative="Yesterday's forecast beside the observations")
    inside = met.filter(pl.col("observed").is_between("previous_q10", "previous_q90")).height
    st.caption(f"{inside} of {met.height} hours were inside the 80 % interval.")
    rows = display.with_when(display.rounded(met, "observed", "previous", "error")).select(
        pl.col("when").alias(f"Hour ({display.zone_title})"),
        pl.col("previous").alias(f"Forecast, {display.unit}"),
        pl.col("observed").alias("Observed"),
        pl.col("error").alias("Error"),
    )
    numbers = {name: page.number_column(display) for name in rows.columns[1:]}
    st.dataframe(rows, hide_index=True, column_config=numbers, height=320)
