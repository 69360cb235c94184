"""From a source's own columns to those of the schema of observations, with their types.

Three steps, so that a bad cell can only stop a run whose window it lies in: ``with_hours`` reads the times of all rows,
the source keeps the rows of the window, and ``observations`` reads their values.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import polars as pl

from feature_pipeline.datasets import DATASETS, Dataset, OneArea, Parts, lacking
from feature_pipeline.extract import numerals, parts, times
from feature_pipeline.extract.numerals import Notation
from feature_pipeline.wording import counted
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.schema import OBSERVATIONS

HOUR: Final = "datetime_utc"
"""Column that ``with_hours`` adds: the time, moved to the full hour where it is within ``times.JITTER`` of one."""
MOVED: Final = "moved_by"
"""Column that ``with_hours`` adds: how far the stamp was from that hour."""
ROW: Final = "row_of_the_source"
"""Column with the number of the row, or of the line, in the source; messages name it."""

_EXAMPLES: Final = 3
_NOT_YET_KNOWN: Final = (
    *("", "-", "\u2013", "\u2014", "n/e", "n/a", "na", "n.a.", "null", "none"),
    *("nan", "nat", "<na>", "#n/a", "#i/t"),
)
"""Texts, in lower case, for a value that is not yet known: ENTSO-E writes ``n/e`` and ``-``, pandas nothing or ``nan``,
Excel ``#N/A``, in Danish ``#I/T``."""
_OF_COLUMNS: Final = {
    name.casefold(): name
    for dataset in DATASETS.values()
    for name in (*dataset.columns, *filter(None, [dataset.local_time]))
}
_TOLERATED_SHARE: Final = 0.5
"""Share of rows without a readable time above which the time column is taken to be of another form."""
_KWH_DECIMALS: Final = 6
"""To which computed energies are rounded: the last bits of a sum or product depend on the order of the rows."""


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as messages say it.

    Attributes:
        name: The source, e.g. ``the file /data/x.csv``.
        place: What ``ROW`` counts: lines of a text file, or rows.
    """

    name: str
    place: Literal["line", "row"] = "row"


@dataclass(frozen=True)
class Extraction:
    """What a source had for a window.

    Attributes:
        dataset: What the source's columns mean; its name keys the data in the feature store.
        frame: Rows in the columns and types of ``schema.OBSERVATIONS``, in any order. An area or consumer type may be
            null, and a key may come twice.
        extent: First and last hour that the source has at all, where it can say.
        warnings: What a user should know about the rows.
    """

    dataset: Dataset
    frame: pl.DataFrame
    extent: tuple[datetime, datetime] | None = None
    warnings: tuple[str, ...] = ()


def text_columns(records: list[Any], dataset: Dataset, *, source: str) -> pl.DataFrame:
    """Return the dataset's columns of the records of an answer as text, just as they were sent.

    Raises:
        SourceError: If a record is not an object, lacks a column, or has a value that is neither text nor number.
    """
    absent = next((row for row in records if not isinstance(row, dict) or not row.keys() >= set(dataset.columns)), None)
    if isinstance(absent, dict):
        raise SourceError(lacking(dataset, list(absent), source=source), source=source, columns=list(absent))
    if absent is not None:
        raise SourceError(f"the records of {source} are not rows of named values: {absent!r:.80}", source=source)
    columns = {name: [_text(row[name], name, source=source) for row in records] for name in dataset.columns}
    return pl.DataFrame(columns, schema=dict.fromkeys(dataset.columns, pl.String()))


def _text(value: Any, name: str, *, source: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    raise SourceError(
        f"{source} has a value in column {name} that is neither text nor a number: {value!r:.80}.", source=source
    )


def exact_names(names: list[str], *, source: str) -> list[str]:
    """Return column names with those of datasets as they are written there; other case and spaces around do not matter.

    Names that no dataset uses are made unique.

    Raises:
        SourceError: If a dataset's column comes twice.
    """
    bare = [name.strip() for name in names]
    exact = set(bare)
    meant = []
    for name in bare:
        column = _OF_COLUMNS.get(name.casefold(), name)
        meant.append(name if column in exact else column)
    twice = next((name for name in meant if meant.count(name) > 1 and name in _OF_COLUMNS.values()), None)
    if twice is not None:
        raise SourceError(f"{source} has the column {twice} {meant.count(twice)} times; remove all but one.")
    return [name if meant.count(name) == 1 else f"{name}_{place}" for place, name in enumerate(meant, start=1)]


def with_hours(frame: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Add ``HOUR``, the time of each row in UTC (null where it cannot be read), and ``MOVED``."""
    exact = times.exact(frame[dataset.time])
    hours = times.hours(exact)
    return frame.with_columns(hours.alias(HOUR), (exact - hours).abs().alias(MOVED))


def placed(frame: pl.DataFrame, dataset: Dataset, *, origin: Origin) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows that have a time, and a warning about those that have none.

    Args:
        frame: The dataset's columns, ``HOUR`` and ``ROW``. Rows without any value are ignored.
        dataset: What the columns mean.
        origin: For messages.

    Raises:
        SourceError: If most rows have no readable time: the time column is then of another form.
    """
    filled = pl.any_horizontal(_is_filled(frame[name]).alias(name) for name in dataset.columns)
    rows = frame.filter(filled)
    lost = rows.filter(pl.col(HOUR).is_null())
    if lost.is_empty():
        return rows, ()
    stamp, number = lost[dataset.time][0], lost[ROW][0]
    shown = "blank" if stamp in (None, "") else f"{stamp!r:.80}{times.explained(stamp)}"
    found = (
        f"{lost.height:,} of {counted(rows.height, 'row')} cannot be placed: {dataset.time} is not a time like "
        f"2023-01-20T15:00:00, first in {origin.place} {number}: {shown}"
    )
    if lost.height > _TOLERATED_SHARE * rows.height:
        raise SourceError(
            f"{origin.name} is not in the expected form: {found}.", source=origin.name, column=dataset.time
        )
    return rows.filter(pl.col(HOUR).is_not_null()), (f"{found}; they were left out",)


def observations(
    frame: pl.DataFrame, dataset: Dataset, *, origin: Origin, notation: Notation = numerals.POINT
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return OBSERVATIONS of the rows of a window, parts summed to areas, and warnings about them.

    A row without a value is an hour that is not yet known: it is left out, with a warning.

    Args:
        frame: The dataset's columns, ``HOUR``, ``MOVED`` and ``ROW``, of the window only.
        dataset: What the columns mean.
        origin: For messages.
        notation: How the whole source writes numbers.

    Raises:
        SourceError: If a value is not of its column's type, or a part has two values for one hour.
    """
    typed = _typed(frame, dataset, origin=origin, notation=notation)
    moved = _moved(frame, dataset, origin=origin)
    if isinstance(dataset.area, Parts):
        whole, warnings = parts.summed(typed, dataset.area, source=origin.name)
        return whole.with_columns(pl.col("energy_consumption").round(_KWH_DECIMALS)), (*moved, *warnings)
    unknown = typed.filter(pl.col("energy_consumption").is_null())
    if unknown.is_empty():
        return typed, moved
    area, kind, hour, _ = unknown.sort(HOUR, "area", "consumer_type").row(0)
    return typed.filter(pl.col("energy_consumption").is_not_null()), (
        *moved,
        f"{counted(unknown.height, 'row')} without a value, which counts as missing, the earliest "
        f"{area}/{kind} at {hour:%Y-%m-%d %H:%M}",
    )


def _moved(frame: pl.DataFrame, dataset: Dataset, *, origin: Origin) -> tuple[str, ...]:
    """Return a warning if stamps were visibly beside the full hour that they were taken for."""
    moved = frame.filter(pl.col(MOVED) > times.TOLD)
    if moved.is_empty():
        return ()
    longest = max(moved[MOVED].to_list())
    return (
        f"{counted(moved.height, 'row')} up to {longest.total_seconds():.3f} s beside a full hour, taken for "
        f"that hour; first in {origin.place} {moved[ROW][0]}: {moved[dataset.time][0]!s:.40}",
    )


def _typed(frame: pl.DataFrame, dataset: Dataset, *, origin: Origin, notation: Notation) -> pl.DataFrame:
    """Return the columns of OBSERVATIONS, and of a dataset in parts their numbers as ``parts.PART``."""
    kinds = _names(frame[dataset.consumer_type], whole=_all_digits(dataset.consumer_types))
    energy = _energy(frame[dataset.energy], notation)
    _refuse_lost_values(frame, kinds, "a code like 111", origin=origin)
    form = "; the file writes decimals with a comma" if notation.decimal == "," else ""
    _refuse_lost_values(frame, energy, "a number", origin=origin, form=form)
    if dataset.kwh_per_unit != 1:
        energy = (energy * dataset.kwh_per_unit).round(_KWH_DECIMALS)
    columns = {"consumer_type": kinds, HOUR: frame[HOUR], "energy_consumption": energy}
    if isinstance(dataset.area, OneArea):
        return pl.DataFrame({"area": [dataset.area.area] * frame.height, **columns}, schema=OBSERVATIONS)
    named = _names(frame[dataset.area.column], whole=isinstance(dataset.area, Parts))
    _refuse_lost_values(frame, named, "a code like 111", origin=origin)
    if isinstance(dataset.area, Parts):
        numbers = parts.numbers(named, source=origin.name)
        area = parts.areas(numbers, dataset.area, source=origin.name)
        return pl.DataFrame({"area": area, **columns, parts.PART: numbers})
    return pl.DataFrame({"area": named, **columns}, schema=OBSERVATIONS)


def _refuse_lost_values(
    frame: pl.DataFrame, after: pl.Series, expected: str, *, origin: Origin, form: str = ""
) -> None:
    """Raise if a value that was there became null in conversion; ``form`` says how such values are written."""
    before = frame[after.name]
    there = _is_filled(before) if after.dtype == pl.String else ~_is_unknown(before)
    there = there.fill_null(value=False)
    lost = (there & after.is_null()).arg_true()
    if len(lost):
        rows = ", ".join(f"{origin.place} {frame[ROW][row]}: {before[row]!r:.80}" for row in lost[:_EXAMPLES])
        raise SourceError(
            f"{origin.name} has {counted(len(lost), 'value')} in column {before.name} that cannot be read as "
            f"{expected} ({rows}){form}. Correct or remove these rows.",
            source=origin.name,
            column=before.name,
            values=len(lost),
        )


def _is_filled(values: pl.Series) -> pl.Series:
    return (values.str.strip_chars() != "").fill_null(False) if values.dtype == pl.String else values.is_not_null()


def _is_unknown(values: pl.Series) -> pl.Series:
    if values.dtype.is_float():
        return values.is_null() | values.is_nan().fill_null(value=True)
    if values.dtype != pl.String:
        return values.is_null()
    return values.str.strip_chars().str.to_lowercase().is_in(_NOT_YET_KNOWN).fill_null(True)


def _all_digits(codes: tuple[str, ...] | None) -> bool:
    return bool(codes) and all(code.isdigit() for code in codes or ())


def _names(values: pl.Series, *, whole: bool) -> pl.Series:
    """Codes as text; a whole number is its digits, also where it was written as 111.0. Other numbers become null.

    Args:
        values: A column of text or numbers.
        whole: Whether every code of the dataset is a whole number, so that 111.5 as text is an error, too.
    """
    if values.dtype.is_float():
        numbers = values.set((values != values.round(0)).fill_null(value=False), None)
        return numbers.cast(pl.Int64, strict=False).cast(pl.String)
    text = values.cast(pl.String, strict=False).str.strip_chars().str.replace(r"^(\d+)[.,]0*$", "$1")
    if whole:
        text = text.set(text.str.contains(r"^\d*[.,]\d+$").fill_null(value=False), None)
    return text.set(text == "", None)


def _energy(values: pl.Series, notation: Notation) -> pl.Series:
    """Numbers as Float64; what is not a finite number becomes null."""
    if values.dtype == pl.String:
        return numerals.numbers(values, notation)
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)
