"""Draw the README's picture: forecasts of the demo source beside the actual values (simulated data).

    make picture REFERENCE=2024-03-31T05:00

The reference time names forecasts in the archive.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes

from feature_pipeline import demo
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import as_utc

SHOWN = ("111", "122", "310", "320", "441", "999")
OBSERVED, FORECAST, BAND = "#333333", "#0072b2", "#56b4e9"


def draw(axes: Axes, rows: pl.DataFrame, observed: pl.DataFrame, title: str) -> None:
    """Draw one series: observations, then the forecast with its intervals and the actual values."""
    start = rows["datetime_utc"].min()
    past, future = observed.filter(pl.col("datetime_utc") <= start), observed.filter(pl.col("datetime_utc") >= start)
    scale = 1000.0
    axes.fill_between(rows["datetime_utc"], rows["q05"] / scale, rows["q95"] / scale, color=BAND, alpha=0.25, lw=0)
    axes.fill_between(
        rows["datetime_utc"],
        rows["q10"] / scale,
        rows["q90"] / scale,
        color=BAND,
        alpha=0.45,
        lw=0,
        label="80 and 90 %",
    )
    axes.plot(past["datetime_utc"], past["energy_consumption"] / scale, color=OBSERVED, lw=1.2, label="observed")
    axes.plot(
        future["datetime_utc"], future["energy_consumption"] / scale, color=OBSERVED, lw=1.2, ls=":", label="actual"
    )
    axes.plot(rows["datetime_utc"], rows["energy_consumption"] / scale, color=FORECAST, lw=2, label="forecast")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(mdates.DayLocator())  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%a %d"))  # type: ignore[no-untyped-call]
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def main(reference: datetime, path: Path) -> None:
    """Draw six series of the forecasts made at ``reference``."""
    forecasts = ForecastArchive(Settings()).read(
        feature_view_version=1, reference_from=reference, reference_until=reference + timedelta(hours=1)
    )
    start = forecasts["datetime_utc"].min()
    if not isinstance(start, datetime):
        raise SystemExit(f"no forecasts made at {reference} in {Settings().store}")
    truth = demo.observations(
        start - timedelta(days=4), start + timedelta(hours=24), known_at=start + timedelta(days=60)
    )
    figure, grid = plt.subplots(2, 3, figsize=(13, 5.6), constrained_layout=True)
    for axes, code in zip(grid.flat, SHOWN, strict=True):
        series = (pl.col("area") == "DK1") & (pl.col("consumer_type") == code)
        draw(axes, forecasts.filter(series).sort("datetime_utc"), truth.filter(series), f"DK1, consumer type {code}")
    for axes in grid[:, 0]:
        axes.set_ylabel("MWh per hour")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(as_utc(datetime.fromisoformat(sys.argv[1])), Path(sys.argv[2]))
