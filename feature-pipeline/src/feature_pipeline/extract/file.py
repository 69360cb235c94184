"""Archive files: CSV or parquet in the columns of a dataset."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import polars as pl

from feature_pipeline.datasets import Dataset, in_columns
from feature_pipeline.extract import decimals, delimited, encoding, local_column, numerals
from feature_pipeline.extract.decimals import Known
from feature_pipeline.extract.raw import HOUR, ROW, Extraction, Origin, exact_names, placed, with_hours
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window

_LONGEST_NAME: Final = 120
"""Characters of a path that a message shows, its last ones."""


def extract(url: str, window: Window, *, known: Known, settings: Settings) -> Extraction:
    """Return the rows of the file at ``url`` (a path or ``file://``) that lie in ``window``.

    The columns say of which dataset the rows are. A CSV may have the portal's form (``;`` and a decimal comma), or
    ``,`` and a decimal point, or any of the forms in docs/sources.md. The form is judged by the whole file; values are
    read inside the window only.

    Args:
        url: A path or ``file://``.
        window: The hours to return.
        known: Returns the observations near the window that are known already.
        settings: With the decimal mark of sources that do not show it.

    Raises:
        SourceError: If the file is absent or empty, is not CSV or parquet in the columns of a dataset, most of its rows
            have no time, or a value in the window cannot be read, or not in one way only.
    """
    path = _path(url)
    origin = Origin(_named(path), "row" if _is_parquet(path) else "line")
    raw, notes = _read(path, origin)
    dataset = in_columns([name for name in raw.columns if name != ROW], source=origin.name)
    _refuse_types(raw, dataset, origin)
    if raw.is_empty():
        raise SourceError(f"{origin.name} has no rows; expected at least one row of consumption.", path=str(path))
    frame, unplaced = placed(with_hours(raw, dataset), dataset, origin=origin)
    first, last = frame.select(pl.col(HOUR).min().alias("first"), pl.col(HOUR).max().alias("last")).row(0)
    inside = frame.filter(pl.col(HOUR).is_between(window.start, window.end, closed="left"))
    clock_notes = local_column.compare(inside, dataset, origin=origin, answer=settings.source_clock)
    energy = raw[dataset.energy]
    notation = numerals.judge(energy) if energy.dtype == pl.String else numerals.POINT
    rows, warnings = decimals.observed(
        inside, dataset, origin=origin, notation=notation, known=known, answer=settings.source_decimal
    )
    return Extraction(
        dataset, rows, None if first is None else (first, last), (*notes, *unplaced, *clock_notes, *warnings)
    )


def dataset(url: str) -> Dataset:
    """Return the dataset of the file at ``url``, as its columns say.

    Raises:
        SourceError: If the file is absent, or not CSV or parquet in the columns of a dataset.
    """
    path = _path(url)
    source = _named(path)
    raw, _ = _read(path, Origin(source), rows=1)
    return in_columns([name for name in raw.columns if name != ROW], source=source)


def _refuse_types(raw: pl.DataFrame, dataset: Dataset, origin: Origin) -> None:
    """Raise if a column of codes or energies is neither text nor numbers, because a cast would invent numbers."""
    for name in dataset.columns:
        found = raw.schema[name]
        if name != dataset.time and not (found.is_numeric() or found in (pl.String, pl.Null)):
            raise SourceError(
                f"column {name} of {origin.name} is of type {found!s:.60}; expected numbers or text.",
                source=origin.name,
                column=name,
            )


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if url.startswith("file://"):
        if parts.netloc not in ("", "localhost"):
            raise SourceError(f"{url} names a host, {parts.netloc}; write file:///absolute/path, or a path.", url=url)
        path = Path(unquote(parts.path))
    else:
        path = Path(url).expanduser()
    if path.is_dir():
        raise SourceError(f"{path} is a folder; give the path of one .csv or .parquet file.", path=str(path))
    if not path.is_file():
        raise SourceError(
            f"there is no file {path.absolute()}; give the path of a .csv or .parquet file.", path=str(path)
        )
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SourceError(f"{_named(path)} must end in .csv or .parquet, not {path.suffix!r}.", path=str(path))
    if path.stat().st_size == 0:
        raise SourceError(f"{_named(path)} is empty; expected rows of consumption.", path=str(path))
    return path


def _named(path: Path) -> str:
    name = str(path)
    return f"the file {name if len(name) <= _LONGEST_NAME else '…' + name[-_LONGEST_NAME:]}"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _read(path: Path, origin: Origin, *, rows: int | None = None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return everything, or the first rows, with ``ROW``, and warnings; what is text in the file stays text."""
    try:
        if _is_parquet(path):
            return _parquet(path, origin, rows=rows), ()
        data = path.read_bytes()
        text, warnings = encoding.text_lines(data, source=origin.name)
        return delimited.frame(text, source=origin.name, rows=rows), warnings
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = "parquet" if _is_parquet(path) else "csv"
        reason = f"{str(error).splitlines()[0]:.200}"
        raise SourceError(f"{origin.name} cannot be read as {kind} ({reason}).", path=str(path)) from error


def _parquet(path: Path, origin: Origin, *, rows: int | None) -> pl.DataFrame:
    with path.open("rb") as file:
        other = encoding.other_format(file.read(64))
    if other is not None and other != encoding.PARQUET:
        raise SourceError(f"{origin.name} is {other[0]}, not parquet: {other[1]}.", path=str(path))
    # Without glob=False, a path with [, * or ? names other files, too.
    found = pl.read_parquet(path, n_rows=rows, glob=False, row_index_name=ROW, row_index_offset=1)
    names = [name for name in found.columns if name != ROW]
    as_text = pl.col(pl.Categorical, pl.Enum, pl.Binary).cast(pl.String, strict=False)
    return found.rename(dict(zip(names, exact_names(names, source=origin.name), strict=True))).with_columns(as_text)
