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
from forecast_core.quarantine import FINDINGS, TABLES, Quarantine, is_accepted
from forecast_core.tables.delta import Change, Table

AT = datetime(2023, 2, 4, 16, tzinfo=UTC)
ROW: dict[str, Any] = {
    "area": "DK1",
    "consumer_type": "111",
    "datetime_utc": datetime(2023, 1, 20, 15, tzinfo=UTC),
    "energy_consumption": -1.0,
    "factor": None,
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
    judged = findings(ROW, WHOLE, *others)
    left = judged.filter(~is_accepted(judged, accepted))
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


def test_an_acceptance_that_holds_on_is_for_all_values_of_the_series_from_its_run_on(quarantine: Quarantine) -> None:
    negative = {**ROW, "expectation": "negative"}
    others = [
        {**negative, "consumer_type": "112"},
        {**negative, "expectation": "spike"},
        {**negative, "energy_consumption": -7.0, "datetime_utc": AT},
    ]
    hour = timedelta(hours=1)
    for known_at in (AT - hour, AT, AT + hour):
        write(quarantine, negative, *others, known_at=known_at)
    chosen = quarantine.read(reference_datetime=AT).filter(consumer_type="111", expectation="negative")
    assert quarantine.accept(chosen, note="feeds in", accepted_at=AT, holds_on=True) == 1
    assert quarantine.accept(chosen, note="feeds in", accepted_at=AT, holds_on=True) == 0
    left = quarantine.read(pending=True)
    assert left.filter(consumer_type="111", expectation="negative")["known_at"].to_list() == [AT - hour] * 2
    assert left.filter(pl.col("known_at") >= AT).height == 4
    group: dict[str, Any] = {"dataset": "demo", "feature_group_version": 1}
    assert quarantine.accepted(**group, reference_datetime=AT - hour).is_empty()
    accepted = quarantine.accepted(**group, reference_datetime=AT)
    judged = findings(negative, *others)
    assert is_accepted(judged, accepted).to_list() == [True, False, False, True]


def test_a_factor_is_accepted_alone(quarantine: Quarantine) -> None:
    factor = {**WHOLE, "expectation": "factor", "factor": 0.001}
    write(quarantine, factor, {**factor, "factor": 0.01})
    assert quarantine.accept(quarantine.read().filter(factor=0.001), note="MWh now", accepted_at=AT) == 1
    assert quarantine.read(pending=True)["factor"].to_list() == [0.01]


def test_tables_of_format_2_are_read_and_written_on(tmp_path: Path) -> None:
    """Version 1.0.0 had neither factors nor ``known_from``, and its rule for negative values was ``range``."""
    settings = Settings(root_dir=tmp_path)
    for declaration, added in zip(TABLES, (["factor"], ["factor", "known_from"]), strict=True):
        newest = declaration.table(settings)
        old = pl.Schema({name: kind for name, kind in newest.schema.items() if name not in added})
        values = {**ROW, "dataset": "demo", "feature_group_version": 1, "known_at": AT, "window_start": AT}
        values |= {"known_date": AT.date(), "note": "feeds in", "accepted_at": AT}
        row = pl.DataFrame([{name: values[name] for name in old}], schema=old)
        Table(newest.uri, old, newest.partition_by).commit(lambda _, row=row: (None, Change(row)))  # type: ignore[misc]
    quarantine = Quarantine(settings)
    assert quarantine.read().select("expectation", "factor", "accepted").rows() == [("negative", None, True)]
    write(quarantine, {**ROW, "expectation": "negative", "energy_consumption": -2.0}, known_at=AT + timedelta(hours=1))
    assert quarantine.read()["accepted"].to_list() == [True, False]
    quarantine.accept(quarantine.read(), note="all", accepted_at=AT, holds_on=True)
    assert quarantine.read(pending=True).is_empty()
