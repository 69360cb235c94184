"""Archive files: CSV or parquet in the columns of a dataset."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl

from feature_pipeline.datasets import Dataset, in_columns
from feature_pipeline.extract.raw import Extraction, summed, typed
from forecast_core.contracts.errors import SourceError
from forecast_core.contracts.window import Window


def extract(url: str, window: Window) -> Extraction:
    """Return the rows of the file at ``url`` (a path or ``file://``) that lie in ``window``.

    The columns say of which dataset they are. A CSV may have the portal's form (``;`` and a decimal comma), or ``,``
    and a decimal point.

    Raises:
        SourceError: If the file is absent, empty, or not CSV or parquet in the columns of a dataset.
    """
    path = _path(url)
    semicolons = path.suffix.lower() == ".csv" and ";" in _header(path)
    raw = _read(path, separator=";" if semicolons else ",")
    if raw.is_empty():
        raise SourceError(f"the file {path} has no rows; expected at least one row of consumption.", path=str(path))
    source = f"the file {path}"
    dataset, hour = in_columns(raw.columns, source=source), pl.col("datetime_utc")
    frame = typed(raw, dataset, source=source, decimal_comma=semicolons)
    first, last = frame.select(hour.min().alias("first"), hour.max().alias("last")).row(0)
    # A row without its hour cannot be placed: it goes on, for validation to name it.
    inside = frame.filter(hour.is_between(window.start, window.end, closed="left") | hour.is_null())
    rows, warnings = summed(inside, dataset, source=source)
    return Extraction(dataset, rows, None if first is None else (first, last), warnings)


def dataset(url: str) -> Dataset:
    """Return the dataset of the file at ``url``, as its columns say.

    Raises:
        SourceError: If the file is absent, or not CSV or parquet in the columns of a dataset.
    """
    path = _path(url)
    separator = ";" if path.suffix.lower() == ".csv" and ";" in _header(path) else ","
    return in_columns(_read(path, separator=separator, rows=1).columns, source=f"the file {path}")


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


def _header(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline().decode("utf-8-sig", errors="replace")


def _read(path: Path, *, separator: str, rows: int | None = None) -> pl.DataFrame:
    """Read everything, or the first rows, as it stands; text stays text."""
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path, n_rows=rows)
        # Names and types are read as text, so that nothing is guessed from the first rows.
        return pl.read_csv(path, separator=separator, infer_schema=False, n_rows=rows)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(
            f"the file {path} cannot be read as {path.suffix.lower().removeprefix('.')} ({reason}).", path=str(path)
        ) from error
