"""The tables of findings and acceptances: written by run, idempotent, nothing lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecast_core import stores
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.quarantine import FINDINGS, Quarantine, without_accepted

AT = datetime(2023, 2, 4, 16, tzinfo=UTC)
ROW: dict[str, Any] = {
    "area": "DK1",
    "consumer_type": "111",
    "datetime_utc": datetime(2023, 1, 20, 15, tzinfo=UTC),
    "energy_consumption": -1.0,
    "expectation": "range",
    "severity": "error",
    "reason": "below zero",
}
WHOLE: dict[str, Any] = {**ROW, "datetime_utc": None, "energy_consumption": None, "expectation": "vanished"}


def findings(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=FINDINGS)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(Settings(root_dir=tmp_path))


def write(
    quarantine: Quarantine,
    *rows: dict[str, Any],
    known_at: datetime = AT,
    version: int = 1,
    window_start: datetime = AT,
) -> int:
    return quarantine.write(
        findings(*rows),
        dataset="demo",
        feature_group_version=version,
        reference_datetime=known_at,
        window_start=window_start,
    )


def test_what_was_written_is_read_with_its_run(quarantine: Quarantine) -> None:
    assert write(quarantine, ROW, WHOLE) == 2
    read = quarantine.read()
    assert read["known_at"].unique().to_list() == [AT]
    assert read.select(FINDINGS.names()).rows(named=True) == [ROW, WHOLE]
    assert read["accepted"].to_list() == [False, False]


def test_a_run_replaces_its_own_findings_and_no_others(quarantine: Quarantine) -> None:
    write(quarantine, ROW, WHOLE)
    write(quarantine, ROW, known_at=AT + timedelta(hours=1))
    write(quarantine, ROW, version=2)
    write(quarantine, ROW, window_start=AT - timedelta(days=9))
    write(quarantine, WHOLE)
    assert quarantine.read().height == 4
    write(quarantine)
    write(quarantine, window_start=AT - timedelta(days=9))
    assert quarantine.read().select("known_at", "feature_group_version").rows() == [
        (AT, 2),
        (AT + timedelta(hours=1), 1),
    ]


def test_the_same_again_commits_nothing(quarantine: Quarantine, tmp_path: Path) -> None:
    for _ in range(3):
        write(quarantine, WHOLE, ROW)
        write(quarantine, known_at=AT - timedelta(days=1))
    assert len(list((tmp_path / "store/quarantine/_delta_log").glob("*.json"))) == 2


def test_without_findings_no_table_is_made(quarantine: Quarantine, tmp_path: Path) -> None:
    assert write(quarantine) == 0
    assert list(tmp_path.iterdir()) == []
    assert quarantine.read().is_empty()


def test_an_acceptance_is_of_one_value_of_one_hour_for_one_expectation(quarantine: Quarantine) -> None:
    others = [
        {**ROW, name: value}
        for name, value in (
            ("energy_consumption", -2.0),
            ("datetime_utc", AT),
            ("expectation", "spike"),
            ("consumer_type", "112"),
            ("area", "DK2"),
        )
    ]
    write(quarantine, ROW, WHOLE, *others)
    chosen = quarantine.read().filter(
        pl.col("energy_consumption").is_null()
        | (pl.struct(pl.col(*ROW)) == pl.struct(pl.lit(value).alias(name) for name, value in ROW.items()))
    )
    assert quarantine.accept(chosen, note="right", accepted_at=AT) == 2
    assert quarantine.accept(chosen, note="again", accepted_at=AT + timedelta(hours=1)) == 0
    accepted = quarantine.accepted(dataset="demo", feature_group_version=1)
    assert set(accepted["note"]) == {"right"}
    assert quarantine.accepted(dataset="demo", feature_group_version=2).is_empty()
    left = without_accepted(findings(ROW, WHOLE, *others), accepted)
    assert left.rows(named=True) == others
    assert quarantine.read(pending=True).height == len(others)


def test_runs_that_write_at_once_lose_nothing(quarantine: Quarantine, tmp_path: Path) -> None:
    stores.create(Settings(root_dir=tmp_path))
    hours = [AT + timedelta(hours=hour) for hour in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda hour: write(quarantine, ROW, known_at=hour), hours))
    assert quarantine.read()["known_at"].to_list() == hours


def test_a_frame_of_another_form_is_refused(quarantine: Quarantine) -> None:
    with pytest.raises(InvalidArgument, match="expected the columns"):
        quarantine.write(
            pl.DataFrame({"area": ["DK1"]}),
            dataset="demo",
            feature_group_version=1,
            reference_datetime=AT,
            window_start=AT,
        )
