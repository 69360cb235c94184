"""Series that are short, silent, broken or dull: always a finite forecast, and a quality that says what it is."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import load_forecaster
from load_forecaster import ForecasterConfig, testing
from load_forecaster.panel import from_observations
from load_forecaster.schema import OBSERVATIONS, PREDICTIONS

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
QUICK = ForecasterConfig(trees=20, learning_rate=0.2)
ODD = ("DK1", "odd")


@pytest.fixture(scope="module")
def sound() -> pl.DataFrame:
    return testing.observations(END - timedelta(days=20), END, series=5)


def odd_series(sound: pl.DataFrame) -> pl.DataFrame:
    """A sound series under another name, to be broken."""
    first = sound.filter(pl.col("consumer_type") == sound["consumer_type"][0], pl.col("area") == sound["area"][0])
    return first.with_columns(area=pl.lit(ODD[0]), consumer_type=pl.lit(ODD[1])).select(OBSERVATIONS.names())


def forecast_of(sound: pl.DataFrame, odd: pl.DataFrame, *, fh: int = 24) -> pl.DataFrame:
    """Fit on the sound series and the odd one; check what holds for all, return the odd one's forecast."""
    rows = pl.concat([sound, odd])
    forecast = load_forecaster.fit(rows, end=END, fh=fh, config=QUICK, threads=1).predict(rows, end=END)
    numbers = forecast.select(pl.selectors.numeric()).to_numpy()
    assert np.isfinite(numbers).all()
    assert (numbers >= 0).all()
    others = forecast.filter(pl.col("consumer_type") != ODD[1])
    assert others.height == 5 * fh
    assert others["quality"].unique().to_list() == ["model"]
    result = forecast.filter(pl.col("consumer_type") == ODD[1])
    assert result.height == fh
    return result


def qualities(forecast: pl.DataFrame) -> list[str]:
    return forecast["quality"].unique().to_list()


def hours_before_end(hours: int) -> pl.Expr:
    return pl.col("datetime_utc") >= END - timedelta(hours=hours)


def test_a_series_with_three_days_of_history_is_forecast_by_the_model(sound: pl.DataFrame) -> None:
    odd = odd_series(sound).filter(hours_before_end(73))
    forecast = forecast_of(sound, odd)
    assert qualities(forecast) == ["model"]
    assert forecast["energy_consumption"].mean() == pytest.approx(odd["energy_consumption"].mean(), rel=0.3)


def test_a_series_with_less_than_three_days_of_history_falls_back_on_its_daily_pattern(sound: pl.DataFrame) -> None:
    odd = odd_series(sound).filter(hours_before_end(30))
    forecast = forecast_of(sound, odd)
    assert qualities(forecast) == [f"fallback: only {odd.height} hours of history"]
    yesterday = dict(zip(odd["datetime_utc"].dt.hour(), odd["energy_consumption"], strict=True))
    same_hour = [yesterday[hour] for hour in forecast["datetime_utc"].dt.hour()]
    assert forecast["energy_consumption"].to_numpy() == pytest.approx(np.array(same_hour), rel=0.5)


def test_a_series_with_one_hour_of_history_falls_back_on_that_hour(sound: pl.DataFrame) -> None:
    odd = odd_series(sound).filter(hours_before_end(4)).head(1)
    forecast = forecast_of(sound, odd)
    assert qualities(forecast) == ["fallback: only 1 hours of history"]
    assert forecast["energy_consumption"].unique().to_list() == odd["energy_consumption"].to_list()


def test_a_series_that_is_late_by_some_hours_is_still_forecast_by_the_model_but_less_certainly(
    sound: pl.DataFrame,
) -> None:
    odd = odd_series(sound)
    whole, late = (forecast_of(sound, rows) for rows in (odd, odd.filter(~hours_before_end(12))))
    assert qualities(late) == ["model"]
    width = [(frame["q95"] - frame["q05"]).to_numpy().mean() for frame in (whole, late)]
    assert width[1] > 1.2 * width[0]
    assert late["energy_consumption"].to_numpy() == pytest.approx(whole["energy_consumption"].to_numpy(), rel=0.5)


@pytest.mark.parametrize("days", [3, 10, 18])
def test_a_series_that_went_silent_falls_back_on_its_last_known_pattern(sound: pl.DataFrame, days: int) -> None:
    odd = odd_series(sound).filter(~hours_before_end(24 * days))
    forecast = forecast_of(sound, odd)
    assert qualities(forecast) == [f"fallback: silent for {24 * days} hours"]
    assert forecast["energy_consumption"].mean() == pytest.approx(odd["energy_consumption"].mean(), rel=0.3)
    assert forecast["energy_consumption"].n_unique() > 20


def test_a_series_silent_for_longer_than_the_history_that_is_looked_at_says_so(sound: pl.DataFrame) -> None:
    odd = odd_series(sound).with_columns(pl.col("datetime_utc") - timedelta(days=400))
    assert qualities(forecast_of(sound, odd)) == ["fallback: no observation"]


def test_a_series_of_zeros_is_forecast_to_stay_zero(sound: pl.DataFrame) -> None:
    forecast = forecast_of(sound, odd_series(sound).with_columns(energy_consumption=pl.lit(0.0)))
    assert qualities(forecast) == ["fallback: all zeros for a week"]
    assert (forecast.select(pl.selectors.numeric()).to_numpy() == 0).all()


def test_a_constant_series_is_forecast_to_stay_as_it_is(sound: pl.DataFrame) -> None:
    forecast = forecast_of(sound, odd_series(sound).with_columns(energy_consumption=pl.lit(123.4)))
    assert qualities(forecast) == ["fallback: constant for a week"]
    assert (forecast.select(pl.selectors.numeric()).to_numpy() == 123.4).all()


def test_a_gap_of_a_week_is_bridged(sound: pl.DataFrame) -> None:
    odd = odd_series(sound)
    gap = odd.filter(
        ~pl.col("datetime_utc").is_between(END - timedelta(days=10), END - timedelta(days=3), closed="left")
    )
    whole, bridged = forecast_of(sound, odd), forecast_of(sound, gap)
    assert qualities(bridged) == ["model"]
    difference = (whole["energy_consumption"] - bridged["energy_consumption"]).abs().to_numpy().sum()
    assert difference / whole["energy_consumption"].to_numpy().sum() < 0.1


@pytest.mark.parametrize("hours_ago", [1, 24, 100])
def test_an_outlier_of_a_thousand_times_hardly_moves_the_forecast(sound: pl.DataFrame, hours_ago: int) -> None:
    odd = odd_series(sound)
    at = odd["datetime_utc"].sort(descending=True)[hours_ago - 1]
    spike = odd.with_columns(
        pl.when(pl.col("datetime_utc") == at)
        .then(pl.col("energy_consumption") * 1000)
        .otherwise("energy_consumption")
        .alias("energy_consumption")
    )
    whole, spiked = forecast_of(sound, odd), forecast_of(sound, spike)
    difference = (whole["energy_consumption"] - spiked["energy_consumption"]).abs().to_numpy().sum()
    assert difference / whole["energy_consumption"].to_numpy().sum() < 0.1


def test_a_level_shift_last_night_is_followed_part_of_the_way_at_least(sound: pl.DataFrame) -> None:
    odd = odd_series(sound)
    shifted = odd.with_columns(
        pl.when(hours_before_end(12))
        .then(pl.col("energy_consumption") * 2)
        .otherwise("energy_consumption")
        .alias("energy_consumption")
    )
    whole, after = forecast_of(sound, odd), forecast_of(sound, shifted)
    assert 1.1 < after["energy_consumption"].to_numpy().sum() / whole["energy_consumption"].to_numpy().sum() < 2.5


def test_negative_infinite_and_null_values_count_as_missing(sound: pl.DataFrame) -> None:
    odd = odd_series(sound)
    some = pl.int_range(pl.len()) % 20
    dirty = odd.with_columns(
        pl.when(some == 3).then(-5e6).when(some == 7).then(float("inf")).when(some == 9).then(None)
        .otherwise("energy_consumption").alias("energy_consumption")
    )  # fmt: skip
    missing = odd.filter(~(some.is_in([3, 7, 9])))
    assert forecast_of(sound, dirty)["energy_consumption"].equals(forecast_of(sound, missing)["energy_consumption"])


def test_one_series_alone_is_forecast_by_the_model(sound: pl.DataFrame) -> None:
    alone = odd_series(sound)
    forecast = load_forecaster.fit(alone, end=END, fh=24, config=QUICK, threads=1).predict(alone, end=END)
    assert qualities(forecast) == ["model"]
    assert forecast["energy_consumption"].mean() == pytest.approx(alone["energy_consumption"].mean(), rel=0.3)


@pytest.mark.parametrize("days", [1, 4, 9])
def test_a_history_too_short_for_the_model_is_no_error_but_a_fallback_for_every_series(
    sound: pl.DataFrame, days: int
) -> None:
    short = sound.filter(hours_before_end(24 * days))
    evaluation = load_forecaster.evaluate(short, end=END, fh=24, config=QUICK, threads=1, origins=5)
    model = load_forecaster.fit(short, end=END, fh=24, config=QUICK, threads=1, calibration=evaluation.calibration)
    forecast = model.predict(short, end=END)
    assert forecast.height == 5 * 24
    assert forecast["quality"].str.starts_with("fallback: ").all()
    assert (forecast["energy_consumption"] > 0).all()


def test_no_history_at_all_is_an_empty_forecast(sound: pl.DataFrame) -> None:
    empty = sound.clear()
    model = load_forecaster.fit(empty, end=END, fh=24, config=QUICK, threads=1)
    assert model.predict(empty, end=END).schema == PREDICTIONS
    assert model.predict(empty, end=END).is_empty()


def test_a_series_that_appears_after_the_fit_is_forecast(sound: pl.DataFrame) -> None:
    model = load_forecaster.fit(sound, end=END, fh=24, config=QUICK, threads=1)
    odd = odd_series(sound)
    forecast = model.predict(pl.concat([sound, odd]), end=END)
    assert qualities(forecast.filter(pl.col("consumer_type") == ODD[1])) == ["model"]


def test_the_panel_ends_at_the_end_whatever_is_missing_there(sound: pl.DataFrame) -> None:
    late = sound.filter(~hours_before_end(50))
    panel = from_observations(late, end=END, fh=24, days=90, timezone="Europe/Copenhagen")
    assert panel.end == END
    assert np.isnan(panel.values[-50:]).all()


def test_twenty_thousand_series_of_four_days_are_forecast_by_their_fallback() -> None:
    hours = pl.datetime_range(END - timedelta(days=4), END - timedelta(hours=1), "1h", time_unit="us", eager=True)
    keys = pl.DataFrame({"area": "DK1", "consumer_type": [str(number) for number in range(20_000)]})
    shape = 2 + np.sin(2 * np.pi * np.arange(96) / 24)
    size = np.arange(1, 20_001)
    rows = keys.join(hours.alias("datetime_utc").to_frame(), how="cross", maintain_order="left_right")
    rows = rows.with_columns(energy_consumption=pl.Series(np.outer(size, shape).ravel()))
    model = load_forecaster.fit(rows, end=END, config=QUICK, calibration=load_forecaster.Calibration())
    forecast = model.predict(rows, end=END)
    assert forecast.height == 20_000 * 24
    assert qualities(forecast) == ["fallback: the model needs 10 days of history"]
    expected = np.outer(size, shape[:24]).ravel()
    of_size = forecast.sort(pl.col("consumer_type").cast(pl.Int64), "datetime_utc")["energy_consumption"]
    assert of_size.to_numpy() == pytest.approx(expected, rel=1e-3)
