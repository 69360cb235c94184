"""Archive files: CSV or parquet in the columns of a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import polars as pl

from feature_pipeline.datasets import Dataset, in_columns
from feature_pipeline.extract.raw import HOUR, ROW, Extraction, Origin, observations, placed, with_hours
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.window import Window


def extract(url: str, window: Window) -> Extraction:
    """Return the rows of the file at ``url`` (a path or ``file://``) that lie in ``window``.

    The columns say of which dataset the rows are. A CSV may have the portal's form (``;`` and a decimal comma), or
    ``,`` and a decimal point. The whole file must have one form; values are read inside the window only.

    Raises:
        SourceError: If the file is absent or empty, is not CSV or parquet in the columns of a dataset, most of its rows
            have no time, or a value in the window cannot be read.
    """
    path = _path(url)
    form = _form(path)
    raw = _read(path, form)
    if raw.is_empty():
        raise SourceError(f"the file {path} has no rows; expected at least one row of consumption.", path=str(path))
    origin = Origin(f"the file {path}", form.place)
    dataset = in_columns([name for name in raw.columns if name != ROW], source=origin.name)
    frame, unplaced = placed(with_hours(raw, dataset), dataset, origin=origin)
    first, last = frame.select(pl.col(HOUR).min().alias("first"), pl.col(HOUR).max().alias("last")).row(0)
    inside = frame.filter(pl.col(HOUR).is_between(window.start, window.end, closed="left"))
    comma = form.separator == ";" and bool(raw[dataset.energy].str.contains(",", literal=True).any())
    rows, warnings = observations(inside, dataset, origin=origin, decimal_comma=comma)
    return Extraction(dataset, rows, None if first is None else (first, last), (*unplaced, *warnings))


def dataset(url: str) -> Dataset:
    """Return the dataset of the file at ``url``, as its columns say.

    Raises:
        SourceError: If the file is absent, or not CSV or parquet in the columns of a dataset.
    """
    path = _path(url)
    columns = _read(path, _form(path), rows=1).columns
    return in_columns([name for name in columns if name != ROW], source=f"the file {path}")


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
        raise SourceError(f"the file {path} must end in .csv or .parquet, not {path.suffix!r}.", path=str(path))
    if path.stat().st_size == 0:
        raise SourceError(f"the file {path} is empty; expected rows of consumption.", path=str(path))
    return path


@dataclass(frozen=True)
class _Form:
    """How a file is written: parquet, or CSV with a separator."""

    name: Literal["csv", "parquet"]
    separator: str = ","

    @property
    def place(self) -> Literal["line", "row"]:
        """What a person counts in such a file."""
        return "line" if self.name == "csv" else "row"


def _form(path: Path) -> _Form:
    if path.suffix.lower() == ".parquet":
        return _Form("parquet")
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    return _Form("csv", ";" if ";" in header else ",")


def _read(path: Path, form: _Form, *, rows: int | None = None) -> pl.DataFrame:
    """Return everything, or the first rows, with ``ROW``; what is text in the file stays text."""
    try:
        # Without glob=False, a path with [, * or ? names other files, too.
        if form.name == "parquet":
            return pl.read_parquet(path, n_rows=rows, glob=False, row_index_name=ROW, row_index_offset=1)
        # Without infer_schema=False, types would be guessed from the first rows. The header is line 1.
        return pl.read_csv(
            path,
            separator=form.separator,
            infer_schema=False,
            n_rows=rows,
            glob=False,
            row_index_name=ROW,
            row_index_offset=2,
        )
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"the file {path} cannot be read as {form.name} ({reason}).", path=str(path)) from error
