"""Champion and challenger: which configuration is trained, why, and what a person can change."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_pipeline import demo
from forecast_core import tracking
from forecast_core.alarms import CHECKS, OVERALL, Alarms
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.tracking import Promotion, Search, Searches
from load_forecaster import DEFAULT, ForecasterConfig
from training_pipeline import train
from training_pipeline.__main__ import main
from training_pipeline.comparison import Comparison, backtest, compare

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)
LINEAR = replace(DEFAULT, trees_weight=0.0)
BAD = replace(LINEAR, ridge_penalty=1e6, origin_decay=0.01)


def offer(
    system: Any,
    config: ForecasterConfig | dict[str, Any],
    *,
    at: datetime = REFERENCE,
    name: str = "s1",
    days: int = 18,
) -> None:
    """Upload a configuration as the best one of a search at a reference time."""
    made = system.ingest(at, days=days)
    search = Search(
        sweep_id=name,
        feature_view_version=1,
        fh=24,
        gap=0,
        reference_datetime=at,
        training_dataset_version=made["training_dataset_version"],
        window_end=at - timedelta(days=1),
        trials=1,
        pruned=0,
        folds=1,
        held_out=2,
        default_value=0.7,
        best_value=0.6,
        best_config=config if isinstance(config, dict) else config.to_dict(),
        metrics={},
    )
    Searches(system.settings).write(search, uploaded=True)


def trained(system: Any, at: datetime = REFERENCE, **more: Any) -> train.TrainingResult:
    made = system.ingest(at, days=more.pop("days", 18))
    return train.from_best_config(
        24, 1, made["training_dataset_version"], reference_datetime=at, **more, settings=system.settings
    )


def by_a_person(config: dict[str, Any] | None, at: datetime) -> Promotion:
    """A decision of a person for a configuration."""
    return Promotion(
        action="promote",
        reference_datetime=at,
        feature_view_version=1,
        fh=24,
        config=config,
        source="by hand",
        candidate=config,
        reason="",
        test={},
        by="person",
    )


def decisions(settings: Settings) -> list[tuple[str, int]]:
    found = tracking.promotions(settings, feature_view_version=1)
    return [(each.action, (each.reference_datetime - REFERENCE) // HOUR) for each in found]


def test_without_a_challenger_the_shipped_default_is_champion_and_nothing_is_recorded(system: Any) -> None:
    result = trained(system)
    assert result["champion"]["decision"] == "unchallenged"
    assert result["champion"]["champion"] == "default"
    assert decisions(system.settings) == []
    assert tracking.champion(system.settings, feature_view_version=1) is None
    assert tracking.named_champion(system.settings, feature_view_version=1) is None


def test_a_challenger_that_is_worse_is_not_promoted_and_the_run_says_why(system: Any) -> None:
    offer(system, BAD)
    result = trained(system)
    assert result["config"] == DEFAULT.to_dict()
    facts = result["champion"]
    assert (facts["decision"], facts["champion"]) == ("keep", "default")
    assert facts["reason"].startswith("not shown to be no worse than the champion on the last 2 origins of 3 series")
    assert facts["test"]["upper"] > facts["test"]["margin"] == 0.01
    assert facts["changed"] == {}
    # Decided once: the same again, and the next run, compare nothing.
    assert trained(system) == result
    assert trained(system, REFERENCE + HOUR)["champion"]["reason"] == facts["reason"]
    assert decisions(system.settings) == [("keep", 0)]


def test_a_challenger_that_is_not_worse_is_champion_from_then_on_and_never_before(system: Any) -> None:
    settings = system.settings.model_copy(update={"promotion_margin": 10.0})
    later = type(system)(settings)
    offer(later, LINEAR)
    result = trained(later)
    assert result["config"] == LINEAR.to_dict()
    facts = result["champion"]
    assert (facts["decision"], facts["champion"]) == ("promote", "best_config from sweep s1")
    assert facts["changed"] == {"trees_weight": [DEFAULT.trees_weight, 0.0]}
    card = tracking.model_version(settings, result["model_version"]).tags
    assert json.loads(card["champion"]) == facts
    assert trained(later, REFERENCE + HOUR)["config"] == LINEAR.to_dict()
    assert trained(later, REFERENCE - HOUR)["config"] == DEFAULT.to_dict()
    # The alias is on the newest model of the champion's recipe by reference time, not on the one trained last.
    named = tracking.named_champion(settings, feature_view_version=1)
    assert named is not None
    assert tracking.model_version(settings, named).tags["reference_datetime"] == f"{REFERENCE + HOUR:{DATETIME_FORMAT}}"


def test_a_rollback_stands_until_a_newer_search_finds_something(system: Any) -> None:
    wide = type(system)(system.settings.model_copy(update={"promotion_margin": 10.0}))
    offer(system, LINEAR)
    assert trained(wide)["champion"]["decision"] == "promote"
    back = tracking.rollback(
        system.settings, feature_view_version=1, reference_datetime=REFERENCE + HOUR / 2, reason="too low at night"
    )
    assert (back.config, back.source) == (None, "default")
    assert trained(wide, REFERENCE + HOUR)["config"] == DEFAULT.to_dict()
    assert trained(wide)["config"] == LINEAR.to_dict()
    offer(system, LINEAR, at=REFERENCE + 2 * HOUR, name="s2")
    assert trained(wide, REFERENCE + 2 * HOUR)["champion"]["champion"] == "best_config from sweep s2"
    assert decisions(system.settings) == [("promote", 0), ("rollback", 0), ("promote", 2)]


def test_a_person_promotes_and_rolls_back_from_the_shell(system: Any, monkeypatch: Any, capsys: Any) -> None:
    for name, value in {"ROOT_DIR": system.settings.root, "TRACKING_URI": system.settings.tracking}.items():
        monkeypatch.setenv(f"ML_PIPELINE_{name}", str(value))
    first = trained(system)["model_version"]
    offer(system, LINEAR)
    wide = type(system)(system.settings.model_copy(update={"promotion_margin": 10.0}))
    assert trained(wide)["config"] == LINEAR.to_dict()
    at = ["--reference-datetime", f"{REFERENCE + HOUR:{DATETIME_FORMAT}}"]
    assert main(["promote", "--model-version", str(first), "--reason", "steadier", *at]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == f"model version {first}"
    assert tracking.named_champion(system.settings, feature_view_version=1) == first
    assert trained(wide, REFERENCE + HOUR)["config"] == DEFAULT.to_dict()
    assert main(["rollback", "--reference-datetime", f"{REFERENCE + 2 * HOUR:{DATETIME_FORMAT}}"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "best_config from sweep s1"
    assert trained(wide, REFERENCE + 2 * HOUR)["config"] == LINEAR.to_dict()
    assert main(["promotions"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["action"] for each in shown["decisions"]] == ["promote", "promote", "rollback"]
    assert shown["champion"]["source"] == "best_config from sweep s1"
    # Without a time, a decision holds from now on, and so not in any past hour.
    assert main(["promote", "--model-version", str(first)]) == 0
    assert trained(wide, REFERENCE + 2 * HOUR)["config"] == LINEAR.to_dict()


def test_promotion_of_what_is_not_there_is_an_error_that_says_so(system: Any) -> None:
    with pytest.raises(NotFoundError, match="no model version 7"):
        tracking.promote(system.settings, model_version=7, reference_datetime=REFERENCE)
    with pytest.raises(InvalidArgument, match="is the shipped default: there is none before it"):
        tracking.rollback(system.settings, feature_view_version=1, reference_datetime=REFERENCE)


def test_a_configuration_of_another_version_of_the_code_is_passed_over_and_the_run_goes_on(system: Any) -> None:
    offer(system, {**DEFAULT.to_dict(), "no_such_setting": 1})
    assert trained(system)["config"] == DEFAULT.to_dict()
    tracking.record_promotion(system.settings, by_a_person({"no_such_setting": 1}, REFERENCE))
    assert trained(system)["config"] == DEFAULT.to_dict()


def test_a_window_too_short_to_compare_in_keeps_the_champion(system: Any) -> None:
    offer(system, LINEAR, days=12)
    result = trained(system, days=12)
    assert result["champion"]["decision"] == "keep"
    assert "too short" in result["champion"]["reason"]


def rows(forecast: float, *, series: int = 30, seed: int = 0) -> pl.DataFrame:
    """A backtest of five origins, whose errors are noise times ``forecast``."""
    chance = np.random.default_rng(seed)
    keys = [
        (REFERENCE + timedelta(days=day), "DK1", str(number), REFERENCE + timedelta(days=day, hours=hour))
        for day in range(5)
        for number in range(series)
        for hour in range(24)
    ]
    frame = pl.DataFrame(keys, schema=["origin", "area", "consumer_type", "datetime_utc"], orient="row")
    noise = chance.normal(size=(2, len(keys)))
    return frame.with_columns(
        truth=pl.lit(100.0), forecast=100 + forecast * pl.Series(noise[0]), naive=100 + 2 * pl.Series(noise[1])
    )


def test_the_figures_of_a_comparison_are_those_of_a_slow_loop() -> None:
    champion, challenger = rows(1.0), rows(1.1, seed=1)
    found = compare(champion, challenger.with_columns(naive=champion["naive"]))

    def objective(frame: pl.DataFrame) -> float:
        error, naive = (np.abs(each.to_numpy() - 100) for each in (frame["forecast"], champion["naive"]))
        of = frame["consumer_type"].to_numpy()
        ratios = [error[of == name].sum() / naive[of == name].sum() for name in frame["consumer_type"].unique()]
        return float(error.sum() / naive.sum() + np.mean(ratios)) / 2

    assert found.champion == pytest.approx(objective(champion))
    assert found.challenger == pytest.approx(objective(challenger))
    assert found.difference == pytest.approx(found.challenger / found.champion - 1)
    assert (found.origins, found.series) == (5, 30)


def test_the_test_lets_the_same_through_and_stops_what_is_clearly_worse() -> None:
    champion = rows(1.0)
    same = compare(champion, champion)
    assert (same.difference, same.upper) == (0.0, 0.0)
    assert same.is_not_worse(0.0)
    worse = compare(champion, champion.with_columns(forecast=100 + 1.2 * (pl.col("forecast") - 100)))
    assert worse.difference == pytest.approx(0.2)
    assert not worse.is_not_worse(0.05)
    assert worse.worse_share == 1.0
    better = compare(champion, champion.with_columns(forecast=100 + 0.9 * (pl.col("forecast") - 100)))
    assert better.is_not_worse(0.0)


def test_of_challengers_that_are_worse_by_the_margin_few_get_through() -> None:
    margin, passed, runs = 0.05, 0, 100
    for seed in range(runs):
        chance = np.random.default_rng(seed)
        champion = rows(1.0, series=12, seed=seed)
        # Worse by the margin on average, and by another share on each day and in each series.
        day = {each: 1 + margin + chance.normal() * 0.06 for each in champion["origin"].unique()}
        kind = {each: chance.normal() * 0.02 for each in champion["consumer_type"].unique()}
        factor = pl.col("origin").replace_strict(day, return_dtype=pl.Float64) + pl.col("consumer_type").replace_strict(
            kind, return_dtype=pl.Float64
        )
        challenger = champion.with_columns(forecast=100 + factor * (pl.col("forecast") - 100))
        passed += compare(champion, challenger).is_not_worse(margin)
    # Five origins are few, so more than the nominal 5 of 100 do; drawn by series alone, 43 would.
    assert passed <= 20


def test_a_backtest_is_what_the_model_forecast_from_what_was_known_at_each_origin() -> None:
    end = datetime(2023, 1, 31, tzinfo=UTC)
    history = demo.observations(end - timedelta(days=16), end, known_at=end + timedelta(days=20)).filter(
        pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121"])
    )
    options: dict[str, Any] = {"end": end, "fh": 24, "config": LINEAR, "threads": 1, "origins": 2}
    found = backtest(history, **options)
    assert sorted(found["origin"].unique()) == [end - timedelta(days=2), end - timedelta(days=1)]
    assert found.height == 2 * 2 * 24
    last = end - timedelta(days=1)
    spoilt = history.with_columns(
        energy_consumption=pl.when(pl.col("datetime_utc") >= last).then(1.0).otherwise("energy_consumption")
    )
    assert backtest(spoilt, **options)["forecast"].equals(found["forecast"])


def test_comparisons_travel_as_json() -> None:
    comparison = Comparison(5, 76, 0.6, 0.59, -0.01, 0.002, 0.1)
    assert json.loads(json.dumps(comparison.to_dict()))["upper"] == 0.002


def check(at: datetime, level: str) -> pl.DataFrame:
    row = (at, 1, "monitoring", "skill", OVERALL, level, 1.2, 1.0, "worse than naive")
    return pl.DataFrame([row], schema=CHECKS, orient="row")


def test_a_model_is_kept_for_as_many_hours_as_the_policy_says(system: Any) -> None:
    results = [trained(system, REFERENCE + step * HOUR, retrain="every 3 hours") for step in range(5)]
    assert [each["model_version"] for each in results] == [1, 1, 1, 2, 2]
    assert [each["training"]["trained"] for each in results] == [True, False, False, True, False]
    assert results[2]["training"]["reason"] == (
        "every 3 hours: model version 1 was fitted on just these hours, up to 2023-01-31 12:00"
    )
    # An earlier hour sees no later model, and a promotion is another recipe.
    assert trained(system, REFERENCE - HOUR, retrain="every 3 hours")["training"]["trained"]
    tracking.record_promotion(system.settings, by_a_person(LINEAR.to_dict(), REFERENCE + 5 * HOUR))
    assert trained(system, REFERENCE + 5 * HOUR, retrain="every 3 hours")["config"] == LINEAR.to_dict()


def test_on_alarm_a_model_is_trained_first_and_then_while_an_alarm_is_open(system: Any) -> None:
    book, trained_in = Alarms(system.settings), []
    for step, level in enumerate(["ok", "notify", "ok", "ok"]):
        at = REFERENCE + step * 7 * HOUR
        trained_in.append(trained(system, at, retrain="on_alarm")["training"]["trained"])
        book.write(check(at, level))
    assert trained_in == [True, False, True, False]


@pytest.mark.parametrize("text", ["sometimes", "every hours", "every -1 hours", "24"])
def test_a_policy_that_cannot_be_read_is_refused(system: Any, text: str) -> None:
    with pytest.raises(InvalidArgument, match="every_run, every N hours or on_alarm"):
        trained(system, retrain=text)
