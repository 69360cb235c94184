"""The feature pipeline: extract, transform, validate, load."""

import logging
from collections.abc import Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, Final

from feature_pipeline.extract import extract
from feature_pipeline.transform import check_coverage, hours_covered, missing_hours, transform
from feature_pipeline.validation import validate
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.schema import SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance import made_by

logger = logging.getLogger(__name__)
_FILE_TIME: Final = "%Y-%m-%dT%H"


def run(
    export_end_reference_datetime: datetime | str | None,
    days_delay: int | str = 15,
    days_export: int | str = 30,
    url: str = "demo://denmark",
    feature_group_version: int | str = 1,
    *,
    dag_run_id: str | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Bring the window [reference - delay - export, reference - delay) from a source into the feature store.

    The same arguments again change nothing. On an error nothing is stored but the result of a failed validation
    and, in quarantine, the rows that failed it.

    Args:
        export_end_reference_datetime: Reference time of the run, floored to the hour; naive is UTC, text is ISO.
        days_delay: Days between the reference time and the end of the window.
        days_export: Days in the window.
        url: ``demo://denmark``, a path or ``file://`` to CSV or parquet, or ``https://…/dataset/NAME``.
        feature_group_version: With the source's dataset, names the feature group.
        dag_run_id: The orchestrator's name of the run; recorded with the ingest.
        settings: Where the store is; default from the environment.

    Returns:
        Plain JSON: the arguments, the window, counts of what was stored, of what is missing and of what is odd,
        warnings, and the paths of the validation result. Times are text in UTC.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        SourceError: If the source is unknown, absent or not in the expected form.
        SourceUnavailable: If the source does not answer.
        WindowError: If the source has less of the window than ``settings.minimum_window_share``.
        ValidationError: If the data break their schema's promises.
        StorageError: If the store or the validation result cannot be written.
    """
    settings = settings or Settings()
    reference = floor_hour(moment("export_end_reference_datetime", export_end_reference_datetime))
    delay, export = whole_number("days_delay", days_delay, least=0), whole_number("days_export", days_export, least=1)
    group_version = whole_number("feature_group_version", feature_group_version, least=1)
    return load(
        Window.before(reference, days_delay=delay, days_export=export),
        known_at=reference,
        url=url,
        feature_group_version=group_version,
        facts={"days_delay": delay, "days_export": export},
        result_path=f"{reference:{_FILE_TIME}}.json",
        dag_run_id=dag_run_id,
        settings=settings,
    )


def load(
    window: Window,
    *,
    known_at: datetime,
    url: str,
    feature_group_version: int,
    facts: Mapping[str, Any],
    result_path: str,
    dag_run_id: str | None,
    settings: Settings,
) -> dict[str, Any]:
    """Bring any window into the feature store as known at ``known_at``; see ``run`` for what it raises.

    Args:
        window: The hours to ask for.
        known_at: A full hour.
        url: As for ``run``.
        feature_group_version: As for ``run``.
        facts: More to record and return.
        result_path: Where to keep the validation result, in the dataset's folder.
        dag_run_id: As for ``run``.
        settings: Where the store is.
    """
    begun = perf_counter()
    extraction = extract(url, window, known_at, settings=settings)
    begun = _took("extract", begun)
    observations = transform(extraction.frame)
    coverage = check_coverage(
        observations,
        window,
        dataset=extraction.dataset,
        extent=extraction.extent,
        minimum_share=settings.minimum_window_share,
    )
    begun = _took("transform", begun)
    dataset = extraction.dataset.name
    verdict = validate(
        observations,
        window,
        dataset=extraction.dataset,
        feature_group_version=feature_group_version,
        known_at=known_at,
        result_path=settings.root / "validation" / dataset / result_path,
        settings=settings,
    )
    warnings = [*extraction.warnings, *coverage, *verdict.warnings]
    begun = _took("validate", begun)

    recorded: dict[str, Any] = {
        **facts,
        "url": url,
        "export_datetime_utc_start": window.start.strftime(DATETIME_FORMAT),
        "export_datetime_utc_end": window.end.strftime(DATETIME_FORMAT),
        "datetime_format": DATETIME_FORMAT,
        "num_unique_samples_per_time_series": hours_covered(observations),
        "feature_group_version": feature_group_version,
        "reference_datetime": known_at.strftime(DATETIME_FORMAT),
        "dataset": dataset,
        "series": observations.select(SERIES).n_unique(),
        "missing_hours": missing_hours(observations, window, extraction.dataset),
        "warnings": warnings,
        "validation_warnings": verdict.counts,
        "quarantined": verdict.quarantined,
        "validation_result": str(verdict.result),
        "validation_page": str(verdict.page),
    }
    counts = FeatureStore(settings).ingest(
        observations,
        dataset=dataset,
        feature_group_version=feature_group_version,
        window=window,
        reference_datetime=known_at,
        url=url,
        record=recorded,
        made_by=made_by("feature_pipeline.pipeline", dag_run_id=dag_run_id),
    )
    _took("load", begun)
    if counts.conflicting:
        warnings.append(
            f"{counts.conflicting} values differ from those stored for the same reference time; the stored ones stay"
        )
    for warning in warnings:
        logger.warning("%s: %s", url, warning)
    stored = {"rows": counts.rows, "new": counts.new, "revised": counts.revised, "vanished": counts.vanished}
    return {**recorded, **stored, "conflicting": counts.conflicting}


def _took(step: str, begun: float) -> float:
    now = perf_counter()
    logger.info("%s took %.2f s", step, now - begun)
    return now
