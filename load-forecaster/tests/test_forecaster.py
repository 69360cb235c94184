"""Properties of every forecast."""

import doctest
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import load_forecaster
from load_forecaster import Forecaster, ForecasterConfig, naive, seasonal, testing
from load_forecaster.errors import InvalidArgument, ValidationError
from load_forecaster.schema import KEY, OBSERVATIONS, PREDICTIONS, SERIES

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
QUICK = ForecasterConfig(trees=20, learning_rate=0.2)


def history(*, end: datetime = END, days: int = 20, series: int = 8) -> pl.DataFrame:
    """The first ``series`` simulated series, ``days`` days to ``end``."""
    return testing.observations(end - timedelta(days=days), end, series=series)


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    return history()


@pytest.fixture(scope="module")
def model(data: pl.DataFrame) -> Forecaster:
    return load_forecaster.fit(data, end=END, fh=24, config=QUICK, threads=2)


def test_every_series_gets_every_hour_of_the_horizon_with_ordered_quantiles(
    model: Forecaster, data: pl.DataFrame
) -> None:
    forecast = model.predict(data, end=END)
    assert forecast.schema == PREDICTIONS
    hours = pl.datetime_range(END, END + timedelta(hours=23), "1h", time_unit="us", eager=True).alias("datetime_utc")
    expected = data.select(SERIES).unique().join(hours.to_frame(), how="cross").sort(KEY)
    assert_frame_equal(forecast.select(KEY), expected)
    numbers = forecast.select("q05", "q10", "q50", "q90", "q95").to_numpy()
    assert np.isfinite(numbers).all()
    assert (numbers >= 0).all()
    assert (np.diff(numbers, axis=1) >= 0).all()
    assert (forecast["q95"] > forecast["q05"]).all()
    assert forecast["quality"].unique().to_list() == ["model"]


def test_fitting_and_predicting_again_gives_the_same_to_the_last_bit(model: Forecaster, data: pl.DataFrame) -> None:
    again = load_forecaster.fit(data, end=END, fh=24, config=QUICK, threads=2)
    assert_frame_equal(again.predict(data, end=END), model.predict(data, end=END), check_exact=True)


def test_the_number_of_threads_changes_nothing(model: Forecaster, data: pl.DataFrame) -> None:
    one = load_forecaster.fit(data, end=END, fh=24, config=QUICK, threads=1)
    assert_frame_equal(one.predict(data, end=END), model.predict(data, end=END), check_exact=True)


@pytest.mark.parametrize("days", [20, 40])
def test_evaluating_and_fitting_at_once_gives_what_one_after_the_other_gives(days: int) -> None:
    rows = history(days=days, series=3)
    known: dict[str, Any] = {"end": END, "fh": 24, "config": QUICK}
    evaluation = load_forecaster.evaluate(rows, **known, threads=1, origins=3)
    model = load_forecaster.fit(rows, **known, threads=1, calibration=evaluation.calibration)
    for threads in (1, 2, 4):
        measured, fitted = load_forecaster.evaluate_and_fit(rows, **known, threads=threads, origins=3)
        assert measured == evaluation
        assert_frame_equal(fitted.predict(rows, end=END), model.predict(rows, end=END), check_exact=True)


def test_the_order_of_rows_and_columns_changes_nothing(model: Forecaster, data: pl.DataFrame) -> None:
    shuffled = data.sample(fraction=1.0, shuffle=True, seed=7).select(reversed(OBSERVATIONS.names()))
    again = load_forecaster.fit(shuffled, end=END, fh=24, config=QUICK, threads=2)
    assert_frame_equal(again.predict(shuffled, end=END), model.predict(data, end=END), check_exact=True)


def test_nothing_at_or_after_the_end_is_looked_at(model: Forecaster, data: pl.DataFrame) -> None:
    future = data.with_columns(pl.col("datetime_utc") + timedelta(days=20), energy_consumption=pl.lit(9e9))
    newcomer = future.with_columns(consumer_type=pl.lit("new"))
    with_future = pl.concat([data, future, newcomer])
    again = load_forecaster.fit(with_future, end=END, fh=24, config=QUICK, threads=2)
    assert_frame_equal(again.predict(with_future, end=END), model.predict(data, end=END), check_exact=True)
    assert_frame_equal(
        load_forecaster.seasonal_naive(with_future, end=END, fh=24),
        load_forecaster.seasonal_naive(data, end=END, fh=24),
    )
    measured = [
        load_forecaster.evaluate(rows, end=END, fh=24, config=QUICK, threads=2, origins=2).metrics
        for rows in (data, with_future)
    ]
    assert measured[0] == measured[1]


def test_a_longer_history_than_the_configured_days_changes_nothing() -> None:
    short = ForecasterConfig(trees=5, history_days=15)
    long = history(days=25, series=2)
    window = long.filter(pl.col("datetime_utc") >= END - timedelta(days=15))
    forecasts = [
        load_forecaster.fit(rows, end=END, fh=24, config=short, threads=1).predict(rows, end=END)
        for rows in (long, window)
    ]
    numbers = [forecast["energy_consumption"] for forecast in forecasts]
    assert numbers[0].equals(numbers[1])


@pytest.mark.parametrize("fh", [1, 6, 48, 168])
def test_other_horizons_than_a_day_are_forecast(fh: int) -> None:
    rows = history(series=3)
    forecast = load_forecaster.fit(rows, end=END, fh=fh, config=QUICK, threads=1).predict(rows, end=END)
    assert forecast.height == 3 * fh
    assert forecast["datetime_utc"].max() == END + timedelta(hours=fh - 1)
    truth = testing.observations(END, END + timedelta(hours=fh))
    both = forecast.join(truth, on=KEY, suffix="_true")
    error = (both["energy_consumption"] - both["energy_consumption_true"]).abs().to_numpy().sum()
    assert error / both["energy_consumption_true"].to_numpy().sum() < 0.3


def test_a_shorter_horizon_than_fitted_is_the_beginning_of_the_long_one(model: Forecaster, data: pl.DataFrame) -> None:
    short, long = model.predict(data, end=END, fh=5), model.predict(data, end=END)
    assert_frame_equal(short, long.filter(pl.col("datetime_utc") < END + timedelta(hours=5)), check_exact=True)


def test_a_longer_horizon_than_fitted_is_refused(model: Forecaster, data: pl.DataFrame) -> None:
    with pytest.raises(InvalidArgument, match="fitted for 24 hours, not 25"):
        model.predict(data, end=END, fh=25)


@pytest.mark.parametrize("fh", [0, -1, 169, True])
def test_a_horizon_out_of_range_is_refused(fh: int, data: pl.DataFrame) -> None:
    with pytest.raises(InvalidArgument, match="fh must be from 1 to 168"):
        load_forecaster.fit(data, end=END, fh=fh, config=QUICK, threads=1)


def test_an_end_off_the_full_hour_is_refused(model: Forecaster, data: pl.DataFrame) -> None:
    with pytest.raises(InvalidArgument, match="full hour in UTC"):
        model.predict(data, end=END + timedelta(minutes=30))


def test_history_that_breaks_its_schema_is_refused_and_says_how(model: Forecaster, data: pl.DataFrame) -> None:
    with pytest.raises(ValidationError, match="missing are \\['area'\\]"):
        model.predict(data.drop("area"), end=END)
    with pytest.raises(
        ValidationError,
        match="but another row has the same in 2 rows; the first is area",
    ):
        model.predict(pl.concat([data, data.head(1)]), end=END)
    with pytest.raises(ValidationError, match=r"energy_consumption \(kWh in that hour\) must be Float64, not String"):
        model.predict(data.cast({"energy_consumption": pl.String}), end=END)
    with pytest.raises(ValidationError, match=r"datetime_utc .* must be Datetime.*, not Date"):
        model.predict(data.cast({"datetime_utc": pl.Date}), end=END)
    with pytest.raises(ValidationError, match="history has no area in 1 rows"):
        model.predict(data.with_columns(area=pl.when(pl.int_range(pl.len()) != 3).then("area")), end=END)
    late = data.with_columns(pl.col("datetime_utc") + timedelta(minutes=5))
    with pytest.raises(ValidationError, match=r"datetime_utc is not a full hour in UTC in [0-9]+ rows; the first is"):
        model.predict(late, end=END)


def test_history_of_other_types_with_the_same_meaning_gives_the_same(model: Forecaster, data: pl.DataFrame) -> None:
    whole = data.with_columns(pl.col("energy_consumption").round())
    same = whole.cast(
        {"energy_consumption": pl.Int64, "area": pl.Categorical, "datetime_utc": pl.Datetime("ms", "UTC")}
    )
    same = same.with_columns(pl.col("datetime_utc").dt.replace_time_zone(None), note=pl.lit("is left out"))
    assert_frame_equal(model.predict(same, end=END), model.predict(whole, end=END), check_exact=True)


@pytest.mark.parametrize("change", [datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)])
def test_the_local_pattern_is_kept_when_the_clocks_change(change: datetime) -> None:
    # A series that peaks at 8 o'clock in Copenhagen, every day; forecast for the day of the change and the next.
    end = change - timedelta(hours=4)
    times = pl.datetime_range(end - timedelta(days=20), end + timedelta(hours=35), "1h", time_unit="us", eager=True)
    hour = times.dt.convert_time_zone("Europe/Copenhagen").dt.hour()
    weekday = times.dt.convert_time_zone("Europe/Copenhagen").dt.weekday()
    rows = pl.DataFrame({"datetime_utc": times, "hour": hour, "weekday": weekday}).with_columns(
        area=pl.lit("DK1"),
        consumer_type=pl.lit("111"),
        energy_consumption=100.0 + 100 * (pl.col("hour") == 8) + pl.col("hour") + pl.col("weekday"),
    )
    rows = rows.select(OBSERVATIONS.names()).cast(OBSERVATIONS)
    past = rows.filter(pl.col("datetime_utc") < end)
    forecast = load_forecaster.fit(past, end=end, fh=36, config=QUICK, threads=1).predict(past, end=end)
    local = forecast["datetime_utc"].dt.convert_time_zone("Europe/Copenhagen").dt.hour()
    assert forecast["quality"].unique().to_list() == ["model"]
    assert local.filter(forecast["energy_consumption"] > 160).unique().to_list() == [8]
    assert forecast.filter(local == 8)["energy_consumption"].to_numpy().min() > 160


@pytest.mark.parametrize("season", [1, 5, 24, 168])
@pytest.mark.parametrize("hours", [3, 30, 200])
def test_the_seasonal_naive_forecast_agrees_with_a_slow_search(season: int, hours: int) -> None:
    random = np.random.default_rng(hours + season)
    values = random.random((hours, 3))
    values[random.random((hours, 3)) < 0.3] = np.nan
    fast = naive.naive_values(values, fh=50, season=season)
    for lead in range(50):
        for series in range(3):
            known = [
                values[hour, series]
                for hour in range(hours)
                if (hours + lead - hour) % season == 0 and not np.isnan(values[hour, series])
            ]
            assert fast[lead, series] == known[-1] if known else np.isnan(fast[lead, series])


def test_the_seasonal_naive_forecast_repeats_yesterday(data: pl.DataFrame) -> None:
    naive_day = load_forecaster.seasonal_naive(data, end=END, fh=24)
    assert naive_day.schema == OBSERVATIONS
    yesterday = data.with_columns(pl.col("datetime_utc") + timedelta(days=1)).filter(pl.col("datetime_utc") >= END)
    both = naive_day.join(yesterday, on=KEY, suffix="_yesterday")
    assert both.height >= 8 * 24 - 5
    assert both["energy_consumption"].equals(both["energy_consumption_yesterday"])


def test_importing_the_forecaster_does_not_import_lightgbm() -> None:
    code = "import sys, load_forecaster; print([m for m in ('lightgbm', 'scipy', 'pandas') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("module", [naive, seasonal])
def test_the_examples_in_the_docstrings_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 1
    assert result.failed == 0


@pytest.mark.parametrize(("gap", "quality"), [(24, "model"), (360, "fallback: observations end 360 hours before")])
def test_after_a_gap_the_hours_from_there_on_are_forecast(gap: int, quality: str) -> None:
    rows = history(days=30, series=3)
    evaluation, model = load_forecaster.evaluate_and_fit(
        rows, end=END, fh=24, gap=gap, config=QUICK, threads=1, origins=3
    )
    assert evaluation.metrics["origins"] == 3
    assert evaluation.metrics["wape_ratio"] is not None
    assert evaluation.metrics["wape_ratio"] < 1.2
    forecast = model.predict(rows, end=END)
    first = END + timedelta(hours=gap)
    assert (forecast["datetime_utc"].min(), forecast["datetime_utc"].max()) == (first, first + timedelta(hours=23))
    assert forecast.height == 3 * 24
    assert forecast["quality"].unique().to_list() == [quality]
    came = testing.observations(first, first + timedelta(hours=24))
    both = forecast.join(came, on=KEY, suffix="_came")
    assert both.height == 72
    error = (both["energy_consumption"] - both["energy_consumption_came"]).abs().to_numpy().sum()
    assert error / both["energy_consumption_came"].to_numpy().sum() < 0.2


def test_a_distant_forecast_repeats_a_pattern_of_weeks_that_repeats() -> None:
    hours = pl.datetime_range(END - timedelta(days=28), END - timedelta(hours=1), "1h", time_unit="us", eager=True)
    local = hours.dt.convert_time_zone("Europe/Copenhagen")
    value = 100.0 + local.dt.hour().cast(pl.Float64) - 30.0 * (local.dt.weekday() > 5).cast(pl.Float64)
    rows = pl.DataFrame({"area": "DK1", "consumer_type": "a", "datetime_utc": hours, "energy_consumption": value})
    first = END + timedelta(hours=360)
    forecast = load_forecaster.fit(rows, end=END, gap=360, config=QUICK).predict(rows, end=END)
    to_come = forecast["datetime_utc"].dt.convert_time_zone("Europe/Copenhagen")
    expected = 100.0 + to_come.dt.hour().cast(pl.Float64) - 30.0 * (to_come.dt.weekday() > 5).cast(pl.Float64)
    assert forecast["datetime_utc"].min() == first
    assert forecast["energy_consumption"].to_numpy() == pytest.approx(expected.to_numpy(), rel=0.08)


@pytest.mark.parametrize("gap", [-1, 1465, True])
def test_a_gap_out_of_range_is_a_named_error(data: pl.DataFrame, gap: int) -> None:
    with pytest.raises(InvalidArgument, match="gap must be from 0 to 1464 hours"):
        load_forecaster.fit(data, end=END, gap=gap, config=QUICK)
