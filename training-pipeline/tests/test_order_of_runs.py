"""The same runs in any order give the same forecasts: with every policy, with revised data, and beside searches."""

import itertools
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import load_forecaster
from feature_pipeline import demo
from forecast_core import tracking
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.tracking import Search, Searches
from load_forecaster import DEFAULT
from training_pipeline import train

REFERENCE = datetime(2023, 2, 1, 12, tzinfo=UTC)
LINEAR = replace(DEFAULT, trees_weight=0.0)
HEAVIER = replace(LINEAR, ridge_penalty=0.5)
REVISED = REFERENCE - timedelta(days=5)
"""An hour whose value is restated at ``REFERENCE`` + 2 hours."""


@dataclass
class World:
    """A system of its own, in which runs and searches take place in any order."""

    settings: Settings

    def dataset(self, at: datetime) -> int:
        """Do what the feature pipeline does: store what the source says at a time; return the training dataset."""
        window, store = Window.before(at, days_delay=1, days_export=16), FeatureStore(self.settings)
        is_wrong = (pl.col("datetime_utc") == REVISED) & pl.lit(at < REFERENCE + 2 * HOUR)
        value = pl.when(is_wrong).then(1.2 * pl.col("energy_consumption")).otherwise("energy_consumption")
        frame = demo.observations(window.start, window.end, known_at=at).with_columns(energy_consumption=value.round())
        store.ingest(
            frame.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121"])),
            dataset="demo",
            feature_group_version=1,
            window=window,
            reference_datetime=at,
            url="demo://denmark",
            record={},
        )
        view = store.create_feature_view(dataset="demo", feature_group_version=1)
        return store.create_training_dataset(feature_view_version=view, window=window, reference_datetime=at).version

    def run(self, at: datetime, *, retrain: str) -> list[float]:
        """Train and forecast at a time; return the forecasts."""
        number = self.dataset(at)
        made = train.from_best_config(24, 1, number, reference_datetime=at, retrain=retrain, settings=self.settings)
        model = tracking.model_version(self.settings, made["model_version"])
        fitted = load_forecaster.load(tracking.download_model(self.settings, model))
        history = FeatureStore(self.settings).read_training_dataset(number)
        forecasts = fitted.predict(history, end=Window.before(at, days_delay=1, days_export=16).end)
        return forecasts["energy_consumption"].to_list()

    def search(self, at: datetime, config: Any) -> None:
        """Upload the best configuration of a search at a time."""
        search = Search(
            sweep_id=f"{at:%H}-{config.ridge_penalty}",
            feature_view_version=1,
            fh=24,
            gap=0,
            reference_datetime=at,
            training_dataset_version=self.dataset(at),
            window_end=at - timedelta(days=1),
            trials=1,
            pruned=0,
            folds=1,
            held_out=2,
            default_value=0.7,
            best_value=0.6,
            best_config=config.to_dict(),
            metrics={},
        )
        Searches(self.settings).write(search, uploaded=True)


@pytest.fixture
def worlds(settings: Settings) -> Any:
    """Gives new systems; every challenger is promoted in them."""
    numbers = itertools.count()

    def make() -> World:
        root: Path = settings.root.parent / f"world-{next(numbers)}"
        root.mkdir()
        database = shutil.copy(settings.root / "mlflow.db", root / "mlflow.db")
        own = {"root_dir": root, "tracking_uri": f"sqlite:///{database}?timeout=5", "promotion_margin": 10.0}
        return World(settings.model_copy(update=own))

    return make


# Each starts with another run; the last of every order repeats the first.
ORDERS = ((0, 1, 2, 3, 0), (3, 1, 0, 2, 3), (2, 3, 1, 0, 2))


@pytest.mark.parametrize("retrain", ["every 2 hours", "on_alarm", "every_run"])
def test_the_same_runs_in_any_order_give_the_same_forecasts(worlds: Any, retrain: str) -> None:
    found = []
    for order in ORDERS:
        world = worlds()
        forecasts: dict[int, Any] = {}
        for step in order:
            made = world.run(REFERENCE + step * HOUR, retrain=retrain)
            assert forecasts.setdefault(step, made) == made, "a run that is repeated gives the same"
        found.append(forecasts)
    assert found[0] == found[1] == found[2]
    # What each run alone gives.
    assert worlds().run(REFERENCE + 3 * HOUR, retrain=retrain) == found[0][3]


def test_runs_between_two_multiples_share_a_model_until_a_value_is_restated(worlds: Any) -> None:
    world = worlds()
    for step in range(6):
        world.run(REFERENCE + step * HOUR, retrain="every 3 hours")
    versions = tracking.find_model_versions(world.settings)
    # At 12:00, at 14:00 because a value was restated then, and at 15:00.
    assert [each.tags["reference_datetime"][-5:] for each in versions] == ["12:00", "14:00", "15:00"]


def test_searches_count_from_their_reference_time_on_in_whatever_order_they_come(worlds: Any) -> None:
    def run(world: World, step: int) -> list[float]:
        return world.run(REFERENCE + step * HOUR, retrain="every 2 hours")

    found = []
    for order in ("0abc", "cab0", "b0ac"):
        world = worlds()
        for event in order:
            if event == "0":
                # A run of each hour, some before a search that counts for them is there.
                for step in (2, 0, 3, 1):
                    run(world, step)
            elif event == "a":
                world.search(REFERENCE + HOUR, LINEAR)
            elif event == "b":
                world.search(REFERENCE + 3 * HOUR, HEAVIER)
        # Whatever ran before a search was there is run again.
        found.append([run(world, step) for step in range(4)])
    assert found[0] == found[1] == found[2]
    assert found[0][0] == run(worlds(), 0), "a search changes nothing before its reference time"
    assert len({str(each) for each in found[0]}) == 4


def test_a_window_too_short_for_its_policy_is_refused(worlds: Any) -> None:
    with pytest.raises(InvalidArgument, match="needs a window of 480 hours or more, not of 384"):
        worlds().run(REFERENCE, retrain="every 240 hours")
