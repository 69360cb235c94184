"""All rows of one question, page by page: none is lost or doubled, however the source changes between two pages.

The ``total`` of an answer is not reliable: pages are read until a short one. Each page begins with the last row of the
page before. Where it does not, or a key of an earlier page comes again, the source has changed its order, ignores the
offset or has got rows in between, and all pages are read anew.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.extract.answers import Answer
from feature_pipeline.extract.raw import HOUR, ROW, text_columns, with_hours
from forecast_core.contracts.errors import SourceError, SourceUnavailable

logger = logging.getLogger(__name__)

Ask = Callable[[dict[str, str]], Answer]
"""From the parameters of a request to its answer."""

_READINGS: Final = 2
_TIME: Final = "%Y-%m-%dT%H:%M"


class _Shifted(Exception):
    """The pages do not fit together."""


def read(
    ask: Ask, dataset: Dataset, span: tuple[datetime, datetime], *, page: int, most_rows: int, source: str
) -> pl.DataFrame:
    """Return the rows that the source has from ``span[0]`` (inclusive) to ``span[1]``, as text.

    The columns are those of the dataset, ``raw.HOUR`` (null where the time cannot be read) and ``raw.ROW``.

    Args:
        ask: Makes one request.
        dataset: What is asked for.
        span: First hour and the hour after the last.
        page: Rows to ask for in one request.
        most_rows: More are refused.
        source: Its name in messages.

    Raises:
        SourceError: If the answers are not in the dataset's form, or too many.
        SourceUnavailable: If the pages do not fit together, twice.
    """
    for reading in range(_READINGS):
        try:
            return _rows(ask, dataset, span, page=page, most_rows=most_rows, source=source)
        except _Shifted as error:
            logger.warning("%s: %s (reading %d of %d)", source, error, reading + 1, _READINGS)
            reason = error
    raise SourceUnavailable(
        f"the pages of {source} do not fit together, {_READINGS} times (last: {reason}); the source changes while it "
        "is read, or ignores offset or sort: try again later.",
        url=source,
    ) from reason


def _rows(
    ask: Ask, dataset: Dataset, span: tuple[datetime, datetime], *, page: int, most_rows: int, source: str
) -> pl.DataFrame:
    key = [name for name in dataset.columns if name != dataset.energy]
    query = {
        "start": span[0].strftime(_TIME),
        "end": span[1].strftime(_TIME),
        "timezone": "utc",
        "columns": ",".join(dataset.columns),
        "sort": ",".join(key),
    }
    frames: list[pl.DataFrame] = []
    last: tuple[Any, ...] | None = None
    rows = 0
    for records in _answers(ask, query, page=page, source=source):
        text = text_columns(records, dataset, source=source)
        if last is not None and (text.is_empty() or text.select(key).row(0) != last):
            raise _Shifted(f"page {len(frames) + 1} does not begin with the last row of the page before")
        frames.append(with_hours(text if last is None else text.slice(1), dataset))
        _refuse_keys_of_earlier_pages(frames, key)
        rows += frames[-1].height
        last = text.select(key).row(-1) if text.height else None
        if rows > most_rows:
            raise SourceError(f"{source} has more than {most_rows:,} rows; ask for a shorter window.", url=source)
        _say(source, frames, rows, span)
    return pl.concat(frames).with_row_index(ROW, 1)


def _answers(ask: Ask, query: dict[str, str], *, page: int, source: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of pages until a short one; each page overlaps the one before by a row."""
    offset = 0
    while True:
        answer = ask({**query, "offset": str(offset), "limit": str(page)})
        records = answer["records"]
        yield records
        # The source may allow fewer rows in a page than were asked for, and says so.
        granted = answer.get("limit")
        full = min(page, granted) if isinstance(granted, int) and granted > 0 else page
        if len(records) < full:
            return
        if len(records) < 2:
            raise SourceError(f"{source} gives pages of one row; it cannot be read in full.", url=source)
        offset += len(records) - 1


def _refuse_keys_of_earlier_pages(frames: list[pl.DataFrame], key: list[str]) -> None:
    first, end = frames[-1].select(pl.col(HOUR).min().alias("first"), pl.col(HOUR).max().alias("end")).row(0)
    for earlier in frames[:-1]:
        # In the order that was asked for, two pages share one hour at most.
        shared = earlier.filter(pl.col(HOUR).is_between(first, end))
        again = frames[-1].join(shared, on=key, how="semi")
        if again.height:
            raise _Shifted(f"page {len(frames)} has {again.height} keys of an earlier page")


def _say(source: str, frames: list[pl.DataFrame], rows: int, span: tuple[datetime, datetime]) -> None:
    newest = frames[-1][HOUR].max()
    share = (newest - span[0]) / (span[1] - span[0]) if isinstance(newest, datetime) else 0.0
    left = round(len(frames) / share) - len(frames) if 0 < share <= 1 else 0
    more = f", about {left} more pages" if left > 0 else ""
    logger.info("%s: page %d, %d rows so far, %.0f %% of the hours%s", source, len(frames), rows, 100 * share, more)
