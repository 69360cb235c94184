import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch_prediction_pipeline import batch, monitoring
from forecast_core import demo
from forecast_core.errors import NotFoundError
from forecast_core.forecasts import ForecastArchive

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
    """Score row by row, from the demo itself."""
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


def test_figures_are_kept_over_all_per_hour_and_per_series(system: Any, predicted: list[datetime]) -> None:
    result = monitoring.compute("1", settings=system.settings)
    kept = ForecastArchive(system.settings).read_metrics(feature_view_version=1)
    assert kept["reference_datetime"].unique().to_list() == [predicted[-1]]
    wape = kept.filter(pl.col("metric") == "wape")
    assert wape.filter(pl.col("level") == "overall")["value"].to_list() == [result["metrics"]["wape"]]
    assert wape.filter(pl.col("level") == "series").height == 3
    hours = wape.filter(pl.col("level") == "hour")
    assert hours["datetime_utc"].min() == predicted[0] - timedelta(days=1)
    assert hours["datetime_utc"].max() == predicted[-1] - timedelta(days=1, hours=1)
    assert wape.group_by("level").agg(pl.col("n").sum())["n"].unique().to_list() == [result["scored"]]


def test_the_first_run_has_nothing_to_score_and_says_so(system: Any) -> None:
    system.ingest(REFERENCE)
    result = monitoring.compute(1, reference_datetime=REFERENCE, settings=system.settings)
    assert result["scored"] == 0
    assert "no forecast was archived" in result["note"]


def test_forecasts_of_hours_that_are_not_observed_yet_are_not_scored(system: Any, register: Any) -> None:
    made = system.ingest(REFERENCE)
    model = register(made.pop("training_dataset_version"), at=REFERENCE)
    batch.predict(24, model_version=model, **made, settings=system.settings)
    result = monitoring.compute(1, reference_datetime=REFERENCE, settings=system.settings)
    assert (result["scored"], result["note"]) == (0, "none of the 72 archived forecasts' hours has been observed yet")


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


def test_forecasts_older_than_a_week_are_left_alone(system: Any, predicted: list[datetime]) -> None:
    later = predicted[0] + timedelta(days=7, hours=13)
    system.ingest(later)
    result = monitoring.compute(1, reference_datetime=later, settings=system.settings)
    assert result["runs"] == len([each for each in predicted if each >= later - timedelta(days=7)]) == 3


def test_a_feature_view_that_does_not_exist_is_an_error_that_names_those_that_do(system: Any) -> None:
    system.ingest(REFERENCE)
    with pytest.raises(NotFoundError, match=r"no feature view version 2; there are \[1\]"):
        monitoring.compute(2, settings=system.settings)
