"""Alarm checks of monitoring: value, thresholds and level of each kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch_prediction_pipeline.monitoring import drift, judging, scoring
from forecast_core.alarms import CHECKS
from forecast_core.contracts.schema import HOUR, UTC_HOUR
from forecast_core.contracts.settings import Settings

END = datetime(2023, 2, 1, tzinfo=UTC)
SETTINGS = Settings()
SERIES = ("111", "121", "215", "999")


def observations(days: int, factor: dict[str, float] | None = None, *, seed: int = 0) -> pl.DataFrame:
    """Noisy observations of the days before END; in the newest week, some series are multiplied by a factor."""
    chance = np.random.default_rng(seed)
    rows = []
    for day in range(days, 0, -1):
        for kind in SERIES:
            level = 100 * (1 + 0.05 * chance.normal()) * ((factor or {}).get(kind, 1.0) if day <= 7 else 1.0)
            rows += [("DK1", kind, END - timedelta(days=day) + hour * HOUR, level) for hour in range(24)]
    names = ("area", "consumer_type", "datetime_utc", "energy_consumption")
    schema = pl.Schema(zip(names, (pl.String, pl.String, UTC_HOUR, pl.Float64), strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


def scored(*, error: float = 1.0, naive: float = 2.0, hours: int = 24 * 7, lean: float = 0.0) -> pl.DataFrame:
    """Forecasts with actual values; the errors are unbiased or, with ``lean``, biased."""
    keys = [("DK1", kind, END - hour * HOUR) for kind in SERIES for hour in range(1, hours + 1)]
    frame = pl.DataFrame(
        keys, schema={"area": pl.String, "consumer_type": pl.String, "datetime_utc": UTC_HOUR}, orient="row"
    )
    sign = pl.when(pl.col("datetime_utc").dt.hour() % 2 == 0).then(1).otherwise(-1)
    return frame.with_columns(
        truth=pl.lit(100.0),
        energy_consumption=100 + sign * error + lean,
        naive=pl.lit(100.0 + naive),
        quality=pl.lit("model"),
        model_version=pl.lit(1, pl.Int64),
        **{f"q{name}": 100 + width + pl.lit(0.0) for name, width in {"05": -9, "10": -5, "90": 5, "95": 9}.items()},
    )


def sums(rows: pl.DataFrame) -> pl.DataFrame:
    return scoring.totals(rows, ("datetime_utc", "area", "consumer_type"))


def figures(rows: pl.DataFrame, backtests: dict[int, dict[str, float]]) -> dict[str, Any]:
    by_series = scoring.totals(rows, ("area", "consumer_type"))
    return scoring.overall(by_series, models={1: rows.height}, backtests=backtests)


def levels(checks: Any) -> dict[str, str]:
    return {each.kind: each.level for each in checks if each.subject == "overall"}


def judged(rows: pl.DataFrame, backtest: float = 0.5) -> dict[str, str]:
    week = figures(scoring.recent(rows, days=7), {1: {"wape_ratio": backtest}})
    return levels(judging.of_scores(sums(rows), week, SETTINGS))


def test_forecasts_that_are_better_than_naive_and_as_good_as_measured_raise_nothing() -> None:
    rows = scored(error=1.0, naive=2.0)
    wide = rows.with_columns(truth=pl.when(pl.col("datetime_utc").dt.hour() < 5).then(120.0).otherwise("truth"))
    assert judged(rows) == {"skill": "ok", "backtest": "ok", "coverage": "tune", "error_drift": "ok"}
    assert judged(wide)["coverage"] == "ok"


@pytest.mark.parametrize(("naive", "level"), [(2.0, "ok"), (1.0, "notify"), (0.92, "notify"), (0.9, "tune")])
def test_errors_as_large_as_the_naive_forecasts_notify_and_larger_ones_tune(naive: float, level: str) -> None:
    assert judged(scored(naive=naive), backtest=1.0)["skill"] == level


@pytest.mark.parametrize(("backtest", "level"), [(0.5, "ok"), (0.38, "notify"), (0.3, "tune")])
def test_errors_larger_than_the_models_measured_of_themselves_are_an_alarm(backtest: float, level: str) -> None:
    assert judged(scored(), backtest=backtest)["backtest"] == level


def test_a_day_of_forecasts_is_too_little_to_judge() -> None:
    found = judged(scored(error=9.0, hours=24))
    assert set(found.values()) == {"ok"}


def test_a_single_series_is_named_when_it_does_much_worse_than_naive() -> None:
    rows = scored().with_columns(
        energy_consumption=pl.when(pl.col("consumer_type") == "215").then(109.0).otherwise("energy_consumption")
    )
    found = [each for each in judging.of_scores(sums(rows), figures(rows, {}), SETTINGS) if each.subject != "overall"]
    kept = judging.frame(found, reference_datetime=END, feature_view_version=1, source="monitoring")
    assert kept.schema == CHECKS
    assert kept.select("kind", "subject", "level").rows() == [("skill", "DK1/215", "notify")]
    assert "450%" in kept["message"][0]


def test_errors_that_lean_to_one_side_for_weeks_move_the_tracking_signal() -> None:
    assert drift.tracking_signal(sums(scored(hours=24 * 30))) in (None, pytest.approx(0.0))
    assert drift.tracking_signal(sums(scored(hours=24 * 30, lean=3.0))) == pytest.approx(1.0)
    assert drift.tracking_signal(sums(scored(hours=24 * 30, lean=-3.0))) == pytest.approx(-1.0)
    assert drift.tracking_signal(sums(scored(hours=24 * 5, lean=3.0))) is None
    assert judged(scored(hours=24 * 30, lean=3.0))["error_drift"] == "tune"


def test_the_tracking_signal_is_that_of_a_slow_loop() -> None:
    chance = np.random.default_rng(3)
    rows = scored(hours=24 * 20)
    rows = rows.with_columns(energy_consumption=100 + 5 * pl.Series(chance.normal(size=rows.height)))
    signed = size = weight = 0.0
    for _, day in sorted(rows.group_by(pl.col("datetime_utc").dt.date()), key=lambda each: str(each[0])):
        forecast, truth = (float(day[name].to_numpy().sum()) for name in ("energy_consumption", "truth"))
        error = (forecast - truth) / truth
        signed, size, weight = (0.9 * old + new for old, new in ((signed, error), (size, abs(error)), (weight, 1.0)))
    assert drift.tracking_signal(sums(rows)) == pytest.approx(signed / size)
    assert weight > 0


def test_a_shift_of_level_in_many_series_is_drift_and_names_the_worst() -> None:
    assert levels(judging.of_inputs(observations(30), SETTINGS, end=END)) == {"input_drift": "ok"}
    [one] = judging.of_inputs(observations(30, {"215": 0.5}), SETTINGS, end=END)
    assert (one.level, one.value) == ("notify", 0.25)
    assert "1 of 4 series" in one.message
    assert "DK1/215 -" in one.message
    [two] = judging.of_inputs(observations(30, {"215": 0.5, "111": 3.0}), SETTINGS, end=END)
    assert two.level == "tune"


def test_the_change_of_level_is_that_of_a_slow_loop() -> None:
    parts = drift.parts(observations(30, {"111": 1.2}), end=END)
    assert parts is not None
    before, recent = (
        {kind: part.filter(pl.col("consumer_type") == kind)["energy_consumption"].to_numpy()[::24] for kind in SERIES}
        for part in parts
    )
    for _, kind, change in drift.level_change(*parts).iter_rows():
        expected = (recent[kind].mean() - before[kind].mean()) / before[kind].std(ddof=1)
        assert change == pytest.approx(expected), kind


def test_with_too_few_days_there_is_nothing_to_compare_with() -> None:
    [found] = judging.of_inputs(observations(16, {"111": 9.0}), SETTINGS, end=END)
    assert (found.level, found.value) == ("ok", None)


def test_a_run_of_fallbacks_is_an_alarm_that_says_why() -> None:
    rows = scored(hours=10).with_columns(
        quality=pl.when(pl.col("consumer_type") == "215").then(pl.lit("fallback: silent")).otherwise("quality")
    )
    [found] = judging.of_quality(rows, SETTINGS)
    assert (found.level, found.value) == ("notify", 0.25)
    assert "10 silent" in found.message
    assert levels(judging.of_quality(rows.clear(), SETTINGS)) == {"fallback": "ok"}
