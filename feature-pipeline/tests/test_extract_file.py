"""Archive files: every form of the same rows gives the same frame, and every wrong file a clear error."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline.extract import extract
from feature_pipeline.transform import transform
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

Archive = Callable[[pl.DataFrame], str]


def read(url: str, window: Window) -> pl.DataFrame:
    return transform(extract(url, window, window.end, settings=Settings()).frame)


def test_a_parquet_file_gives_every_row_in_the_schema_sorted_by_key(
    rows: pl.DataFrame, archive: Archive, window: Window
) -> None:
    observations = read(archive(rows), window)
    assert observations.schema == OBSERVATIONS
    assert observations.height == rows.height == 76 * 24
    assert observations.equals(observations.sort("area", "consumer_type", "datetime_utc"))
    # Row 0 of the API is DK1/111 at the newest hour.
    newest = observations.filter(pl.col("area") == "DK1", pl.col("consumer_type") == "111").row(-1)
    assert newest == ("DK1", "111", window.end.replace(hour=15), 500.0)


def test_the_portals_semicolons_and_decimal_commas_give_the_same_as_parquet(
    rows: pl.DataFrame, archive: Archive, window: Window, tmp_path: Path
) -> None:
    quarter = rows.with_columns(pl.col("TotalCon") + 0.25)
    portal = quarter.with_columns(
        pl.col("HourUTC").str.replace("T", " "), pl.col("TotalCon").cast(pl.String).str.replace(".", ",", literal=True)
    )
    path = tmp_path / "portal.csv"
    path.write_bytes(b"\xef\xbb\xbf" + portal.write_csv(separator=";", line_terminator="\r\n").encode())
    assert_frame_equal(read(str(path), window), read(archive(quarter), window))


@pytest.mark.parametrize("separator", [",", ";"])
def test_csv_with_a_decimal_point_gives_the_same_as_parquet(
    rows: pl.DataFrame, archive: Archive, window: Window, tmp_path: Path, separator: str
) -> None:
    quarter = rows.with_columns(pl.col("TotalCon") + 0.25)
    path = tmp_path / "a file.csv"
    quarter.write_csv(path, separator=separator)
    assert_frame_equal(read(path.as_uri(), window), read(archive(quarter), window))


def test_times_as_datetimes_and_consumer_types_as_numbers_give_the_same_as_text(
    rows: pl.DataFrame, archive: Archive, window: Window
) -> None:
    expected = read(archive(rows), window)
    hours = pl.col("HourUTC").str.to_datetime()
    naive = rows.with_columns(hours.cast(pl.Datetime("ms")), pl.col("ConsumerType_DE35").cast(pl.Int32))
    assert_frame_equal(read(archive(naive), window), expected)
    danish = rows.with_columns(hours.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Copenhagen"))
    assert_frame_equal(read(archive(danish), window), expected)


def test_only_rows_in_the_window_go_on_and_the_extent_is_that_of_the_file(
    rows: pl.DataFrame, archive: Archive, window: Window
) -> None:
    half = Window(window.start, window.start.replace(hour=20))
    extraction = extract(archive(rows), half, half.end, settings=Settings())
    assert extraction.frame.height == 76 * 4
    assert extraction.extent == (window.start, window.end.replace(hour=15))
    assert extraction.dataset.name == "ConsumptionDE35Hour"


def test_identical_rows_are_one_row(rows: pl.DataFrame, archive: Archive, window: Window) -> None:
    assert_frame_equal(read(archive(pl.concat([rows, rows.head(10)])), window), read(archive(rows), window))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://someone:secret@host/x.csv", "unknown scheme ftp"),
        ("demo://sweden", "use demo://denmark"),
        ("nowhere.parquet", "there is no file"),
        ("file://data/x.csv", "names a host, data"),
        ("", "folder"),
    ],
)
def test_a_source_that_cannot_be_is_refused(url: str, message: str, window: Window) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        extract(url, window, window.end, settings=Settings())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "is empty"),
        ("x.parquet", b"", "is empty"),
        ("x.csv", b"HourUTC;HourDK;PriceArea;ConsumerType_DE35;TotalCon\n", "has no rows"),
        ("x.parquet", b"PAR1 not parquet", "cannot be read as parquet"),
        ("x.csv", b"HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n\xff\xfe\x00,a,b,1\n", "cannot be read|not a time"),
        ("x.csv", b"HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n1,2\n1,2,3,4,5,6\n", "cannot be read as csv"),
        ("x.xlsx", b"abc", "must end in .csv or .parquet"),
        ("x.csv", b"time,value\n1,2\n", "lacks the columns HourUTC, PriceArea, ConsumerType_DE35, TotalCon"),
    ],
)
def test_a_file_that_is_not_what_was_expected_is_refused(
    tmp_path: Path, window: Window, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        extract(str(tmp_path / name), window, window.end, settings=Settings())


@pytest.mark.parametrize("value", ["many", "1.234,5", "nan", "inf", "12 kWh", "1,2,3"])
def test_text_in_a_number_is_refused_with_its_row(
    rows: pl.DataFrame, window: Window, tmp_path: Path, value: str
) -> None:
    path = tmp_path / "x.csv"
    text = pl.col("TotalCon").cast(pl.String) + ",5"
    rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 41).then(pl.lit(value)).otherwise(text).alias("TotalCon")
    ).write_csv(path, separator=";")
    with pytest.raises(SourceError, match=f"column TotalCon that are not a number .row 42: '{value}'"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_separator_of_thousands_is_not_taken_for_decimals(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n2023-01-20T00:00:00,DK1,111,"1,234"\n')
    with pytest.raises(SourceError, match="not a number"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_time_that_is_none_is_refused_with_its_row(rows: pl.DataFrame, archive: Archive, window: Window) -> None:
    bad = rows.with_columns(pl.lit("20/01/2023 15").alias("HourUTC"))
    with pytest.raises(SourceError, match=r"HourUTC that are not a time .*row 1: '20/01/2023 15'"):
        extract(archive(bad), window, window.end, settings=Settings())
