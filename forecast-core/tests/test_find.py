"""One archived run, one series and one hour are found by name; what is absent is an error that says what there is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

import polars as pl
import pytest

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import FORECASTS, HOUR, RUNS, UTC_HOUR, ForecastRow, Frame, RunRow
from forecast_core.contracts.settings import Settings
from forecast_core.provenance.find import find_hour, find_run, find_series

FIRST = datetime(2024, 3, 1, 5, tzinfo=UTC)


def run(hour: int, view: int = 1) -> pl.DataFrame:
    texts = {name: "x" for name, kind in RUNS.items() if kind == pl.String}
    numbers = {name: 1 for name, kind in RUNS.items() if kind == pl.Int64}
    times = {name: FIRST for name, kind in RUNS.items() if kind == UTC_HOUR}
    named = {"reference_datetime": FIRST + hour * HOUR, "feature_view_version": view}
    return pl.DataFrame([texts | numbers | times | named], schema=RUNS)


def forecast(of_run: pl.DataFrame) -> pl.DataFrame:
    values = {name: "x" if kind == pl.String else 1 for name, kind in FORECASTS.items()} | {"datetime_utc": FIRST}
    named = of_run.select("reference_datetime", "feature_view_version").row(0, named=True)
    return pl.DataFrame([values | named], schema=FORECASTS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(root_dir=tmp_path)
    archive = ForecastArchive(settings)
    for each in (run(0), run(2), run(2, view=2), run(1, view=2)):
        archive.write_run(each)
        archive.write(forecast(each))
    return settings


def test_a_run_is_found_by_its_time_and_the_newest_without_one(settings: Settings) -> None:
    assert find_run(settings, reference_datetime="2024-03-01 05:00")["feature_view_version"] == 1
    newest = find_run(settings, reference_datetime=None, feature_view_version=2)
    assert newest["reference_datetime"] == FIRST + 2 * HOUR


def test_a_time_at_which_two_views_forecast_needs_the_view(settings: Settings) -> None:
    for reference in (None, FIRST + 2 * HOUR):
        with pytest.raises(InvalidArgument, match=r"feature views \[1, 2\] have forecasts of 2024-03-01 07:00"):
            find_run(settings, reference_datetime=reference)


def test_a_run_that_is_absent_is_an_error_that_says_which_there_are(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(
        NotFoundError,
        match="view 1 were made at 2024-03-01 08:00; runs were made from 2024-03-01 05:00 to",
    ):
        find_run(settings, reference_datetime=FIRST + 3 * HOUR, feature_view_version=1)
    with pytest.raises(NotFoundError, match="view 1 were made at 2024-03-01 06:00; feature view 2 has some"):
        find_run(settings, reference_datetime=FIRST + HOUR, feature_view_version=1)
    with pytest.raises(NotFoundError, match="no forecasts of feature view 3 were made yet"):
        find_run(settings, reference_datetime=None, feature_view_version=3)
    with pytest.raises(NotFoundError, match="no forecasts were made at 2024-03-01 05:00; there are none yet"):
        find_run(Settings(root_dir=tmp_path / "empty"), reference_datetime=FIRST)


def test_a_run_in_the_future_is_found_by_its_time_and_is_not_the_newest(settings: Settings) -> None:
    """Class: a reference time that was typed wrong lies in the future, and the run there hides all others."""
    now = FIRST + HOUR
    assert find_run(settings, reference_datetime=None, now=now)["reference_datetime"] == FIRST + HOUR
    assert find_run(settings, reference_datetime=None, now=now, feature_view_version=1)["reference_datetime"] == FIRST
    ahead = find_run(settings, reference_datetime=FIRST + 2 * HOUR, now=now, feature_view_version=1)
    assert ahead["reference_datetime"] == FIRST + 2 * HOUR
    with pytest.raises(NotFoundError, match="all 3 runs have reference times in the future, from 2024-03-01 05:00"):
        find_run(settings, reference_datetime=None, now=FIRST - HOUR)


def test_a_series_or_an_hour_that_is_absent_is_an_error_that_says_which_there_are() -> None:
    frame = pl.DataFrame(
        [("DK1", f"{kind:03}", FIRST, 1.0) for kind in range(14)],
        schema={
            "area": pl.String,
            "consumer_type": pl.String,
            "datetime_utc": UTC_HOUR,
            "energy_consumption": pl.Float64,
        },
        orient="row",
    )
    rows = find_series(frame, "DK1", "003")
    assert find_hour(rows, FIRST)["energy_consumption"] == 1.0
    with pytest.raises(NotFoundError, match="there is no price area 'DK9'; there are DK1"):
        find_series(frame, "DK9", "003")
    with pytest.raises(NotFoundError, match=r"DK1 has no consumer type '99'; it has 000, .*, 009 and 4 more"):
        find_series(frame, "DK1", "99")
    with pytest.raises(NotFoundError, match="no forecast of 2024-03-01 06:00; it has 2024-03-01 05:00 to"):
        find_hour(rows, FIRST + HOUR)


@pytest.mark.parametrize(("row", "frame"), [(RunRow, RUNS), (ForecastRow, FORECASTS)])
def test_the_type_of_a_row_has_the_columns_of_its_table(row: type, frame: Frame) -> None:
    python = {name: dtype.to_python() for name, dtype in frame.items()}
    assert get_type_hints(row) == python
