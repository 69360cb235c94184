"""CSV text in any usual separator as a frame of text, with the number of each row's line."""

import csv
import re
from typing import Final

import polars as pl

from feature_pipeline.datasets import DATASETS
from feature_pipeline.extract.raw import ROW, exact_names
from forecast_core.contracts.errors import SourceError

_SEPARATORS: Final = (",", ";", "\t", "|")
_HEADER_LINES: Final = 20
"""Lines in which the header may stand: portals write a title and blank lines, spreadsheets ``sep=;`` before it."""
_SURPLUS: Final = "surplus_"
_MOST_SURPLUS: Final = 16
"""Fields beyond the header's that a row may have, if they are blank: spreadsheets leave trailing separators."""
_SHOWN: Final = 60


def frame(text: bytes, *, source: str, rows: int | None = None) -> pl.DataFrame:
    """Return the rows, or the first of them, as text in the header's columns, and the number of their line as ``ROW``.

    Names of a dataset's columns may have other case, or spaces around them.

    Args:
        text: UTF-8; lines end with LF.
        source: Its name in messages.
        rows: How many to return; default all.

    Raises:
        SourceError: If quotation marks are not closed, or a row has more values than the header has names.
    """
    lines, separator, names = _header(text)
    body = _after(text, lines)
    if body.count(b'"') % 2:
        raise SourceError(
            f"{source} cannot be read as csv: it has an odd number of quotation marks, first in line "
            f"{lines + 1 + body.count(bytes([10]), 0, body.index(bytes([34])))}: one of them is not closed.",
            source=source,
        )
    found = _parsed(body, separator, exact_names(names, source=source), first_line=lines + 1, rows=rows, source=source)
    surplus = [name for name in found.columns if name.startswith(_SURPLUS)]
    if surplus:
        _refuse_surplus(found, surplus, len(names), source=source)
    found = found.drop(surplus)
    if b'"' in body:
        found = _with_true_lines(found)
        _refuse_swallowed_rows(found, separator, source=source)
    return found


def _header(text: bytes) -> tuple[int, str, list[str]]:
    """Return the number of lines up to the header, the separator, and the header's names."""
    start = text[:65_536].decode("utf-8", errors="replace").split("\n")[:_HEADER_LINES]
    best: tuple[int, int, str, list[str]] | None = None
    for number, line in enumerate(start, start=1):
        if not line.strip() or re.fullmatch(r"sep=.?", line.strip().strip('"')):
            continue
        fits = [(_known(fields := _fields(line, each)), len(fields), each, fields) for each in _SEPARATORS]
        known, count, separator, names = max(fits, key=lambda fit: fit[:2])
        if known >= 2 or best is None:
            best = (number, count, separator, names)
        if known >= 2 or count > 1:
            break
    if best is None:
        return len(start), ",", []
    return best[0], best[2], best[3]


def _fields(line: str, separator: str) -> list[str]:
    return [field.strip().strip("\ufeff").strip() for field in next(csv.reader([line], delimiter=separator), [])]


def _known(names: list[str]) -> int:
    given = {name.casefold() for name in names}
    return max(len({name.casefold() for name in dataset.columns} & given) for dataset in DATASETS.values())


def _after(text: bytes, lines: int) -> bytes:
    at = 0
    for _ in range(lines):
        at = text.find(b"\n", at) + 1
        if at == 0:
            return b""
    return text[at:]


def _parsed(
    body: bytes, separator: str, names: list[str], *, first_line: int, rows: int | None, source: str
) -> pl.DataFrame:
    if not body.strip():
        return pl.DataFrame(schema={ROW: pl.UInt32(), **dict.fromkeys(names, pl.String())})
    reason = ""
    for surplus in (0, _MOST_SURPLUS):
        columns = [*names, *(f"{_SURPLUS}{number}" for number in range(1, surplus + 1))]
        # A header of our own, because the names of the file's may come twice.
        header = separator.join(f"c{number}" for number in range(len(columns))).encode() + b"\n"
        try:
            # Without infer_schema=False, types would be guessed from the first rows.
            found = pl.read_csv(
                header + body,
                separator=separator,
                infer_schema=False,
                n_rows=rows,
                row_index_name=ROW,
                row_index_offset=first_line,
            )
        except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            continue
        return found.rename(dict(zip(found.columns[1:], columns, strict=True)))
    where = ""
    if b'"' in body:
        odd = next((at for at, line in enumerate(body.split(b"\n"), first_line) if line.count(b'"') % 2), None)
        where = f"; an odd number of quotation marks in line {odd}" if odd else ""
    raise SourceError(f"{source} cannot be read as csv ({reason:.200}){where}.", source=source)


def _refuse_surplus(found: pl.DataFrame, surplus: list[str], expected: int, *, source: str) -> None:
    filled = pl.any_horizontal((pl.col(surplus).str.strip_chars() != "").fill_null(value=False))
    wide = found.filter(filled)
    if wide.is_empty():
        return
    row = wide.row(0, named=True)
    shown = "|".join(value or "" for name, value in row.items() if name != ROW).rstrip("|")
    raise SourceError(
        f"{source} cannot be read as csv: {wide.height:,} rows have more than the header's {expected} values, first "
        f"line {row[ROW]}: {shown!r:.{_SHOWN}}. Is a decimal comma also the separator? Export with ; or decimal "
        "points.",
        source=source,
        line=row[ROW],
    )


def _refuse_swallowed_rows(found: pl.DataFrame, separator: str, *, source: str) -> None:
    """Raise if a text in quotation marks holds whole rows, because its second mark is missing."""
    text = [name for name in found.columns if name != ROW]
    fields = pl.col(text)
    holds = fields.str.contains("\n", literal=True) & (
        fields.str.count_matches(separator, literal=True) >= len(text) - 1
    )
    rows = found.filter(pl.any_horizontal(holds.fill_null(value=False)))
    if rows.height:
        line = rows[ROW][0]
        raise SourceError(
            f"{source} cannot be read as csv: from line {line} on, rows stand inside quotation marks; one is missing.",
            source=source,
            line=line,
        )


def _with_true_lines(found: pl.DataFrame) -> pl.DataFrame:
    """Count the line ends inside quotation marks, which make a row longer than its line."""
    text = [name for name in found.columns if name != ROW]
    ends = pl.sum_horizontal(pl.col(text).str.count_matches("\n", literal=True).fill_null(0))
    return found.with_columns((pl.col(ROW) + ends.cum_sum().shift(1, fill_value=0)).cast(pl.UInt32).alias(ROW))
