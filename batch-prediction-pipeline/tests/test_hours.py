"""Stored sums are used where nothing changed that they follow from, and never where something did.

The class of the fault: each run scored 30 days of forecasts anew, so its cost grew with the history. What may go wrong
instead is a stored sum that is out of date. The oracle is the same computation without any stored sum, bit by bit,
after each of many events in random order.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from batch_prediction_pipeline.monitoring import hours
from forecast_core import provenance
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR, OBSERVATIONS, QUANTILES, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.scored_hours import ScoredHours

START = datetime(2023, 1, 10, tzinfo=UTC)
GROUP: dict[str, Any] = {"dataset": "small", "feature_group_version": 1}
SERIES = [("DK1", "a"), ("DK1", "b"), ("DK2", "a")]
FH, DAYS = 5, 3


class System:
    """A store of three series that is written without any model: forecasts are random numbers."""

    def __init__(self, root: Path, seed: int) -> None:
        self.settings = Settings(root_dir=root)
        self.store, self.archive = FeatureStore(self.settings), ForecastArchive(self.settings)
        self.chance = np.random.default_rng(seed)

    def values(self, window: Window, *, missing: float = 0.1) -> pl.DataFrame:
        """OBSERVATIONS of a window: the same values in every call but for a few, which are missing or restated."""
        times = pl.datetime_range(window.start, window.end, HOUR, closed="left", time_unit="us", eager=True)
        keys = pl.DataFrame(SERIES, schema={"area": pl.String, "consumer_type": pl.String}, orient="row")
        rows = keys.join(times.cast(UTC_HOUR).to_frame("datetime_utc"), how="cross")
        usual = 50 + 10 * (pl.col("datetime_utc").dt.epoch("s") / 5000).sin()
        draw = pl.Series(self.chance.random(rows.height))
        restated = pl.when(draw > 0.95).then(usual * 1.1 + draw).otherwise(usual)
        return rows.with_columns(energy_consumption=restated).filter(draw >= missing).select(OBSERVATIONS.names())

    def ingest(self, reference: datetime, *, missing: float = 0.1) -> None:
        window = Window(reference - timedelta(days=DAYS), reference)
        named: dict[str, Any] = {**GROUP, "window": window, "reference_datetime": reference, "url": "u", "record": {}}
        self.store.ingest(self.values(window, missing=missing), **named)

    def forecast(self, reference: datetime, *, model: int = 1, gap: int = 0, torn: bool = False) -> None:
        """Archive a run; a ``torn`` one has been killed before its forecasts were written."""
        window = Window(reference - timedelta(days=DAYS), reference)
        first = reference + gap * HOUR
        target = self.values(Window(first, first + FH * HOUR), missing=0)
        noise = pl.Series(self.chance.normal(size=target.height))
        quantiles = {name: pl.col("energy_consumption") + 9 * (share - 0.5) for name, share in QUANTILES.items()}
        names = {"reference_datetime": reference, "feature_view_version": 1, "training_dataset_version": 1}
        predictions = target.with_columns(pl.col("energy_consumption") + noise).with_columns(
            **quantiles, quality=pl.lit("model")
        )
        rows = provenance.forecast_rows(predictions, run={**names, "model_version": model})
        made_by = provenance.made_by("batch_prediction_pipeline.monitoring.naive", dag_run=None)
        view = self.store.feature_view(1)
        facts = provenance.run_facts(rows, target, view=view, window=window, fh=FH, made_by=made_by)
        self.archive.write_run(facts)
        if not torn:
            self.archive.write(rows)

    def sums(self, reference: datetime) -> hours.Sums | None:
        newest = self.archive.newest_run(feature_view_version=1, reference_until=reference)
        if newest.is_empty():
            return None
        view = self.store.feature_view(1)
        return hours.of_last_days(self.settings, view, reference_datetime=reference, newest=newest)

    @contextmanager
    def without_stored_sums(self) -> Iterator[None]:
        table = Path(self.settings.store) / "scored_hours"
        aside = table.with_name("aside")
        if table.exists():
            table.rename(aside)
        yield
        shutil.rmtree(table, ignore_errors=True)
        if aside.exists():
            aside.rename(table)

    def check(self, reference: datetime) -> None:
        """Compare the sums with those of a computation from nothing."""
        found = self.sums(reference)
        with self.without_stored_sums():
            expected = self.sums(reference)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            for one, other in ((found.by_series, expected.by_series), (found.by_run, expected.by_run)):
                assert one.equals(other, null_equal=True), reference


@pytest.fixture
def small(tmp_path: Path) -> System:
    made = System(tmp_path, seed=0)
    made.ingest(START)
    made.store.create_feature_view(**GROUP)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_a_computation_from_nothing_after_events_in_any_order(tmp_path: Path, seed: int) -> None:
    system, chance = System(tmp_path, seed), random.Random(seed)  # noqa: S311  # no secret
    system.ingest(START)
    system.store.create_feature_view(**GROUP)
    references = [START + step * HOUR for step in range(1, 14)]
    for _ in range(24):
        reference = chance.choice(references)
        # Ingests restate values, bring late ones, and come before others; runs are repeated with other forecasts,
        # from other first hours, and killed.
        event = chance.choice(["ingest", "forecast", "forecast", "again", "gap", "torn"])
        if event == "ingest":
            system.ingest(reference)
        else:
            model = 2 if event == "again" else 1
            system.forecast(reference, model=model, gap=3 * (event == "gap"), torn=event == "torn")
        system.check(chance.choice(references))
    for reference in references:
        system.check(reference)


def scored_from(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was computed since the last call, as the log tells."""
    lines = [each.getMessage() for each in caplog.records if "computed the scores" in each.getMessage()]
    caplog.clear()
    return lines


def test_a_run_computes_only_the_hours_that_became_known_or_were_restated(
    small: System, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for step in range(10):
        small.ingest(START + step * HOUR, missing=0)
        small.forecast(START + step * HOUR)
    end = START + 10 * HOUR
    small.sums(end)
    assert scored_from(caplog) == ["computed the scores of 9 hours from 105 forecasts"]
    small.sums(end)
    assert scored_from(caplog) == []
    # One hour more is known: it was forecast by five runs.
    small.ingest(end, missing=0)
    small.forecast(end)
    small.sums(end + HOUR)
    [line] = scored_from(caplog)
    assert int(line.split()[4]) <= 9
    # The run of an old hour again, with another model: its five hours.
    small.forecast(START + 2 * HOUR, model=2)
    small.sums(end + HOUR)
    assert scored_from(caplog) == ["computed the scores of 5 hours from 66 forecasts"]


def test_forecasts_that_are_not_those_of_their_facts_are_scored_but_nothing_is_stored_of_them(small: System) -> None:
    small.forecast(START)
    # Killed between the two commits, of the same versions: the old forecasts stand beside the new facts.
    small.forecast(START, torn=True)
    small.ingest(START + 6 * HOUR, missing=0)
    found = small.sums(START + 6 * HOUR)
    assert found is not None
    assert found.by_series["n"].sum() == FH * len(SERIES)
    stored = ScoredHours(small.settings).read(feature_view_version=1, starts_from=START, hours_from=START)
    assert stored.is_empty()
    small.forecast(START)
    small.check(START + 6 * HOUR)


def test_sums_of_another_version_of_the_code_are_computed_anew(
    small: System, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    small.forecast(START)
    small.ingest(START + 6 * HOUR, missing=0)
    for code, computed in (("a", 1), ("a", 0), ("b", 1)):
        monkeypatch.setattr(hours, "_code", lambda code=code: code)
        small.sums(START + 6 * HOUR)
        assert len(scored_from(caplog)) == computed
