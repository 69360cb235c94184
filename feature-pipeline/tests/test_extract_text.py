"""Text in every form that spreadsheets, portals and libraries write gives the same rows, or an error that names it."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_pipeline import pipeline
from feature_pipeline.extract import extract
from feature_pipeline.transform import transform
from forecast_core.contracts.errors import SourceError, ValidationError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

Archive = Callable[[pl.DataFrame], str]

OUTSIDE = pl.col("HourUTC") < "2023-01-19T20"
INSIDE = Window(datetime(2023, 1, 19, 20, tzinfo=UTC), datetime(2023, 1, 20, 16, tzinfo=UTC))


def read(url: str, window: Window) -> pl.DataFrame:
    return transform(extract(url, window, window.end, settings=Settings()).frame)


# The class: a table is written as text in one of the ways that spreadsheets, portals and libraries write it. Each way
# gives the same rows, or an error that names the way. Encodings, line ends, separators, headers and numbers are
# independent of each other, so each is varied alone.


def portal_text(rows: pl.DataFrame, separator: str = ";", line_end: str = "\r\n") -> str:
    decimals = rows.with_columns(TotalCon=(pl.col("TotalCon") + 0.25).cast(pl.String).str.replace(r"\.", ","))
    return decimals.write_csv(separator=separator, line_terminator=line_end)


@pytest.fixture
def expected(rows: pl.DataFrame, archive: Archive, window: Window) -> pl.DataFrame:
    return read(archive(rows.with_columns(pl.col("TotalCon") + 0.25)), window)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_rows(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window, encoding: str, line_end: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(portal_text(rows, line_end=line_end).encode(encoding))
    assert_frame_equal(read(str(path), window), expected)


def test_big_endian_marks_and_mixed_line_ends_are_read(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window
) -> None:
    path = tmp_path / "x.csv"
    lines = portal_text(rows).split("\r\n")
    text = "".join(line + end for line, end in zip(lines, ["\n", "\r", "\r\n"] * len(lines), strict=False))
    path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    assert_frame_equal(read(str(path), window), expected)


def test_danish_letters_in_windows_1252_are_read_with_a_warning(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window
) -> None:
    path = tmp_path / "x.csv"
    titled = rows.with_columns(pl.when(pl.int_range(pl.len()) > 4).then(pl.lit("Fødevarer")).alias("Title"))
    path.write_bytes(portal_text(titled).encode("cp1252"))
    assert_frame_equal(read(str(path), window), expected)
    extraction = extract(str(path), window, window.end, settings=Settings())
    assert extraction.warnings == ("not UTF-8 from line 7 on; read as Windows-1252",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: gzip.compress(text), "is a file compressed with gzip, not CSV: unpack it"),
        (lambda text: b"PK\x03\x04" + text, "is a ZIP archive or an Excel workbook"),
        (lambda text: b"<!DOCTYPE html><html>" + text, "is an HTML or XML document"),
        (lambda text: b'{"records": []}' + text, "is a JSON document"),
        (lambda text: b"PAR1" + text, r"is a parquet file, not CSV: let its name end in .parquet"),
        (lambda text: text[:900] + b"\x00\x00" + text[900:], "has 2 NUL bytes, first in line 1"),
        (lambda text: text + b"\x81\xff\n", "neither UTF-8 nor Windows-1252 text, first in line 1826"),
        (lambda text: text.decode().encode("utf-16")[:-1], "begins as UTF-16 text and is damaged in line 1825"),
        (lambda text: text.replace(b";111;", b';"111;', 1), r"an odd number of quotation marks, first in line \d+:"),
    ],
)
def test_what_is_no_text_is_named(
    rows: pl.DataFrame, tmp_path: Path, window: Window, change: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(change(portal_text(rows, line_end="\n").encode()))
    with pytest.raises(SourceError, match=message) as caught:
        extract(str(path), window, window.end, settings=Settings())
    assert len(str(caught.value)) <= 500


def test_csv_in_a_file_named_parquet_is_refused(tmp_path: Path, window: Window) -> None:
    (tmp_path / "x.parquet").write_bytes(gzip.compress(b"HourUTC,PriceArea\n"))
    with pytest.raises(SourceError, match="is a file compressed with gzip, not parquet"):
        extract(str(tmp_path / "x.parquet"), window, window.end, settings=Settings())


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("trailing", ["", "{0}", "{0}{0} {0}"])
def test_separators_and_trailing_ones_give_the_same_rows(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window, separator: str, trailing: str
) -> None:
    path = tmp_path / "x.csv"
    header, *lines = portal_text(rows, separator, "\n").splitlines()
    path.write_text("\n".join([header, *(line + trailing.format(separator) for line in lines)]))
    assert_frame_equal(read(str(path), window), expected)


@pytest.mark.parametrize(
    "header",
    [
        " HourUTC ; HourDK;PriceArea ;ConsumerType_DE35; TotalCon",
        '"HourUTC";"HourDK";"PriceArea";"ConsumerType_DE35";"TotalCon"',
        "hourutc;HOURDK;pricearea;consumertype_de35;TOTALCON;",
        "sep=;\nHourUTC;HourDK;PriceArea;ConsumerType_DE35;TotalCon",
        "\n\nHourUTC;;PriceArea;ConsumerType_DE35;TotalCon",
        "Forbrug pr. time\n\nHourUTC;x;PriceArea;ConsumerType_DE35;TotalCon",
    ],
)
def test_headers_are_read_in_other_case_with_spaces_and_after_a_title(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window, header: str
) -> None:
    path = tmp_path / "x.csv"
    lines = portal_text(rows, line_end="\n").splitlines()[1:]
    path.write_text("\n".join([header, *lines]))
    assert_frame_equal(read(str(path), window), expected)
    path.write_text("\n".join([header, *lines[:7], lines[7] + "%", *lines[8:]]))
    with pytest.raises(SourceError, match=rf"line {9 + header.count(chr(10))}: .*%"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_column_that_comes_twice_is_refused(rows: pl.DataFrame, tmp_path: Path, window: Window) -> None:
    path = tmp_path / "x.csv"
    path.write_text(portal_text(rows).replace("HourDK", "totalcon ").replace("TotalCon", "TOTALCON"))
    with pytest.raises(SourceError, match="has the column TotalCon 2 times"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_decimal_comma_that_is_also_the_separator_is_refused(
    rows: pl.DataFrame, tmp_path: Path, window: Window
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(portal_text(rows, "|", "\n").replace("|", ","))
    with pytest.raises(SourceError, match=r"1,824 rows have more than the header's 5 values, first line 2: .*500\|25'"):
        extract(str(path), window, window.end, settings=Settings())


def test_a_line_end_inside_quotation_marks_does_not_shift_the_lines_that_messages_name(
    rows: pl.DataFrame, tmp_path: Path, window: Window
) -> None:
    path = tmp_path / "x.csv"
    lines = portal_text(rows, line_end="\n").splitlines()
    lines[2] = lines[2].replace(";20", ';"a\nb\nc"20', 1).split(";", 1)[0] + ';"a\nb\nc";DK1;112;507,25'
    lines[9] += "x"
    path.write_text("\n".join(lines))
    with pytest.raises(SourceError, match=r"line 12: .*x'"):
        extract(str(path), window, window.end, settings=Settings())


@pytest.mark.parametrize(
    "written",
    [
        lambda x: f"{x:,.2f}".replace(",", " ").replace(".", ","),
        lambda x: f"{x:,.2f}".replace(",", "\u00a0").replace(".", ","),
        lambda x: f"{x:,.2f}".replace(",", "\u202f"),
        lambda x: f"{x:,.2f}".replace(",", "'"),
        lambda x: f"{x:,.2f}".replace(",", "\u2019"),
        lambda x: f"{x:,.2f}",
        lambda x: f"{x:,.2f}".replace(",", " ").replace(".", ",").replace(" ", "."),
        lambda x: f"{x:.8e}",
        lambda x: f"{x:.8e}".replace(".", ",").upper(),
        lambda x: f"+{x}",
        lambda x: f"\u00a0{x:.3f} ",
    ],
)
def test_every_way_to_write_a_number_gives_the_same_rows(
    rows: pl.DataFrame,
    expected: pl.DataFrame,
    tmp_path: Path,
    window: Window,
    written: Callable[[float], str],
) -> None:
    path = tmp_path / "x.csv"
    text = [written(x + 0.25) for x in rows["TotalCon"]]
    rows.with_columns(TotalCon=pl.Series(text)).write_csv(path, separator=";", quote_style="always")
    assert_frame_equal(read(str(path), window), expected)


@pytest.mark.parametrize("mark", ["NaN", "nan", "#N/A", "NULL", "\u2013", "n.a.", " - "])
def test_other_marks_of_a_value_not_yet_known(
    rows: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path, window: Window, mark: str
) -> None:
    path = tmp_path / "x.csv"
    lines = portal_text(rows, line_end="\n").splitlines()
    lines[1] = lines[1].rsplit(";", 1)[0] + f";{mark}"
    path.write_text("\n".join(lines))
    assert read(str(path), window).height == expected.height - 1


def test_nan_in_parquet_is_a_value_not_yet_known(rows: pl.DataFrame, archive: Archive, window: Window) -> None:
    first = pl.int_range(pl.len()) == 0
    values = pl.when(first).then(float("nan")).otherwise(pl.col("TotalCon"))
    assert read(archive(rows.with_columns(values.alias("TotalCon"))), window).height == 1823


@pytest.mark.parametrize("code", ["111.5", "111,5", ".5"])
def test_a_code_with_decimals_is_an_error_in_text_too(
    rows: pl.DataFrame, tmp_path: Path, window: Window, code: str
) -> None:
    path = tmp_path / "x.csv"
    rows.with_columns(pl.col("ConsumerType_DE35").replace("111", code)).write_csv(path, separator=";")
    with pytest.raises(SourceError, match="ConsumerType_DE35 that cannot be read as a code like 111"):
        extract(str(path), window, window.end, settings=Settings())


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        (lambda hour: (hour + timedelta(milliseconds=3)).isoformat(), False),
        (lambda hour: (hour - timedelta(milliseconds=3)).isoformat(timespec="milliseconds"), False),
        (lambda hour: (hour - timedelta(seconds=1, milliseconds=3)).isoformat(" "), True),
        (lambda hour: (hour + timedelta(seconds=13)).isoformat(" "), True),
        (lambda hour: f"{hour:%Y-%m-%d}" if hour.hour == 0 else f"{hour:%Y-%m-%d %H:%M}", False),
        (lambda hour: f"{hour + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00", False),
        (lambda hour: f"{hour - timedelta(hours=5):%Y-%m-%d %H:%M}-0500", False),
        (lambda hour: f"{hour:%Y/%m/%d %H:%M:%S} UTC", False),
        (lambda hour: f"{hour:%Y-%m-%dT%H:%MZ}", False),
    ],
)
def test_stamps_beside_the_hour_and_in_other_forms_are_that_hour(
    rows: pl.DataFrame,
    archive: Archive,
    window: Window,
    tmp_path: Path,
    written: Callable[[datetime], str],
    warned: bool,
) -> None:
    path = tmp_path / "x.csv"
    stamps = [written(datetime.fromisoformat(each)) for each in rows["HourUTC"]]
    rows.with_columns(HourUTC=pl.Series(stamps)).write_csv(path)
    extraction = extract(str(path), window, window.end, settings=Settings())
    assert_frame_equal(transform(extraction.frame), read(archive(rows), window))
    assert [
        " s beside a full hour, taken for that hour; first in line 2: " in each for each in extraction.warnings
    ] == [True] * warned


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            lambda hour: f"{(hour - datetime.fromisoformat('1899-12-30')) / timedelta(days=1):.6f}",
            r"spreadsheet \(2023-01-20 15:00",
        ),
        (lambda hour: f"{hour.replace(tzinfo=UTC).timestamp():.0f}", r"of seconds since 1970 \(2023-01-20 15:00\)"),
        (lambda hour: f"{hour.replace(tzinfo=UTC).timestamp():.0f}000", "of milliseconds since 1970"),
        (lambda hour: f"{hour:%d-%m-%Y %H:%M}", "day and month could be confused"),
        (lambda hour: f"{hour:%Y-%m-%d}", "as of data by the day"),
    ],
)
def test_stamps_that_are_not_read_are_explained(
    rows: pl.DataFrame, window: Window, tmp_path: Path, written: Callable[[datetime], str], message: str
) -> None:
    path = tmp_path / "x.csv"
    stamps = [written(datetime.fromisoformat(each)) for each in rows["HourUTC"]]
    rows.with_columns(HourUTC=pl.Series(stamps)).write_csv(path)
    with pytest.raises(SourceError, match=f"1,824 of 1,824 rows cannot be placed.*{message}"):
        extract(str(path), window, window.end, settings=Settings())


# The class: a column whose every value with a mark has exactly three digits after it, and up to three before it. The
# mark may stand before decimals or between thousands, and a guess is wrong by a factor of 1000.


def grouped(rows: pl.DataFrame, path: Path, mark: str, *, most: int = 1_000_000) -> Path:
    values = [(place * 7919) % (most - 1000) + 1000 for place in range(rows.height)]
    text = [f"{value:,}".replace(",", mark) for value in values]
    rows.with_columns(TotalCon=pl.Series(text)).write_csv(path, separator=";")
    return path


@pytest.mark.parametrize(("mark", "name", "other"), [(".", "point", "comma"), (",", "comma", "point")])
def test_a_mark_that_may_separate_decimals_or_thousands_stops_until_somebody_says_which(
    rows: pl.DataFrame, tmp_path: Path, window: Window, mark: str, name: str, other: str
) -> None:
    path = grouped(rows, tmp_path / "x.csv", mark)
    message = (
        rf"does not show whether the {name} in 1,824 values of column TotalCon stands before decimals or between "
        rf"thousands: '1\{mark}000' in line 2 is 1.000 or 1000. Say it once: ML_PIPELINE_SOURCE_DECIMAL={name} "
        rf"\(decimals\) or {other} \(thousands\); docs/sources.md"
    )
    with pytest.raises(SourceError, match=message) as caught:
        extract(str(path), window, window.end, settings=Settings())
    assert len(str(caught.value)) <= 500
    for answer, factor in ((name, 1), (other, 1000)):
        settings = Settings(source_decimal=answer)
        values = extract(str(path), window, window.end, settings=settings).frame["energy_consumption"]
        assert values.min() == factor
        assert values.max() == pytest.approx(999.906 * factor, rel=0.001)


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("stored_factor", [1, 1000])
def test_known_values_decide_between_decimals_and_thousands(
    rows: pl.DataFrame, archive: Archive, tmp_path: Path, window: Window, mark: str, stored_factor: int
) -> None:
    settings = Settings(root_dir=tmp_path / "root", minimum_window_share=0.1)
    path = grouped(rows, tmp_path / "x.csv", mark)
    values = [((place * 7919) % 999_000 + 1000) / 1000 * stored_factor for place in range(rows.height)]
    older = rows.with_columns(
        (pl.col("HourUTC").str.to_datetime() - timedelta(days=2)).dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"),
        # Decides nothing itself: parquet has no marks.
        TotalCon=pl.Series(values),
    ).drop("HourDK")
    pipeline.run(window.end, 2, 1, archive(older), settings=settings)
    result = pipeline.run(window.end, 0, 1, str(path), settings=settings)
    assert result["rows"] == 1824
    found = extract(str(path), window, window.end, settings=settings).frame["energy_consumption"]
    assert found.max() == pytest.approx(999.906 * stored_factor, rel=0.001)


@pytest.mark.parametrize(
    ("value", "decides", "largest"),
    [
        ("2451.203", "point", 999.9),
        ("0.500", "point", 999.9),
        ("12.5", "point", 999.9),
        ("1.467.335", "comma", 1_467_335),
        ("1.234,5", "comma", 999_900),
        ("12,5", "comma", None),
    ],
)
def test_one_value_of_the_file_that_allows_one_reading_only_decides(
    rows: pl.DataFrame, tmp_path: Path, window: Window, value: str, decides: str, largest: float | None
) -> None:
    path = grouped(rows, tmp_path / "x.csv", ".")
    text = path.read_text().splitlines()
    text[-1] = text[-1].rsplit(";", 1)[0] + f";{value}"
    path.write_text("\n".join(text))
    if largest is None:
        # Nothing proves that the points separate thousands: the column mixes two ways to write numbers.
        with pytest.raises(SourceError, match=r"'1\.000', .*; the file writes decimals with a comma"):
            extract(str(path), window, window.end, settings=Settings())
        return
    found = extract(str(path), window, window.end, settings=Settings()).frame["energy_consumption"]
    assert found.sort(descending=True)[1 if value == "2451.203" else 0] == pytest.approx(largest, rel=0.001), decides


def test_ambiguous_values_outside_the_window_stop_nothing(rows: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    value = pl.when(OUTSIDE).then(pl.lit("467.335")).otherwise(pl.col("TotalCon").cast(pl.String))
    rows.with_columns(value.alias("TotalCon")).write_csv(path, separator=";")
    assert read(str(path), INSIDE).height == 76 * 20


@pytest.mark.parametrize(
    "value", [pl.lit(value=True), pl.concat_list(pl.col("TotalCon")), pl.duration(hours="TotalCon")]
)
def test_a_column_of_parquet_that_holds_no_numbers_is_refused(
    rows: pl.DataFrame, archive: Archive, window: Window, value: pl.Expr
) -> None:
    """A cast would make energies of 1 kWh of truth values, and of microseconds of durations."""
    with pytest.raises(SourceError, match=r"column TotalCon of .* is of type .*; expected numbers or text"):
        extract(archive(rows.with_columns(TotalCon=value)), window, window.end, settings=Settings())


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Binary])
def test_dictionaries_and_bytes_of_parquet_are_text(
    rows: pl.DataFrame, archive: Archive, window: Window, kind: pl.DataType
) -> None:
    expected = read(archive(rows), window)
    assert_frame_equal(read(archive(rows.with_columns(pl.all().cast(pl.String).cast(kind))), window), expected)


def test_the_end_of_a_day_may_be_written_as_its_24th_hour(
    rows: pl.DataFrame, archive: Archive, window: Window, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    written = rows.with_columns(pl.col("HourUTC").str.replace("2023-01-20T00", "2023-01-19T24", literal=True))
    written.write_csv(path)
    assert_frame_equal(read(str(path), window), read(archive(rows), window))


@pytest.mark.parametrize(("opening", "closing"), [('"', '"'), ('"', "")])
def test_a_missing_quotation_mark_hides_no_rows(
    rows: pl.DataFrame, tmp_path: Path, window: Window, opening: str, closing: str
) -> None:
    path = tmp_path / "x.csv"
    lines = rows.write_csv(separator=";").splitlines()
    lines[4] = lines[4].replace(";DK", f";{opening}DK", 1)
    lines[9] = lines[9].replace(";DK1;", f";DK1{closing};", 1)
    path.write_text("\n".join(lines))
    with pytest.raises(SourceError, match=r"line 5\b"):
        extract(str(path), window, window.end, settings=Settings())


def test_stamps_between_two_hours_are_no_clock_of_another_zone(
    rows: pl.DataFrame, tmp_path: Path, window: Window
) -> None:
    path = tmp_path / "x.csv"
    rows.with_columns(pl.col("HourUTC").str.replace(":00:00", ":00:40", literal=True)).write_csv(path)
    settings = Settings(root_dir=tmp_path / "root")
    with pytest.raises(ValidationError, match=r"2023-01-19 16:00:40 .*must be a full hour"):
        pipeline.run(window.end, 0, 1, str(path), settings=settings)
