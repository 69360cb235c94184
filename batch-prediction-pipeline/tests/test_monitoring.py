import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch_prediction_pipeline import batch, monitoring
from batch_prediction_pipeline.monitoring import scoring
from batch_prediction_pipeline.monitoring.run import Monitored
from feature_pipeline import demo
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.schema import HOUR
from load_forecaster import metrics

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)
HOURS = [REFERENCE + timedelta(hours=12 * step) for step in range(5)]


@pytest.fixture
def predicted(system: Any, register: Any) -> list[datetime]:
    """Reference times for which forecasts are archived, all with one model."""
    model = None
    for reference in HOURS:
        made = system.ingest(reference)
        model = model or register(made["training_dataset_version"], at=reference)
        del made["training_dataset_version"]
        batch.predict(24, model_version=model, **made, settings=system.settings)
    return HOURS


def _slowly(system: Any, reference: datetime) -> dict[str, Any]:
    """The oracle: score row by row, with values taken from the demo source."""
    archived = ForecastArchive(system.settings).read(feature_view_version=1)
    known = demo.observations(REFERENCE - timedelta(days=10), reference - timedelta(days=1), known_at=reference)
    truth = {row[:3]: row[3] for row in known.iter_rows()}
    errors, naive_errors, values, shares = [], [], [], []
    by_series: dict[Any, tuple[list[float], list[float]]] = {}
    for row in archived.iter_rows(named=True):
        key = (row["area"], row["consumer_type"], row["datetime_utc"])
        if row["reference_datetime"] > reference or key not in truth:
            continue
        actual = truth[key]
        errors.append(abs(row["energy_consumption"] - actual))
        values.append(actual)
        if actual > 0:
            shares.append(errors[-1] / actual)
        # A day has 24 hours, and so has the horizon: the hour a day before is always before the forecast.
        simple = truth.get((*key[:2], key[2] - timedelta(days=1)))
        if simple is not None:
            own, naive = by_series.setdefault(key[:2], ([], []))
            own.append(errors[-1])
            naive.append(abs(simple - actual))
            naive_errors.append(naive[-1])
    return {
        "scored": len(errors),
        "mae": np.mean(errors),
        "wape": np.sum(errors) / np.sum(values),
        "mape": np.mean(shares),
        "naive_mae": np.mean(naive_errors),
        "rmae24": np.mean([np.mean(own) / np.mean(naive) for own, naive in by_series.values()]),
    }


def test_the_figures_are_those_of_a_slow_loop(system: Any, predicted: list[datetime]) -> None:
    result = monitoring.compute(1, reference_datetime=predicted[-1], settings=system.settings)
    expected = _slowly(system, predicted[-1])
    assert result["scored"] == expected.pop("scored") > 150
    for name, value in expected.items():
        assert result["metrics"][name] == pytest.approx(value), name
    assert json.loads(json.dumps(result)) == result


def test_the_naive_forecast_of_a_late_source_repeats_only_hours_that_the_run_knew(system: Any, register: Any) -> None:
    made = system.ingest(REFERENCE, days=30)
    model = register(made.pop("training_dataset_version"), at=REFERENCE, gap=24)
    batch.predict(24, model_version=model, **made, reference_datetime=REFERENCE, settings=system.settings)
    later = REFERENCE + timedelta(days=2)
    system.ingest(later)
    found = monitoring.compute(1, reference_datetime=later, settings=system.settings)["metrics"]
    kinds = pl.col("area").eq("DK1") & pl.col("consumer_type").is_in(["111", "121", "215"])
    known = demo.observations(REFERENCE - timedelta(days=9), REFERENCE - timedelta(days=1), known_at=REFERENCE)
    came = demo.observations(REFERENCE, REFERENCE + timedelta(days=1), known_at=later).filter(kinds)
    values = {row[:3]: row[3] for row in known.iter_rows()}
    errors = []
    for area, kind, hour, value in came.iter_rows():
        # A day before the forecast hour nothing was observed yet; two days before is the newest that may be.
        back = next(each for each in range(2, 8) if (area, kind, hour - timedelta(days=each)) in values)
        errors.append(abs(values[area, kind, hour - timedelta(days=back)] - value))
    assert found["naive_mae"] == pytest.approx(np.mean(errors))


def test_figures_are_kept_over_all_per_series_per_lead_and_per_hour(system: Any, predicted: list[datetime]) -> None:
    result = monitoring.compute("1", settings=system.settings)
    kept = ForecastArchive(system.settings).read_metrics(feature_view_version=1)
    assert kept["reference_datetime"].unique().to_list() == [predicted[-1]]
    wape = kept.filter(pl.col("metric") == "wape")
    overall = wape.filter(pl.col("level") == "overall").select("days", "value").rows()
    assert dict(overall) == {days: result["rolling"][str(days)]["wape"] for days in (1, 7, 30)}
    assert result["metrics"] == result["rolling"]["7"]
    week = wape.filter(pl.col("days") == 7)
    assert week.filter(pl.col("level") == "series").height == 3
    assert week.filter(pl.col("level") == "lead")["lead"].to_list() == list(range(1, 25))
    hours = week.filter(pl.col("level") == "hour")
    assert hours["datetime_utc"].min() == predicted[0] - timedelta(days=1)
    assert hours["datetime_utc"].max() == predicted[-1] - timedelta(days=1, hours=1)
    assert week.group_by("level").agg(pl.col("n").sum())["n"].unique().to_list() == [result["scored"]]
    assert wape.filter(pl.col("days") == 1, pl.col("level") == "hour").is_empty()


def test_the_measures_of_a_group_are_those_of_the_core(system: Any, predicted: list[datetime]) -> None:
    archive = ForecastArchive(system.settings)
    observed = demo.observations(REFERENCE - timedelta(days=10), REFERENCE + timedelta(days=1), known_at=predicted[-1])
    # One naive forecast is missing, and one forecast is a fallback.
    observed = observed.filter(pl.col("datetime_utc") != predicted[0] - timedelta(days=2))
    forecasts = archive.read(feature_view_version=1)
    runs = scoring.with_first_hours(archive.read_runs(), forecasts)
    simple = observed.rename({"energy_consumption": "naive"}).with_columns(pl.col("datetime_utc") + timedelta(days=1))
    simple = simple.join(runs.select("reference_datetime"), how="cross")
    rows = scoring.scored(forecasts, runs=runs, observed=observed, naive=simple)
    quality = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("fallback: silent")).otherwise("quality")
    for lead, group in rows.with_columns(quality=quality).group_by("lead"):
        found = scoring.measures(group, ["lead"]).row(0, named=True)
        truth, forecast, naive = (group[name].to_numpy() for name in ("truth", "energy_consumption", "naive"))
        assert found["wape"] == pytest.approx(metrics.wape(truth, forecast)), lead
        assert found["mape"] == pytest.approx(metrics.mape(truth, forecast))
        assert found["mae"] == pytest.approx(metrics.mae(truth, forecast))
        assert found["naive_mae"] == pytest.approx(metrics.mae(truth, naive))
        assert found["naive_mape"] == pytest.approx(metrics.mape(truth, naive))
        assert found["naive_wape"] == pytest.approx(metrics.wape(truth, naive))
        assert found["relative_mae"] == pytest.approx(metrics.relative_mae(truth, forecast, naive, [0] * len(truth)))
        assert found["coverage_80"] == metrics.coverage(truth, group["q10"].to_numpy(), group["q90"].to_numpy())
        assert found["coverage_90"] == metrics.coverage(truth, group["q05"].to_numpy(), group["q95"].to_numpy())
        assert found["bias"] == pytest.approx(np.sum(forecast - truth) / np.sum(truth))
        assert found["fallback_share"] == (group["quality"] != "model").mean()


def test_what_the_models_measured_of_themselves_stands_beside_what_came(
    system: Any, predicted: list[datetime], register: Any
) -> None:
    made = system.ingest(REFERENCE + timedelta(days=2))
    other = register(made.pop("training_dataset_version"), at=predicted[-1], backtest={"wape_ratio": 0.9, "wape": None})
    batch.predict(24, model_version=other, **made, settings=system.settings)
    result = monitoring.compute(1, reference_datetime=predicted[-1], settings=system.settings)
    # The last run's forecasts are not observed yet, so only the first model has been scored.
    assert result["metrics"]["backtest_relative_mae"] == 0.5
    later = system.ingest(predicted[-1] + timedelta(hours=12))
    assert later
    result = monitoring.compute(1, reference_datetime=predicted[-1] + timedelta(hours=12), settings=system.settings)
    assert result["metrics"]["backtest_relative_mae"] == pytest.approx((12 * 0.9 + 96 * 0.5) / 108)
    assert result["metrics"]["backtest_wape"] == 0.04


def test_the_first_run_has_nothing_to_score_and_says_so(system: Any) -> None:
    system.ingest(REFERENCE)
    result = monitoring.compute(1, reference_datetime=REFERENCE, settings=system.settings)
    assert result["scored"] == 0
    assert "no forecast was archived" in result["note"]


def test_forecasts_of_hours_that_are_not_observed_yet_are_not_scored(system: Any, register: Any) -> None:
    made = system.ingest(REFERENCE)
    model = register(made.pop("training_dataset_version"), at=REFERENCE)
    batch.predict(24, model_version=model, **made, settings=system.settings)
    result = monitoring.compute(1, reference_datetime=REFERENCE + HOUR, settings=system.settings)
    assert (result["scored"], result["note"]) == (0, "none of the 72 archived forecasts' hours has been observed yet")


def test_a_run_that_is_made_again_is_monitored_as_when_it_ran_first(system: Any, register: Any) -> None:
    strict = system.settings.model_copy(update={"alarm_fallback": 0.0})

    def run(reference: datetime) -> Monitored:
        made = system.ingest(reference)
        model = register(made.pop("training_dataset_version"), at=reference)
        result = monitoring.compute(1, reference_datetime=reference, settings=strict)
        batch.predict(24, model_version=model, **made, settings=strict)
        return result

    first = [run(REFERENCE), run(REFERENCE + timedelta(days=1))]
    figures, checks = ForecastArchive(strict).read_metrics(feature_view_version=1), Alarms(strict).read_checks()
    assert [run(REFERENCE + timedelta(days=1)), run(REFERENCE)] == first[::-1]
    assert [len(each["alarms"]) for each in first] == [0, 1]
    assert ForecastArchive(strict).read_metrics(feature_view_version=1).equals(figures)
    assert Alarms(strict).read_checks().equals(checks)


def test_a_reference_time_sees_no_later_forecast_and_no_later_observation(
    system: Any, predicted: list[datetime]
) -> None:
    early = monitoring.compute(1, reference_datetime=predicted[2], settings=system.settings)
    assert early["scored"] == _slowly(system, predicted[2])["scored"]
    assert early["runs"] == 2
    monitoring.compute(1, reference_datetime=predicted[-1], settings=system.settings)
    assert monitoring.compute(1, reference_datetime=predicted[2], settings=system.settings) == early


def test_computing_in_any_order_and_again_keeps_the_same_history(system: Any, predicted: list[datetime]) -> None:
    for reference in predicted:
        monitoring.compute(1, reference_datetime=reference, settings=system.settings)
    forward = ForecastArchive(system.settings).read_metrics(feature_view_version=1)
    for reference in reversed(predicted):
        monitoring.compute(1, reference_datetime=reference, settings=system.settings)
    assert ForecastArchive(system.settings).read_metrics(feature_view_version=1).equals(forward)


def test_each_number_of_days_ends_with_the_newest_hour_that_was_observed(
    system: Any, predicted: list[datetime], register: Any
) -> None:
    later = predicted[-1] + timedelta(days=8)
    made = system.ingest(later)
    model = register(made.pop("training_dataset_version"), at=later)
    batch.predict(24, model_version=model, **made, settings=system.settings)
    system.ingest(later + timedelta(days=1))
    result = monitoring.compute(1, reference_datetime=later + timedelta(days=1), settings=system.settings)
    assert result["runs"] == 1
    kept = ForecastArchive(system.settings).read_metrics(feature_view_version=1)
    counts = kept.filter(pl.col("level") == "overall", pl.col("metric") == "wape").select("days", "n").rows()
    assert dict(counts) == {1: 72, 7: 72, 30: 72 * 6}


def test_a_feature_view_that_does_not_exist_is_an_error_that_names_those_that_do(system: Any) -> None:
    system.ingest(REFERENCE)
    with pytest.raises(NotFoundError, match=r"no feature view version 2; there are \[1\]"):
        monitoring.compute(2, settings=system.settings)
