"""The member that learns from years: near hours from yesterday's errors of all series, distant ones from the season."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import load_forecaster
from load_forecaster import DEFAULT, Forecaster, ForecasterConfig
from load_forecaster.errors import InvalidArgument
from load_forecaster.intervals import Calibration
from load_forecaster.members.directions import main_directions
from load_forecaster.metrics import FloatArray
from load_forecaster.schema import KEY

END = datetime(2024, 6, 3, tzinfo=UTC)
DAYS = 400
RECENT = ForecasterConfig(trees=5, years_weight=0.0)
WITH_YEARS = ForecasterConfig(trees=5)


def rows(values: FloatArray, end: datetime = END, kinds: list[str] | None = None) -> pl.DataFrame:
    """Return rows of a matrix [hour, series]."""
    start = end - timedelta(hours=len(values))
    hours = pl.datetime_range(start, end, "1h", closed="left", eager=True)
    kinds = kinds or [str(100 + index) for index in range(values.shape[1])]
    return pl.concat(
        pl.DataFrame(
            {"area": "DK1", "consumer_type": kind, "datetime_utc": hours, "energy_consumption": values[:, index]}
        ).drop_nans()
        for index, kind in enumerate(kinds)
    )


@pytest.fixture(scope="module")
def travelling() -> FloatArray:
    """Weather that reaches the last four series a day after the first four; a ninth series is a month old."""
    random = np.random.default_rng(3)
    days = DAYS + 1
    weather = random.normal(0, 0.12, size=(days, 4))
    daily = 1 + 0.3 * np.sin(np.arange(24 * days) * 2 * np.pi / 24)[:, None]
    first = daily * (1 + np.repeat(weather, 24, axis=0))
    then = daily * (1 + np.repeat(np.roll(weather, 1, axis=0), 24, axis=0))
    new = np.where(np.arange(24 * days)[:, None] < 24 * (days - 31), np.nan, daily)
    return np.concatenate([first, then, new], axis=1) * (1 + random.normal(0, 0.01, size=(24 * days, 9))) * 1000


@pytest.fixture(scope="module")
def fitted(travelling: FloatArray) -> tuple[Forecaster, pl.DataFrame]:
    history = rows(travelling[: 24 * DAYS])
    model = load_forecaster.fit(history, end=END, config=WITH_YEARS, calibration=Calibration())
    return model, history


def errors(model: Forecaster, history: pl.DataFrame, truth: FloatArray) -> dict[str, float]:
    found = model.predict(history, end=END).join(rows(truth, END + timedelta(days=1)), on=list(KEY))
    size = (pl.col("energy_consumption") - pl.col("energy_consumption_right")).abs()
    return dict(found.group_by("consumer_type").agg(size.mean()).iter_rows())


def test_what_happened_elsewhere_yesterday_is_foreseen(
    fitted: tuple[Forecaster, pl.DataFrame], travelling: FloatArray
) -> None:
    model, history = fitted
    recent = load_forecaster.fit(history, end=END, config=RECENT, calibration=Calibration())
    truth = travelling[24 * DAYS :]
    with_years, without = errors(model, history, truth), errors(recent, history, truth)
    follow = ["104", "105", "106", "107"]
    assert sum(with_years[kind] for kind in follow) < 0.6 * sum(without[kind] for kind in follow)


def test_a_series_without_a_year_is_forecast_by_the_other_members(fitted: tuple[Forecaster, pl.DataFrame]) -> None:
    model, history = fitted
    forecast, why = model.predict_and_explain(history, end=END)
    parts = why.filter(pl.col("kind") == "member", pl.col("name") == "years")
    assert set(parts["consumer_type"]) == {str(100 + index) for index in range(8)}
    assert set(forecast["quality"]) == {"model"}


def test_the_parts_of_a_forecast_with_years_add_up(fitted: tuple[Forecaster, pl.DataFrame]) -> None:
    model, history = fitted
    forecast, why = model.predict_and_explain(history, end=END)
    members = why.filter(pl.col("kind") == "member").group_by(list(KEY)).agg(pl.col("value").sum())
    both = forecast.join(members, on=list(KEY))
    assert both.height == forecast.height
    assert (both["energy_consumption"] - both["value"]).abs().to_numpy().max() < 0.01
    features = why.filter(pl.col("kind") == "feature", pl.col("name") == "all series", pl.col("value").abs() > 1)
    assert features.height > 0


def test_the_member_of_years_is_saved_and_loaded_to_the_last_bit(
    fitted: tuple[Forecaster, pl.DataFrame], tmp_path: Path
) -> None:
    model, history = fitted
    load_forecaster.save(model, tmp_path)
    assert load_forecaster.load(tmp_path).predict(history, end=END).equals(model.predict(history, end=END))


def test_a_history_of_less_than_a_year_has_no_member_of_years(travelling: FloatArray) -> None:
    model = load_forecaster.fit(rows(travelling[-24 * 40 :]), end=END, config=WITH_YEARS, calibration=Calibration())
    assert model.members.years is None


def test_hours_far_ahead_follow_the_season() -> None:
    hours = np.arange(24 * 731)
    random = np.random.default_rng(5)
    season = 1 + 0.5 * np.cos(2 * np.pi * hours / (24 * 365.2425) + np.arange(3)[:, None]).T
    daily = 1 + 0.2 * np.sin(hours * 2 * np.pi / 24)[:, None]
    weather = np.repeat(random.normal(0, 0.1, size=(105, 3)), 168, axis=0)[: len(hours)]
    values = 1000 * season * daily * (1 + weather + random.normal(0, 0.02, size=(len(hours), 3)))
    values[: 24 * 700, 2] = np.nan
    history = rows(values[: -24 * 16])
    far: dict[str, Any] = {"end": END, "gap": 360, "calibration": Calibration()}
    found = {
        share: load_forecaster.fit(history, config=ForecasterConfig(years_weight=share), **far).predict(
            history, end=END
        )
        for share in (0.0, 0.8)
    }
    truth = rows(values[-24:], END + timedelta(days=16))
    missed = {
        share: each.filter(pl.col("consumer_type") != "102")
        .join(truth, on=list(KEY))
        .select((pl.col("energy_consumption") - pl.col("energy_consumption_right")).abs().mean())
        .item()
        for share, each in found.items()
    }
    assert missed[0.8] < 0.9 * missed[0.0], missed
    quality = dict(found[0.8].select("consumer_type", "quality").unique().iter_rows())
    assert quality == {"100": "model", "101": "model", "102": "fallback: observations end 360 hours before"}


def test_main_directions_hold_what_moves_all_columns() -> None:
    random = np.random.default_rng(1)
    factors = random.normal(size=(500, 2))
    table = factors @ random.normal(size=(2, 90)) + 0.1 * random.normal(size=(500, 90))
    scores = table @ main_directions(table)
    assert scores.T @ scores / 500 == pytest.approx(np.eye(scores.shape[1]), abs=0.02)
    left = factors - scores @ np.linalg.lstsq(scores, factors, rcond=None)[0]
    assert (left**2).mean() < 0.01


def test_the_share_of_years_is_bounded() -> None:
    with pytest.raises(InvalidArgument, match="years_weight must be from 0 to 1"):
        ForecasterConfig.from_dict({**DEFAULT.to_dict(), "years_weight": 1.5})
