"""A day of invented consumption in the API's columns, written in the format that a test needs."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from feature_pipeline.de35 import SERIES_DE35
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

REFERENCE = datetime(2023, 2, 4, 16, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root_dir=tmp_path / "root", source_seconds_between_requests=0)


@pytest.fixture
def window() -> Window:
    """The window of a run at 2023-02-04 16:00 with a delay of 15 days and an export of one."""
    return Window.before(REFERENCE, days_delay=15, days_export=1)


@pytest.fixture
def rows(window: Window) -> pl.DataFrame:
    """Rows as the API gives them: text times, newest first, every series in every hour of the window."""
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True).dt.replace_time_zone(None)
    series = pl.DataFrame(SERIES_DE35, schema=["PriceArea", "ConsumerType_DE35"], orient="row")
    frame = pl.DataFrame({"hour": hours}).join(series, how="cross").sort("hour", descending=True, maintain_order=True)
    return frame.select(
        pl.col("hour").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"),
        (pl.col("hour") + pl.duration(hours=1)).dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourDK"),
        "PriceArea",
        "ConsumerType_DE35",
        (pl.int_range(pl.len(), dtype=pl.Int64) * 7 + 500).alias("TotalCon"),
    )


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[pl.DataFrame], str]:
    """Write rows to a parquet file and return its path."""

    def write(frame: pl.DataFrame) -> str:
        path = tmp_path / "archive.parquet"
        frame.write_parquet(path)
        return str(path)

    return write
