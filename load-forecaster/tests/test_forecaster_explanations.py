"""Explanations: contributions that sum to the forecast."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import load_forecaster
from load_forecaster import ForecasterConfig, testing
from load_forecaster.schema import KEY, REASONS

END = datetime(2024, 2, 15, 7, tzinfo=UTC)
QUICK = ForecasterConfig(trees=15, learning_rate=0.2, bags=2)


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    rows = testing.observations(END - timedelta(days=14), END)
    rows = rows.filter(pl.col("consumer_type").is_in(["111", "121"]))
    zeros = pl.col("consumer_type") == "121", pl.col("area") == "DK2"
    return rows.with_columns(pl.when(*zeros).then(0.0).otherwise("energy_consumption").alias("energy_consumption"))


@pytest.fixture(scope="module")
def explained(data: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    model = load_forecaster.fit(data, end=END, config=QUICK, calibration=load_forecaster.Calibration())
    predictions, reasons = model.predict_and_explain(data, end=END)
    assert_frame_equal(predictions, model.predict(data, end=END), check_exact=True)
    return predictions, reasons


def test_what_the_members_add_sums_to_the_forecast(explained: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    predictions, reasons = explained
    assert reasons.schema == REASONS
    assert reasons["value"].is_finite().all()
    sums = reasons.filter(kind="member").group_by(KEY).agg(pl.col("value").sum()).sort(KEY)
    both = predictions.filter(pl.col("energy_consumption") > 0).join(sums, on=KEY, how="left")
    assert both["value"].to_numpy() == pytest.approx(both["energy_consumption"].to_numpy(), abs=0.01)
    names = reasons.filter(kind="member", area="DK1")["name"].unique().to_list()
    assert sorted(names) == ["autoregression", "ridge", "smoothing", "trees"]


def test_what_the_inputs_add_sums_to_what_the_fitted_members_say(explained: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    _, reasons = explained
    fitted = reasons.filter(pl.col("name").is_in(["ridge", "trees"]) & (pl.col("kind") == "member"))
    sums = [
        frame.group_by(KEY).agg(pl.col("value").sum()).sort(KEY) for frame in (reasons.filter(kind="feature"), fitted)
    ]
    assert_frame_equal(sums[0], sums[1], abs_tol=0.02)
    names = set(reasons.filter(kind="feature")["name"])
    assert names >= {"usual course", "earlier days", "latest hours", "all series", "level"}
    by_size = reasons.filter(kind="feature").group_by("name").agg(pl.col("value").abs().mean()).sort("value")
    assert by_size["name"][-1] == "usual course"
    assert by_size["value"][-1] > 3 * by_size["value"][-2]


def test_a_fallback_explains_itself_as_one(data: pl.DataFrame) -> None:
    silent = data.filter(
        (pl.col("consumer_type") != "111") | (pl.col("datetime_utc") < END - timedelta(days=3)),
    )
    model = load_forecaster.fit(data, end=END, config=QUICK, calibration=load_forecaster.Calibration())
    _, reasons = model.predict_and_explain(silent, end=END)
    assert reasons.filter(consumer_type="111").select("kind", "name").unique().rows() == [("member", "fallback")]
    assert np.isin(["ridge", "trees"], reasons.filter(consumer_type="121", area="DK1")["name"]).all()
