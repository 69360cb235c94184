"""Maintenance as a step of the pipeline: every table, by the function and from a shell."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from feature_pipeline import maintenance, pipeline
from feature_pipeline.__main__ import main
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore


def test_small_files_become_few_and_every_value_stays(
    rows: pl.DataFrame,
    archive: Callable[[pl.DataFrame], str],
    settings: Settings,
    window: Window,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = archive(rows)
    reference = window.end + timedelta(days=15)
    for later in range(4):
        pipeline.run(reference + later * HOUR, 15, 1, url, settings=settings)
    store = FeatureStore(settings)
    group: dict[str, Any] = {"dataset": "ConsumptionDE35Hour", "feature_group_version": 1, "window": window}
    before = store.read(with_known_at=True, **group, reference_datetime=reference + 4 * HOUR)
    monkeypatch.setenv("ML_PIPELINE_ROOT_DIR", str(settings.root))
    assert main(["maintain", "--keep-days", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["keep_days"] == 3
    ingests = report["tables"]["ingests"]
    assert (ingests["files_before"], ingests["files_after"]) == (4, 1)
    assert "observations/ConsumptionDE35Hour/v1" in report["tables"]
    assert store.read(with_known_at=True, **group, reference_datetime=reference + 4 * HOUR).equals(before)


def test_a_store_in_which_nothing_is_yet_has_nothing_to_maintain(settings: Settings) -> None:
    assert maintenance.run(settings=settings) == {"keep_days": 7, "tables": {}}


@pytest.mark.parametrize("days", ["0", -1, "a week"])
def test_days_that_are_none_are_refused(settings: Settings, days: int | str) -> None:
    with pytest.raises(InvalidArgument, match="keep_days must be"):
        maintenance.run(days, settings=settings)
