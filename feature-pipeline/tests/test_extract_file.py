"""Archive files: every form of the same rows gives the same frame, and every wrong file a clear error."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
        (
            "x.csv",
            b"HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n\xff\xfe\x00,a,b,1\n",
            "1 NUL bytes, first in line 2",
        ),
        ("x.csv", b"HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n1,2\n1,2,3,4,5,6\n", "cannot be read as csv"),
        ("x.xlsx", b"abc", "must end in .csv or .parquet"),
        ("x.csv", b"time,value\n1,2\n", "lacks the columns HourUTC, .* found time, value. Use"),
    ],
)
def test_a_file_that_is_not_what_was_expected_is_refused(
    tmp_path: Path, window: Window, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        extract(str(tmp_path / name), window, window.end, settings=Settings())


@pytest.mark.parametrize("value", ["many", "1.2345,5", "1.234", "12 %", "inf", "12 kWh", "1,2,3"])
def test_text_in_a_number_is_refused_with_its_row(
    rows: pl.DataFrame, window: Window, tmp_path: Path, value: str
) -> None:
    path = tmp_path / "x.csv"
    text = pl.col("TotalCon").cast(pl.String) + ",5"
    rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 41).then(pl.lit(value)).otherwise(text).alias("TotalCon")
    ).write_csv(path, separator=";")
    with pytest.raises(SourceError, match=f"column TotalCon that cannot be read as a number .line 43: '{value}'"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_separator_of_thousands_is_not_taken_for_decimals(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('HourUTC,PriceArea,ConsumerType_DE35,TotalCon\n2023-01-20T00:00:00,DK1,111,"1,234"\n')
    with pytest.raises(SourceError, match=r"the comma in 1 value .* '1,234' in line 2 is 1.234 or 1234. Say it once"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_file_most_of_whose_times_cannot_be_read_is_refused(
    rows: pl.DataFrame, archive: Archive, window: Window
) -> None:
    bad = rows.with_columns(pl.lit("20/01/2023 15").alias("HourUTC"))
    message = r"1824 of 1,824 rows cannot be placed: HourUTC is not a time .* first in row 1: '20/01/2023 15'"
    with pytest.raises(SourceError, match=message.replace("1824 of", "1,824 of")):
        extract(archive(bad), window, window.end, settings=Settings())


OUTSIDE = pl.col("HourUTC") < "2023-01-19T20"
INSIDE = Window(datetime(2023, 1, 19, 20, tzinfo=UTC), datetime(2023, 1, 20, 16, tzinfo=UTC))


def in_first(rows: pl.DataFrame, when: pl.Expr, value: str, column: str) -> pl.DataFrame:
    first = when & (when.cast(pl.Int64).cum_sum() == 1)
    text = pl.col(column).cast(pl.String)
    return rows.with_columns(pl.when(first).then(pl.lit(value)).otherwise(text).alias(column))


@pytest.mark.parametrize(
    ("column", "value"),
    [("TotalCon", "much"), ("TotalCon", "1.234,5"), ("TotalCon", "nan"), ("TotalCon", ""), ("PriceArea", "")],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_bad_cell_of_an_hour_outside_the_window_changes_nothing(
    rows: pl.DataFrame, tmp_path: Path, column: str, value: str, form: str
) -> None:
    def write(frame: pl.DataFrame) -> str:
        path = tmp_path / f"x.{form}"
        if form == "csv":
            frame.write_csv(path, separator=";")
        else:
            frame.write_parquet(path)
        return str(path)

    expected = read(write(rows), INSIDE)
    url = write(in_first(rows, OUTSIDE, value, column))
    extraction = extract(url, INSIDE, INSIDE.end, settings=Settings())
    assert_frame_equal(transform(extraction.frame), expected)
    assert extraction.warnings == ()


def test_a_code_that_is_no_whole_number_outside_the_window_changes_nothing(
    rows: pl.DataFrame, archive: Archive
) -> None:
    expected = read(archive(rows), INSIDE)
    number = pl.col("ConsumerType_DE35").cast(pl.Float64)
    floats = rows.with_columns(pl.when(OUTSIDE).then(number + 0.5).otherwise(number).alias("ConsumerType_DE35"))
    assert_frame_equal(read(archive(floats), INSIDE), expected)
    with pytest.raises(SourceError, match=r"ConsumerType_DE35 that cannot be read as a code .*row 1521: 111.5"):
        extract(archive(floats), Window(INSIDE.start - timedelta(hours=1), INSIDE.end), INSIDE.end, settings=Settings())


def test_a_code_written_with_a_decimal_zero_is_the_whole_number(
    rows: pl.DataFrame, archive: Archive, window: Window, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    rows.with_columns(pl.col("ConsumerType_DE35") + ".0").write_csv(path)
    assert_frame_equal(read(str(path), window), read(archive(rows), window))


def test_the_decimal_comma_is_judged_by_the_whole_file(rows: pl.DataFrame, tmp_path: Path) -> None:
    # In the window no value has a comma. By those outside, a point separates thousands.
    path = tmp_path / "x.csv"
    comma = pl.when(OUTSIDE).then(pl.lit("12,5")).otherwise(pl.col("TotalCon").cast(pl.String)).alias("TotalCon")
    in_first(rows.with_columns(comma), ~OUTSIDE, "1.234", "TotalCon").write_csv(path, separator=";")
    with pytest.raises(SourceError, match=r"cannot be read as a number .line 2: '1.234'"):
        extract(str(path), INSIDE, INSIDE.end, settings=Settings())


@pytest.mark.parametrize("stamp", ["20/01/2023 15", "", "2023-02-30T00:00:00"])
def test_rows_without_a_readable_time_are_left_out_and_the_first_is_named(
    rows: pl.DataFrame, tmp_path: Path, window: Window, stamp: str
) -> None:
    path = tmp_path / "x.csv"
    late = pl.int_range(pl.len()) >= 1820
    rows.with_columns(pl.when(late).then(pl.lit(stamp)).otherwise("HourUTC").alias("HourUTC")).write_csv(path)
    extraction = extract(str(path), window, window.end, settings=Settings())
    assert extraction.frame.height == 1820
    (warning,) = extraction.warnings
    assert warning == (
        "4 of 1,824 rows cannot be placed: HourUTC is not a time like 2023-01-20T15:00:00, first in line 1822: "
        f"{repr(stamp) if stamp else 'blank'}{': day and month could be confused' if '/' in stamp else ''}; "
        "they were left out"
    )


@pytest.mark.parametrize("mark", ["", "-", "n/e", "N/A", " null "])
def test_a_row_without_a_value_is_an_hour_not_yet_known(
    rows: pl.DataFrame, tmp_path: Path, window: Window, mark: str
) -> None:
    path = tmp_path / "x.csv"
    newest = pl.col("HourUTC") == "2023-01-20T15:00:00"
    value = pl.when(newest).then(pl.lit(mark)).otherwise(pl.col("TotalCon").cast(pl.String)).alias("TotalCon")
    rows.with_columns(value).write_csv(path)
    extraction = extract(str(path), window, window.end, settings=Settings())
    assert extraction.frame.height == 76 * 23
    assert extraction.warnings == (
        "76 rows without a value, which counts as missing, the earliest DK1/111 at 2023-01-20 15:00",
    )


@pytest.mark.parametrize("empty", ["", ",,,,", " , ,,,"])
def test_empty_rows_are_ignored(rows: pl.DataFrame, tmp_path: Path, window: Window, empty: str) -> None:
    path = tmp_path / "x.csv"
    lines = rows.write_csv().splitlines()
    # More empty rows than others, as spreadsheets leave them.
    path.write_text("\n".join([*lines[:900], empty, *lines[900:], *[empty] * 3000]) + "\n")
    extraction = extract(str(path), window, window.end, settings=Settings())
    assert (extraction.frame.height, extraction.warnings) == (1824, ())


@pytest.mark.parametrize("name", ["Forbrug[1]", "a*b", "what?", "{a,b}", "x[a-z]"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("decoy", [True, False])
def test_exactly_the_named_file_is_read(
    rows: pl.DataFrame, archive: Archive, tmp_path: Path, window: Window, name: str, form: str, decoy: bool
) -> None:
    expected = read(archive(rows), window)
    folder = tmp_path / "in [2024]"
    folder.mkdir()
    decoys = ["Forbrug1", "aXb", "whatX", "a", "b", "xb"] if decoy else []
    for each, frame in [(name, rows), *((each, rows.with_columns(pl.col("TotalCon") * 10)) for each in decoys)]:
        if form == "csv":
            frame.write_csv(folder / f"{each}.csv")
        else:
            frame.write_parquet(folder / f"{each}.parquet")
    path = folder / f"{name}.{form}"
    for url in (str(path), path.as_uri()):
        assert_frame_equal(read(url, window), expected)
