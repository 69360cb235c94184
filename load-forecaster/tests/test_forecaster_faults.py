"""Faults of measurement and transmission: the forecast stays sound and says so, and other series do not notice.

The class: values in the history that are no measurement of consumption. Filler for hours not yet known, error codes of
meters, days in another unit, outages, stuck values, in one series or in all, at the start, in the middle and at the
end of the window; and series that are truly negative. Such values must not reach level, features, calibration, scores
or explanations.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import polars as pl
import pytest

import load_forecaster
from load_forecaster import Evaluation, Forecaster, ForecasterConfig, testing
from load_forecaster.fitting import evaluate_and_fit
from load_forecaster.schema import KEY

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
DAYS = 28
FH = 24
CONFIG = ForecasterConfig(trees=20, learning_rate=0.2)
ONE = (("DK1", "111"),)
TWO = (*ONE, ("DK2", "121"))
ALL = (*TWO, ("DK2", "111"), ("DK1", "121"))
NUMBERS = ("energy_consumption", "q05", "q10", "q50", "q90", "q95")

Series = tuple[tuple[str, str], ...]
Change = Callable[[pl.DataFrame], pl.DataFrame]

WHOLE = testing.observations(END - timedelta(days=DAYS), END + timedelta(hours=FH), series=4)
CLEAN = WHOLE.filter(pl.col("datetime_utc") < END)
TRUTH = WHOLE.filter(pl.col("datetime_utc") >= END).rename({"energy_consumption": "truth"})


def of(series: Series) -> pl.Expr:
    named = [{"area": area, "consumer_type": kind} for area, kind in series]
    return pl.struct("area", "consumer_type").is_in(named)


def replaced(rows: pl.DataFrame, series: Series, value: pl.Expr | float, *, hours: int, ago: int = 0) -> pl.DataFrame:
    """Return rows with ``hours`` hours of some series, up to ``ago`` hours before the end, replaced."""
    last = END - timedelta(hours=ago)
    hit = of(series) & pl.col("datetime_utc").is_between(last - timedelta(hours=hours), last, closed="left")
    return rows.with_columns(energy_consumption=pl.when(hit).then(value).otherwise("energy_consumption"))


def last_value_repeated(rows: pl.DataFrame, series: Series, *, hours: int) -> pl.DataFrame:
    late = pl.col("datetime_utc") >= END - timedelta(hours=hours)
    cut = rows.with_columns(energy_consumption=pl.when(of(series) & late).then(None).otherwise("energy_consumption"))
    return cut.sort(KEY).with_columns(pl.col("energy_consumption").forward_fill().over("area", "consumer_type"))


def trained(rows: pl.DataFrame) -> tuple[Evaluation, Forecaster]:
    return evaluate_and_fit(rows, end=END, fh=FH, config=CONFIG, threads=1, origins=5)


@pytest.fixture(scope="module")
def sound() -> tuple[Evaluation, pl.DataFrame]:
    evaluation, model = trained(CLEAN)
    return evaluation, model.predict(CLEAN, end=END)


def code(value: float, hours: int, ago: int, series: Series = ONE) -> tuple[Change, Series]:
    return lambda rows: replaced(rows, series, value, hours=hours, ago=ago), series


def scaled(factor: float, ago: int) -> tuple[Change, Series]:
    changed = pl.col("energy_consumption") * factor
    return lambda rows: replaced(rows, TWO, changed, hours=24, ago=ago), TWO


def filler(value: float, hours: int, series: Series = ONE) -> tuple[Change, Series]:
    return code(value, hours, 0, series)


def stalled(hours: int, series: Series = ONE) -> tuple[Change, Series]:
    return lambda rows: last_value_repeated(rows, series, hours=hours), series


FAULTS = {
    "zeros for three hours": filler(0.0, 3),
    "ones for a day": filler(1.0, 24),
    "another constant for five hours": filler(600.0, 5, TWO),
    "zeros for four days in all series": filler(0.0, 96, ALL),
    "last value for four hours in all series": stalled(4, ALL),
    "last value for two and a half days": stalled(60),
    "9999999 in the last hour": code(9_999_999.0, 1, 0),
    "9999999 for two days at the end": code(9_999_999.0, 48, 0),
    "9999999 for two days in the middle": code(9_999_999.0, 48, 300),
    "65535 for a day at the start": code(65_535.0, 24, 24 * (DAYS - 1)),
    "65535 in one hour yesterday": code(65_535.0, 1, 20, TWO),
    "-1 for a day yesterday": code(-1.0, 24, 24),
    "a thousand million for a day in two series": code(1e9, 24, 30, TWO),
    "4294967.295 for an hour in all series": code(4_294_967.295, 1, 2, ALL),
    "a day a thousand times too high in two series": scaled(1000.0, 24),
    "a day a thousandth in two series": scaled(0.001, 0),
    "a day twelve times too high in two series": scaled(12.0, 72),
    "an outage of a day": code(3.0, 24, 24),
}


@pytest.mark.parametrize(("change", "series"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_series_keeps_its_forecast_and_says_so_and_the_others_do_not_notice(
    change: Change, series: Series, sound: tuple[Evaluation, pl.DataFrame]
) -> None:
    rows = change(CLEAN)
    evaluation, model = trained(rows)
    forecast, reasons = model.predict_and_explain(rows, end=END)
    faulty = forecast.filter(of(series)).join(TRUTH, on=KEY)
    ratio = (faulty["energy_consumption"] / faulty["truth"]).to_numpy()
    assert 0.5 < ratio.min() <= ratio.max() < 2
    assert (faulty["q95"] / faulty["truth"]).to_numpy().max() < 3
    assert "model" not in faulty["quality"].to_list()
    assert faulty["quality"].str.contains("implausible|no plausible value").all()
    others, before = (frame.filter(~of(series)) for frame in (forecast, sound[1]))
    assert set(others["quality"]) <= {"model"}
    for name in NUMBERS:
        # Half of four series faulty leaves bounds a small sample: 2 % over the day, a little more in single hours.
        now, then = (frame[name].to_numpy().reshape(-1, FH) for frame in (others, before))
        assert now.sum(axis=1) == pytest.approx(then.sum(axis=1), rel=0.02), name
        assert now == pytest.approx(then, rel=0.04), name
    faulty_measures, measures = (cast("dict[str, float]", each.metrics) for each in (evaluation, sound[0]))
    for name in ("wape", "naive_wape"):
        assert faulty_measures[name] < 2 * measures[name], name
    largest = WHOLE["energy_consumption"].max()
    assert reasons["value"].abs().max() <= 2 * largest  # type: ignore[operator]  # numbers


def test_the_seasonal_naive_forecast_repeats_no_error_code() -> None:
    rows = replaced(CLEAN, ONE, 9_999_999.0, hours=5, ago=3)
    naive = load_forecaster.seasonal_naive(rows, end=END, fh=FH)
    assert naive["energy_consumption"].max() <= CLEAN["energy_consumption"].max()  # type: ignore[operator]  # numbers


def test_a_fallback_repeats_no_error_code() -> None:
    short = replaced(CLEAN, ONE, 1e9, hours=3, ago=1).filter(pl.col("datetime_utc") >= END - timedelta(days=5))
    forecast = load_forecaster.fit(short, end=END, fh=FH, config=CONFIG).predict(short, end=END)
    assert forecast["quality"].str.starts_with("fallback: ").all()
    assert forecast["q95"].max() < 3 * CLEAN["energy_consumption"].max()  # type: ignore[operator]  # numbers


def solar(rows: pl.DataFrame, series: Series) -> pl.DataFrame:
    """Return rows with solar panels behind some series: negative at most noons, more on clear days."""
    hour, day = pl.col("datetime_utc").dt.hour(), pl.col("datetime_utc").dt.ordinal_day()
    sun = (pl.lit(np.pi) * (hour.cast(pl.Float64) - 6) / 12).sin().clip(0, 1) * (0.8 + 0.2 * (day * 1.7).sin())
    net = pl.col("energy_consumption") * (1 - 1.8 * sun)
    return rows.with_columns(energy_consumption=pl.when(of(series)).then(net).otherwise("energy_consumption"))


def test_a_series_that_feeds_in_is_forecast_below_zero_at_noon(sound: tuple[Evaluation, pl.DataFrame]) -> None:
    rows, truth = solar(CLEAN, ONE), solar(WHOLE, ONE).rename({"energy_consumption": "truth"})
    _, model = trained(rows)
    forecast, reasons = model.predict_and_explain(rows, end=END)
    own = forecast.filter(of(ONE)).join(truth, on=KEY)
    noon = own.filter(pl.col("datetime_utc").dt.hour().is_between(10, 13))
    assert (noon["truth"] < 0).all()
    assert (noon["energy_consumption"] < 0).all()
    assert (noon["q05"] < noon["energy_consumption"]).all()
    assert own["quality"].unique().to_list() == ["model"]
    naive = load_forecaster.seasonal_naive(rows, end=END, fh=FH).filter(of(ONE))
    ours, simple = ((frame["energy_consumption"] - own["truth"]).abs().to_numpy().mean() for frame in (own, naive))
    assert ours < simple
    members = reasons.filter(pl.col("kind") == "member").group_by(KEY).agg(pl.col("value").sum()).sort(KEY)
    assert members["value"].to_numpy() == pytest.approx(forecast["energy_consumption"].to_numpy(), abs=0.01)
    others, before = (frame.filter(~of(ONE)) for frame in (forecast, sound[1]))
    assert (others.select(NUMBERS).to_numpy() >= 0).all()
    assert others["energy_consumption"].to_numpy() == pytest.approx(before["energy_consumption"].to_numpy(), rel=0.02)


HONEST: dict[str, Change] = {
    "half of the load for five days": lambda rows: replaced(
        rows, ALL, pl.col("energy_consumption") * 0.5, hours=120, ago=48
    ),
    "a third more since last night": lambda rows: replaced(rows, ONE, pl.col("energy_consumption") * 1.33, hours=12),
    "a holiday yesterday": lambda rows: replaced(rows, TWO, pl.col("energy_consumption") * 0.45, hours=24, ago=7),
    "a level twice as high for ten days": lambda rows: replaced(rows, ONE, pl.col("energy_consumption") * 2, hours=240),
    "six times as much for five days": lambda rows: replaced(rows, ONE, pl.col("energy_consumption") * 6, hours=120),
}


@pytest.mark.parametrize("change", HONEST.values(), ids=HONEST)
def test_large_honest_changes_are_not_taken_for_faults(change: Change) -> None:
    rows = change(CLEAN)
    forecast = load_forecaster.fit(rows, end=END, fh=FH, config=CONFIG).predict(rows, end=END)
    assert forecast["quality"].unique().to_list() == ["model"]


def test_a_series_that_repeats_its_values_by_habit_is_not_flagged() -> None:
    night = of(ONE) & pl.col("datetime_utc").dt.hour().is_between(0, 6)
    rows = CLEAN.with_columns(energy_consumption=pl.when(night).then(0.0).otherwise("energy_consumption"))
    forecast = load_forecaster.fit(rows, end=END, fh=FH, config=CONFIG).predict(rows, end=END)
    assert forecast["quality"].unique().to_list() == ["model"]
    own = forecast.filter(of(ONE), pl.col("datetime_utc").dt.hour().is_between(1, 5))
    assert own["energy_consumption"].max() < 0.3 * CLEAN.filter(of(ONE))["energy_consumption"].mean()  # type: ignore[operator]
