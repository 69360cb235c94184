"""Tables of an older format are read, and migrated by the command and at the first write."""

import threading
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from forecast_core.contracts.errors import FormatError
from forecast_core.tables.delta import Change, Table

OLD = pl.Schema({"number": pl.Int64()})
NEW = pl.Schema({"number": pl.Int64(), "unit": pl.String()})


def with_unit(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Upgrade from format 2 to 3."""
    return rows if "unit" in rows.collect_schema() else rows.with_columns(unit=pl.lit("kWh"))


def in_wh(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Upgrade from format 3 to 4."""
    old = pl.col("unit") == "kWh"
    number = pl.when(old).then(pl.col("number") * 1000).otherwise("number")
    return rows.with_columns(number=number, unit=pl.lit("Wh"))


def older(folder: Path) -> Table:
    return Table(str(folder), OLD)


def newer(folder: Path) -> Table:
    return Table(str(folder), NEW, upgrades=(with_unit, in_wh))


def append(table: Table, *numbers: int, unit: str | None = None) -> None:
    rows = pl.DataFrame({"number": numbers}, schema=OLD)
    rows = rows if unit is None else rows.with_columns(unit=pl.lit(unit))
    table.commit(lambda _: (None, Change(rows)))


def everything(table: Table) -> list[tuple[object, ...]]:
    return table.collect(lambda rows: rows.sort("number")).rows()


def found_format(folder: Path) -> str:
    return DeltaTable(str(folder)).metadata().configuration["forecast_core.format"]


def test_an_older_table_is_read_as_it_is_and_migrated_by_command(tmp_path: Path) -> None:
    append(older(tmp_path), 1, 2)
    assert everything(newer(tmp_path)) == [(1000, "Wh"), (2000, "Wh")]
    assert found_format(tmp_path) == "2"
    assert newer(tmp_path).migrate()
    assert found_format(tmp_path) == "4"
    assert everything(newer(tmp_path)) == [(1000, "Wh"), (2000, "Wh")]
    version = DeltaTable(str(tmp_path)).version()
    assert not newer(tmp_path).migrate()
    assert DeltaTable(str(tmp_path)).version() == version


def test_the_first_write_migrates(tmp_path: Path) -> None:
    append(older(tmp_path), 1)
    append(newer(tmp_path), 7, unit="Wh")
    assert (found_format(tmp_path), everything(newer(tmp_path))) == ("4", [(7, "Wh"), (1000, "Wh")])


def test_a_migration_that_is_killed_between_its_two_commits_is_finished_by_the_next(tmp_path: Path) -> None:
    append(older(tmp_path), 1)
    # What the first of the two commits leaves.
    rows = newer(tmp_path).collect(lambda rows: rows)
    write_deltalake(str(tmp_path), rows, mode="overwrite", schema_mode="overwrite")
    assert everything(newer(tmp_path)) == [(1000, "Wh")]
    assert newer(tmp_path).migrate()
    assert (found_format(tmp_path), everything(newer(tmp_path))) == ("4", [(1000, "Wh")])


def test_rows_that_a_writer_of_the_older_format_adds_meanwhile_are_migrated_too(tmp_path: Path) -> None:
    append(older(tmp_path), 1)
    late = [5]

    def overtaken(rows: pl.LazyFrame) -> pl.LazyFrame:
        if late:
            append(older(tmp_path), late.pop())
        return with_unit(rows)

    assert Table(str(tmp_path), NEW, upgrades=(overtaken, in_wh)).migrate()
    assert everything(newer(tmp_path)) == [(1000, "Wh"), (5000, "Wh")]


def test_writers_that_meet_an_older_table_at_once_migrate_it_once_and_lose_nothing(tmp_path: Path) -> None:
    append(older(tmp_path), 1)
    writers = [threading.Thread(target=append, args=(newer(tmp_path), each), kwargs={"unit": "Wh"}) for each in (2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert everything(newer(tmp_path)) == [(2, "Wh"), (3, "Wh"), (1000, "Wh")]


def test_software_of_the_older_format_refuses_a_migrated_table_by_name(tmp_path: Path) -> None:
    append(newer(tmp_path), 1, unit="Wh")
    with pytest.raises(FormatError, match=r"has format 4: install .* newer one: this one reads formats 2 to 2"):
        everything(older(tmp_path))


def test_files_of_an_older_table_are_not_read_one_by_one_and_the_error_names_the_command(tmp_path: Path) -> None:
    append(older(tmp_path), 1)

    opened = newer(tmp_path).snapshot()
    assert opened is not None
    with pytest.raises(FormatError, match="run `python -m feature_pipeline migrate` first"):
        opened.files()
