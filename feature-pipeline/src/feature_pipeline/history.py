"""Long histories: a window is imported in chunks, each of them stored before the next is asked for."""

import logging
from datetime import datetime, timedelta
from typing import TypedDict

from feature_pipeline import extract, pipeline
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.dag_run import DagRun, this_dag_run
from forecast_core.contracts.errors import InvalidArgument, WindowError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore

logger = logging.getLogger(__name__)


class Imported(TypedDict):
    """What ``import_history`` did, as plain JSON; times are text in UTC. The last five are sums over the chunks."""

    url: str
    dataset: str
    feature_group_version: int
    start_datetime: str
    end_datetime: str
    reference_datetime: str
    chunks: int
    imported: int
    stored_already: int
    without_data: list[str]
    warnings: list[str]
    rows: int
    new: int
    revised: int
    vanished: int
    conflicting: int


def import_history(
    url: str,
    start_datetime: datetime | str,
    end_datetime: datetime | str,
    reference_datetime: datetime | str,
    chunk_days: int | str = 30,
    feature_group_version: int | str = 1,
    *,
    dag_run_id: str | None = None,
    settings: Settings | None = None,
) -> Imported:
    """Bring all hours of a long window into the feature store, as known at one reference time, chunk by chunk.

    Each chunk is extracted, validated and stored as ``pipeline.run`` does it. A chunk is skipped if the store already
    has its hours as known at the reference time or later, so the same call continues after a failure or a kill. A chunk
    of which the source has no data, or too few, is named in the result, and the import continues.

    Args:
        url: As for ``pipeline.run``.
        start_datetime: First hour; naive is UTC, text is ISO.
        end_datetime: The hour after the last; not after the reference time.
        reference_datetime: When the values became known, floored to the hour.
        chunk_days: Days of one chunk.
        feature_group_version: As for ``pipeline.run``.
        dag_run_id: As for ``pipeline.run``.
        settings: Where the store is; default from the environment.

    Returns:
        The arguments, the number of chunks imported and of those stored already, the chunks without data, the warnings
        by chunk, and sums of what was stored.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        ForecastingError: As ``pipeline.run`` raises it; earlier chunks stay stored.
    """
    settings = settings or Settings()
    reference = floor_hour(moment("reference_datetime", reference_datetime))
    window = Window(moment("start_datetime", start_datetime), moment("end_datetime", end_datetime))
    if window.end > reference:
        raise InvalidArgument(
            f"the window ends at {window.end:{DATETIME_FORMAT}}, after the reference time "
            f"{reference:{DATETIME_FORMAT}}: its last hours cannot have been known then"
        )
    version = whole_number("feature_group_version", feature_group_version, least=1)
    chunks = _chunks(window, timedelta(days=whole_number("chunk_days", chunk_days, least=1)))
    imported = _nothing(url, version, window, reference_datetime=reference, chunks=len(chunks))
    dag_run = this_dag_run(dag_run_id)
    for number, chunk in enumerate(chunks, start=1):
        logger.info("chunk %d of %d: %s", number, len(chunks), _text(chunk))
        _import(chunk, imported, reference_datetime=reference, dag_run=dag_run, settings=settings)
    return imported


def _nothing(
    url: str, feature_group_version: int, window: Window, *, reference_datetime: datetime, chunks: int
) -> Imported:
    """Return the result of an import before its first chunk."""
    return {
        "url": url,
        "dataset": extract.dataset(url).name,
        "feature_group_version": feature_group_version,
        "start_datetime": window.start.strftime(DATETIME_FORMAT),
        "end_datetime": window.end.strftime(DATETIME_FORMAT),
        "reference_datetime": reference_datetime.strftime(DATETIME_FORMAT),
        "chunks": chunks,
        "imported": 0,
        "stored_already": 0,
        "without_data": [],
        "warnings": [],
        "rows": 0,
        "new": 0,
        "revised": 0,
        "vanished": 0,
        "conflicting": 0,
    }


def _import(
    chunk: Window, imported: Imported, *, reference_datetime: datetime, dag_run: DagRun | None, settings: Settings
) -> None:
    """Bring one chunk into the store, unless it is there, and add what that did to ``imported``."""
    version = imported["feature_group_version"]
    if FeatureStore(settings).covered(
        dataset=imported["dataset"],
        feature_group_version=version,
        window=chunk,
        reference_datetime=reference_datetime,
    ):
        imported["stored_already"] += 1
        return
    try:
        loaded = pipeline.load(
            chunk,
            reference_datetime=reference_datetime,
            url=imported["url"],
            feature_group_version=version,
            facts={},
            is_chunk=True,
            dag_run=dag_run,
            settings=settings,
        )
    except WindowError as error:
        imported["without_data"].append(f"{_text(chunk)}: {error.args[0]}")
        logger.warning(imported["without_data"][-1])
        return
    imported["imported"] += 1
    for count in ("rows", "new", "revised", "vanished", "conflicting"):
        imported[count] += loaded[count]
    imported["warnings"] += [f"{_text(chunk)}: {warning}" for warning in loaded["warnings"]]


def _text(chunk: Window) -> str:
    return f"{chunk.start:{DATETIME_FORMAT}} to {chunk.end:{DATETIME_FORMAT}}"


def _chunks(window: Window, length: timedelta) -> list[Window]:
    """Return windows of the given length, the last one shorter, that together are ``window``."""
    starts = [window.start + n * length for n in range(-((window.start - window.end) // length))]
    return [Window(start, min(start + length, window.end)) for start in starts]
