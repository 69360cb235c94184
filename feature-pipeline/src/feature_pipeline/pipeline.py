"""The feature pipeline: extract, transform, validate, load."""

import logging
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from time import perf_counter
from typing import Final, TypedDict

import polars as pl

from feature_pipeline import clock_shift, defects
from feature_pipeline.clock import check_clock_changes
from feature_pipeline.extract import extract
from feature_pipeline.known import near
from feature_pipeline.transform import check_coverage, hours_covered, missing_hours, transform
from feature_pipeline.validation import validate
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.dag_run import DagRun, this_dag_run
from forecast_core.contracts.schema import HOUR, SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore, IngestCounts
from forecast_core.provenance import made_by

logger = logging.getLogger(__name__)
_NAME_TIME: Final = "%Y-%m-%dT%H"


class Recorded(TypedDict):
    """What is recorded with an ingest, as plain JSON; times are text in UTC.

    ``kept`` counts hours that have a known value and come without one now; the known values stay. ``not_taken`` counts
    values that differ from one stored for the same reference time; the stored ones stay.
    """

    url: str
    export_datetime_utc_start: str
    export_datetime_utc_end: str
    datetime_format: str
    num_unique_samples_per_time_series: int
    feature_group_version: int
    reference_datetime: str
    dataset: str
    series: int
    missing_hours: int
    kept: int
    not_taken: int
    warnings: list[str]
    validation_warnings: dict[str, int]
    quarantined: int
    validation_result: str
    validation_page: str


class Loaded(Recorded):
    """What ``load`` did.

    ``rows`` counts the values that the source had for the window. Of these, ``new`` are for hours that had no value
    and ``revised`` differ from the newest value. ``vanished`` counts values that the source had before and has no more.
    ``conflicting`` values differ from those stored for the same reference time; the stored ones stay.
    """

    rows: int
    new: int
    revised: int
    vanished: int
    conflicting: int


class RunResult(Loaded):
    """What ``run`` did."""

    days_delay: int
    days_export: int


def run(
    export_end_reference_datetime: datetime | str | None,
    days_delay: int | str = 15,
    days_export: int | str = 30,
    url: str = "demo://denmark",
    feature_group_version: int | str = 1,
    *,
    dag_run_id: str | None = None,
    settings: Settings | None = None,
) -> RunResult:
    """Bring the window [reference - delay - export, reference - delay) from a source into the feature store.

    The same call again changes nothing. On an error no observation is stored; a failed validation keeps its result and,
    in quarantine, the rows that failed.

    Args:
        export_end_reference_datetime: Reference time of the run, floored to the hour; naive is UTC, text is ISO.
        days_delay: Days between the end of the window and the reference time.
        days_export: Days in the window.
        url: ``demo://denmark``, a path or ``file://`` to CSV or parquet, or ``https://…/dataset/NAME``.
        feature_group_version: With the source's dataset, names the feature group.
        dag_run_id: The orchestrator's name of the run, recorded with the ingest; default that of the task, if Airflow
            runs this.
        settings: Where the store is; default from the environment.

    Returns:
        The arguments, the window, counts of what was stored and of what is missing, warnings, and the paths (local
        stores) or URIs (object stores) of the validation result and its page.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        SourceError: If the source is unknown, absent or not in the expected form.
        SourceUnavailable: If the source does not answer.
        WindowError: If the source has less of the window than ``settings.minimum_window_share``.
        ValidationError: If a validation rule of severity ``error`` fails.
        StorageError: If the store cannot be written now.
    """
    settings = settings or Settings()
    reference_datetime = floor_hour(moment("export_end_reference_datetime", export_end_reference_datetime))
    delay, export = whole_number("days_delay", days_delay, least=0), whole_number("days_export", days_export, least=1)
    facts = {"days_delay": delay, "days_export": export}
    loaded = load(
        Window.before(reference_datetime, days_delay=delay, days_export=export),
        reference_datetime=reference_datetime,
        url=url,
        feature_group_version=whole_number("feature_group_version", feature_group_version, least=1),
        facts=facts,
        dag_run=this_dag_run(dag_run_id),
        settings=settings,
    )
    return {"days_delay": delay, "days_export": export, **loaded}


@defects.named
def load(
    window: Window,
    *,
    reference_datetime: datetime,
    url: str,
    feature_group_version: int,
    facts: Mapping[str, int],
    is_chunk: bool = False,
    dag_run: DagRun | None,
    settings: Settings,
) -> Loaded:
    """Bring any window into the feature store as known at the reference time; ``run`` says what it raises.

    Args:
        window: The hours to ask for.
        reference_datetime: A full hour.
        url: As for ``run``.
        feature_group_version: As for ``run``.
        facts: More to record with the ingest.
        is_chunk: Whether the window is one of many of this reference time; the name of its validation then has the
            first hour of the window, too.
        dag_run: The run that ingests; None from a shell.
        settings: Where the store is.
    """
    begun = perf_counter()
    extraction = extract(
        url, window, reference_datetime, settings=settings, feature_group_version=feature_group_version
    )
    begun = _took("extract", begun)
    observations = transform(extraction.frame)
    clock_notes = _clock_notes(
        observations,
        window,
        extraction.dataset.name,
        feature_group_version,
        reference_datetime,
        source=url,
        settings=settings,
    )
    coverage = check_coverage(
        observations,
        window,
        dataset=extraction.dataset,
        extent=extraction.extent,
        minimum_share=settings.minimum_window_share,
    )
    begun = _took("transform", begun)
    verdict = validate(
        observations,
        window,
        dataset=extraction.dataset,
        feature_group_version=feature_group_version,
        reference_datetime=reference_datetime,
        name=_validation_name(reference_datetime, feature_group_version, window.start if is_chunk else None),
        settings=settings,
    )
    begun = _took("validate", begun)
    recorded: Recorded = {
        "url": url,
        "export_datetime_utc_start": window.start.strftime(DATETIME_FORMAT),
        "export_datetime_utc_end": window.end.strftime(DATETIME_FORMAT),
        "datetime_format": DATETIME_FORMAT,
        "num_unique_samples_per_time_series": hours_covered(observations),
        "feature_group_version": feature_group_version,
        "reference_datetime": reference_datetime.strftime(DATETIME_FORMAT),
        "dataset": extraction.dataset.name,
        "series": observations.select(SERIES).n_unique(),
        "missing_hours": missing_hours(observations, window, extraction.dataset),
        "kept": verdict.kept,
        "not_taken": verdict.not_taken,
        "warnings": [*extraction.warnings, *clock_notes, *coverage, *verdict.warnings],
        "validation_warnings": verdict.counts,
        "quarantined": verdict.quarantined,
        "validation_result": verdict.result,
        "validation_page": verdict.page,
    }
    counts = FeatureStore(settings).ingest(
        observations,
        dataset=extraction.dataset.name,
        feature_group_version=feature_group_version,
        window=window,
        reference_datetime=reference_datetime,
        url=url,
        record={**facts, **recorded},
        made_by=made_by("feature_pipeline.pipeline", dag_run=dag_run),
        dag_run=dag_run,
    )
    _took("load", begun)
    return _told(recorded, counts)


def _clock_notes(
    observations: pl.DataFrame,
    window: Window,
    dataset: str,
    feature_group_version: int,
    reference_datetime: datetime,
    *,
    source: str,
    settings: Settings,
) -> list[str]:
    """Return warnings about times that may be on another clock than UTC.

    Raises:
        SourceError: If the hours of the clock's change prove that they are.
    """
    answer = settings.source_clock
    known = near(
        window,
        dataset=dataset,
        feature_group_version=feature_group_version,
        # An hour earlier: a repeated run would else find its own values, and not warn.
        known_at=reference_datetime - HOUR,
        settings=settings,
    )
    return check_clock_changes(observations, window, source=source, answer=answer) or clock_shift.warn(
        observations, known, answer=answer
    )


def _told(recorded: Recorded, counts: IngestCounts) -> Loaded:
    """Return what was done, and log its warnings."""
    for warning in recorded["warnings"]:
        logger.warning("%s: %s", recorded["url"], warning)
    return {
        **recorded,
        "rows": counts.rows,
        "new": counts.new,
        "revised": counts.revised,
        "vanished": counts.vanished,
        "conflicting": counts.conflicting,
    }


def _validation_name(reference_datetime: datetime, feature_group_version: int, chunk_start: datetime | None) -> str:
    """Return the name of a run's validation: unique for each feature group version, and for each chunk of a history.

    >>> from datetime import UTC
    >>> _validation_name(datetime(2024, 3, 31, 5, tzinfo=UTC), 1, None)
    '2024-03-31T05'
    >>> _validation_name(datetime(2024, 3, 31, 5, tzinfo=UTC), 2, datetime(2021, 1, 1, tzinfo=UTC))
    '2024-03-31T05.v2.2021-01-01T00'
    """
    parts = [reference_datetime.strftime(_NAME_TIME)]
    if feature_group_version != 1:
        parts.append(f"v{feature_group_version}")
    if chunk_start is not None:
        parts.append(chunk_start.strftime(_NAME_TIME))
    return ".".join(parts)


def _took(step: str, begun: float) -> float:
    now = perf_counter()
    logger.info("%s took %.2f s", step, now - begun)
    return now


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("feature_pipeline.__main__").main(step="run"))
