"""The registry of tables: complete, described, and followed by creation, maintenance and migration."""

import importlib
import pkgutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

import forecast_core
from forecast_core import consumer_types, stores
from forecast_core.contracts.settings import Settings
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change

NAMES = {each.name for each in stores.TABLES}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root_dir=tmp_path)


def test_every_declaration_of_core_is_in_the_registry() -> None:
    declared: dict[str, Declaration] = {}
    for module in pkgutil.walk_packages(forecast_core.__path__, "forecast_core."):
        for value in vars(importlib.import_module(module.name)).values():
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Declaration):
                    declared[each.name] = each
    assert set(declared) == NAMES
    assert len(NAMES) == len(stores.TABLES)


@pytest.mark.parametrize("declared", stores.TABLES, ids=lambda each: each.name)
def test_a_declaration_says_what_its_columns_mean_and_names_columns_that_exist(declared: Declaration) -> None:
    frame, stored = declared.frame, declared.schema
    assert set(frame) <= set(frame.meaning)
    assert {*frame.key, *frame.nullable} <= set(frame)
    assert {declared.dated_by, declared.date_column, *declared.partition_by} - {None} <= set(stored)


def test_all_tables_are_created_and_a_second_time_changes_nothing(settings: Settings) -> None:
    for _ in range(2):
        stores.create(settings)
    versions = stores.versions(settings)
    assert set(versions) == NAMES - {"observations"}
    assert set(versions.values()) == {0}


def test_consumer_types_are_created_maintained_and_watched_too(settings: Settings) -> None:
    frame = pl.DataFrame(
        [("111", "en", "one", "1", "gruppe", "group")], schema=consumer_types.CONSUMER_TYPES, orient="row"
    )
    consumer_types.write(settings, frame, code_list="DE35")
    before = stores.versions(settings)
    assert set(before) == {"consumer_types"}
    consumer_types.write(settings, frame, code_list="other")
    assert stores.versions(settings) != before
    assert stores.maintain(settings, keep=timedelta(hours=1))["consumer_types"]["files_after"] == 1
    assert stores.migrate(settings) == []


def test_a_writer_compacts_small_files_by_itself(settings: Settings) -> None:
    declared = Declaration(name="numbers", frame=consumer_types.CONSUMER_TYPES, compact_every=8)
    table = declared.table(settings)
    frame = pl.DataFrame([("111", *[None] * 5)], schema=declared.schema, orient="row")
    for number in range(40):
        rows = frame.with_columns(consumer_type=pl.lit(f"{number}"))
        table.commit(lambda _, rows=rows: (None, Change(rows)))  # type: ignore[misc]
    assert len(DeltaTable(table.uri).file_uris()) <= 9
    assert table.collect(lambda rows: rows).height == 40
