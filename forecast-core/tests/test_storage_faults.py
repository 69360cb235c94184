"""What may heal is a StorageError, damage is a FormatError, and a bug of ours stays what it is: with real parts."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from forecast_core.contracts.errors import FormatError, StorageError
from forecast_core.tables.delta import Change, Table
from forecast_core.tables.faults import storage_errors

SCHEMA = pl.Schema({"number": pl.Int64(), "text": pl.String()})


def filled(folder: Path) -> Table:
    table = Table(str(folder / "table"), SCHEMA)
    for number in range(3):
        rows = pl.DataFrame({"number": [number] * 100, "text": ["x"] * 100}, schema=SCHEMA)
        table.commit(lambda _, rows=rows: (None, Change(rows)))  # type: ignore[misc]
    return table


def everything(table: Table) -> pl.DataFrame:
    return table.collect(lambda rows: rows)


def shortened(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def scrambled(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xa5" * (len(content) - 8) + content[-4:])


@pytest.mark.parametrize("damage", [shortened, emptied, scrambled])
def test_a_damaged_data_file_is_a_format_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    table = filled(tmp_path)
    damage(next((tmp_path / "table").glob("*.parquet")))
    with pytest.raises(FormatError, match=r"damaged|restore it"):
        everything(table)


def test_a_damaged_data_file_is_a_format_error_for_a_writer_too(tmp_path: Path) -> None:
    table = filled(tmp_path)
    shortened(next((tmp_path / "table").glob("*.parquet")))
    with pytest.raises(FormatError, match="damaged"):
        table.commit(lambda _: (None, Change(SCHEMA.to_frame(), replacing="number >= 0")))


@pytest.mark.parametrize("damage", [shortened, Path.unlink])
def test_a_damaged_log_is_a_format_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    table = filled(tmp_path)
    damage(tmp_path / "table/_delta_log/00000000000000000002.json")
    with pytest.raises(FormatError, match="damaged"):
        everything(table)


def test_a_damaged_checkpoint_is_a_format_error(tmp_path: Path) -> None:
    table = filled(tmp_path)
    DeltaTable(table.uri).create_checkpoint()
    shortened(next((tmp_path / "table/_delta_log").glob("*.checkpoint.parquet")))
    with pytest.raises(FormatError, match="damaged"):
        everything(table)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (lambda rows: rows.filter(pl.col("absent") == 1), pl.exceptions.ColumnNotFoundError),
        (lambda rows: rows.filter(pl.col("text") + 1 == 1), pl.exceptions.InvalidOperationError),
        (lambda rows: rows.select(pl.col("text").str.to_integer()), pl.exceptions.ComputeError),
    ],
)
def test_a_wrong_query_is_a_bug_and_stays_what_it_is(
    tmp_path: Path, query: Callable[[pl.LazyFrame], pl.LazyFrame], error: type[Exception]
) -> None:
    with pytest.raises(error):
        filled(tmp_path).collect(query)


def test_a_wrong_predicate_of_a_write_is_a_bug_and_stays_what_it_is(tmp_path: Path) -> None:
    table = filled(tmp_path)
    with pytest.raises(DeltaError, match="No field named absent"):
        table.commit(lambda _: (None, Change(SCHEMA.to_frame(), replacing="absent = 1")))


def test_an_object_store_that_does_not_answer_is_a_storage_error() -> None:
    options = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-north-1",
        "max_retries": "0",
    }
    with pytest.raises(StorageError, match="may succeed if run again"):
        Table("s3://absent/table", SCHEMA, storage_options=options).open()


def test_a_file_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    # A reader of an earlier version meets it after a vacuum; it finds the files of the newest version when run again.
    table = filled(tmp_path)
    next((tmp_path / "table").glob("*.parquet")).unlink()
    with pytest.raises(StorageError):
        everything(table)


def test_a_file_that_may_not_grow_is_a_storage_error_for_both_writers(tmp_path: Path) -> None:
    table = filled(tmp_path)
    done = subprocess.run([sys.executable, __file__, table.uri], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["StorageError", "StorageError"], done.stderr
    assert everything(table).height == 300


def write_too_much(uri: str) -> None:
    """Write more than the process may: the system answers as it does for a disk quota."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    numbers = pl.Series(range(100_000), dtype=pl.Int64)
    rows = pl.DataFrame({"number": numbers, "text": numbers.cast(pl.String)})
    attempts: list[Callable[[], object]] = [
        lambda: Table(uri, SCHEMA).commit(lambda _: (None, Change(rows))),
        lambda: rows.write_parquet(f"{uri}.parquet"),
    ]
    for write in attempts:
        try:
            with storage_errors(uri):
                write()
        except Exception as error:
            sys.stdout.write(f"{type(error).__name__}\n")


if __name__ == "__main__":
    write_too_much(sys.argv[1])
