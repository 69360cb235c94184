"""Long histories: many windows one after the other, each of them stored before the next is asked for."""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from feature_pipeline import extract, pipeline
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, WindowError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore

logger = logging.getLogger(__name__)
_COUNTS: Final = ("rows", "new", "revised", "vanished", "conflicting")


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
) -> dict[str, Any]:
    """Bring all hours of a long window into the feature store, as known at a reference time, chunk by chunk.

    Each chunk goes the way of ``pipeline.run``. Hours of which the store already has what was known at the reference
    time or later are not asked for again: after a failure or a kill the same call goes on where it stopped. A chunk of
    which the source has no or too few data is named in the result, and the import goes on.

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
        Plain JSON: the arguments, how many chunks were imported and how many were stored already, sums of what was
        stored, the chunks without data and the warnings, by chunk.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        ForecastingError: As ``pipeline.run`` does; the chunks before stay stored.
    """
    settings = settings or Settings()
    known_at = floor_hour(moment("reference_datetime", reference_datetime))
    window = Window(moment("start_datetime", start_datetime), moment("end_datetime", end_datetime))
    if window.end > known_at:
        raise InvalidArgument(
            f"the window ends at {window.end:{DATETIME_FORMAT}}, after the reference time "
            f"{known_at:{DATETIME_FORMAT}}: its last hours cannot have been known then"
        )
    version = whole_number("feature_group_version", feature_group_version, least=1)
    dataset, store = extract.dataset(url).name, FeatureStore(settings)
    chunks = _chunks(window, timedelta(days=whole_number("chunk_days", chunk_days, least=1)))
    counts, stored_already, warnings, without_data = dict.fromkeys(_COUNTS, 0), 0, list[str](), list[str]()
    for number, chunk in enumerate(chunks, start=1):
        name = f"{chunk.start:{DATETIME_FORMAT}} to {chunk.end:{DATETIME_FORMAT}}"
        logger.info("chunk %d of %d: %s", number, len(chunks), name)
        if store.covered(dataset=dataset, feature_group_version=version, window=chunk, reference_datetime=known_at):
            stored_already += 1
            continue
        try:
            result = _load(chunk, known_at, url, version, dag_run_id, settings)
        except WindowError as error:
            without_data.append(f"{name}: {error.args[0]}")
            logger.warning(without_data[-1])
            continue
        counts = {count: total + result[count] for count, total in counts.items()}
        warnings += [f"{name}: {warning}" for warning in result["warnings"]]
    return {
        "url": url,
        "dataset": dataset,
        "feature_group_version": version,
        "start_datetime": window.start.strftime(DATETIME_FORMAT),
        "end_datetime": window.end.strftime(DATETIME_FORMAT),
        "reference_datetime": known_at.strftime(DATETIME_FORMAT),
        "chunks": len(chunks),
        "imported": len(chunks) - stored_already - len(without_data),
        "stored_already": stored_already,
        "without_data": without_data,
        "warnings": warnings,
        **counts,
    }


def _load(
    chunk: Window, known_at: datetime, url: str, version: int, dag_run_id: str | None, settings: Settings
) -> dict[str, Any]:
    return pipeline.load(
        chunk,
        known_at=known_at,
        url=url,
        feature_group_version=version,
        facts={},
        result_path=f"{known_at:%Y-%m-%dT%H}/{chunk.start:%Y-%m-%dT%H}.json",
        dag_run_id=dag_run_id,
        settings=settings,
    )


def _chunks(window: Window, length: timedelta) -> list[Window]:
    """Return windows of the given length, the last one shorter, that together are ``window``."""
    starts = [window.start + n * length for n in range(-((window.start - window.end) // length))]
    return [Window(start, min(start + length, window.end)) for start in starts]
