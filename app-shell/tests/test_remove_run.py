"""`energy remove-run` takes back a run that should not have been, so that everything is as before it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore

REFERENCE = datetime(2024, 3, 31, 5, tzinfo=UTC)


def as_json(energy: Any, *arguments: str) -> Any:
    return json.loads(energy(*arguments, "--json").stdout)


def contents(energy: Any) -> dict[str, Any]:
    """What reads of every kind give, for all reference times."""
    settings = Settings(root_dir=Path(energy.variables["ML_PIPELINE_ROOT_DIR"]))
    store, archive = FeatureStore(settings), ForecastArchive(settings)
    window = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC))
    group: dict[str, Any] = {"dataset": "ConsumptionDE35Hour", "feature_group_version": 1}
    return {
        "revisions": store.read_revisions(**group, window=window).rows(),
        "ingests": [each.facts() for each in store.ingests()],
        "forecasts": archive.read().rows(),
        "runs": archive.read_runs().rows(),
        "metrics": archive.read_metrics(feature_view_version=1).rows(),
        "checks": Alarms(settings).read_checks().rows(),
    }


@pytest.mark.parametrize("wrong", ["2024-03-31T09:00", "2024-03-30T11:00"], ids=["future", "past"])
def test_a_removed_run_leaves_everything_as_it_was_and_can_be_made_again(
    energy_copy: Any, source: str, wrong: str
) -> None:
    """Class: a run whose time was typed wrong could not be taken back, whether it was too late or too early."""
    run = ["run", "--url", source, "--delay", "1", "--export", "16", "--reference", wrong, "--allow-future"]
    before = contents(energy_copy)
    energy_copy(*run)
    made = contents(energy_copy)
    assert made != before
    said = " ".join(energy_copy("remove-run", "--reference", wrong, "--yes", width=300).stdout.split())
    assert "removed: the run at " + wrong.replace("T", " ") in said
    assert "72 of forecasts" in said
    assert "1 of ingests" in said
    assert contents(energy_copy) == before
    energy_copy(*run)
    assert contents(energy_copy)["forecasts"] == made["forecasts"]


def test_without_a_terminal_a_removal_needs_yes_and_changes_nothing(energy_copy: Any) -> None:
    before = contents(energy_copy)
    [line] = energy_copy("remove-run", "--reference", "2024-03-31T05:00", code=1).stderr.splitlines()
    assert "This removes the run at 2024-03-31 05:00 UTC (feature view 1, ConsumptionDE35Hour" in line
    assert "72 forecasts" in line
    assert line.endswith("give --yes to do it")
    assert contents(energy_copy) == before


def test_a_run_that_is_absent_is_named_with_those_that_there_are(energy: Any) -> None:
    [line] = energy("remove-run", "--reference", "2024-03-31T06:00", "--yes", code=1).stderr.splitlines()
    assert line == "error: there is no run at 2024-03-31 06:00 UTC; the newest are at 2024-03-31 05:00"


def test_decisions_stay_when_the_run_goes(energy_copy: Any) -> None:
    energy_copy("promote", "1", "--reason", "steadier", "--yes")
    removed = as_json(energy_copy, "remove-run", "--reference", "2024-03-31T05:00", "--yes")
    assert removed["model_versions"] == [1]
    assert removed["removed_values"] == removed["lost_values"] > 0
    assert [each["reason"] for each in as_json(energy_copy, "models")["decisions"]] == ["steadier"]
    state = as_json(energy_copy, "status")
    assert (state["data"], state["last_run"]) == ([], None)
