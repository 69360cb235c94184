"""Whether the data keep their promises: checked by Great Expectations before anything is stored.

A broken error stops the load; a broken warning is told and kept. The rows that break either are in quarantine
(``forecast_core.quarantine``), and each run leaves its result as JSON and as a page (Data Docs).
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.files import write_json
from feature_pipeline.validation import data_docs, engine
from feature_pipeline.validation.expectations import RELEASABLE, Expectation, Subject, structure, suite
from feature_pipeline.validation.findings import collect, reported, summary
from feature_pipeline.validation.tables import series_table, value_table
from forecast_core.contracts.errors import ValidationError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine

__all__ = ["Verdict", "validate"]

_TOLD_ELSEWHERE: Final = ("incomplete",)
"""Expectations of which a run's warnings speak already (``transform.check_coverage``)."""


@dataclass(frozen=True)
class Verdict:
    """What validation found in data that may be stored.

    Attributes:
        counts: Rows or series that break each expectation that is a warning; those without any are left out.
        warnings: The same in words, a line per expectation, with the first of them.
        quarantined: Number of rows in quarantine for this run.
        result: Path of the JSON result.
        page: Path of the same as a page.
    """

    counts: dict[str, int]
    warnings: list[str]
    quarantined: int
    result: Path
    page: Path


def validate(
    observations: pl.DataFrame,
    window: Window,
    *,
    dataset: Dataset,
    feature_group_version: int,
    known_at: datetime,
    result_path: Path,
    settings: Settings,
) -> Verdict:
    """Check ``observations`` (``schema.OBSERVATIONS``), keep the result, and put what breaks it in quarantine.

    What a person has accepted breaks nothing. The same again gives the same.

    Raises:
        ValidationError: If an error's expectation is broken; the message names the first rows and where they are.
        StorageError: If the result or the quarantine cannot be written.
    """
    expected = suite(dataset, window, known_at=known_at)
    if dict(observations.schema) == dict(OBSERVATIONS):
        tables = _tables(observations, window, dataset, feature_group_version, known_at, expected, settings)
    else:
        # Of columns that are wrong nothing else can be asked.
        expected, tables = structure(), {"values": observations}
    checked = engine.run(expected, tables)
    found = collect(checked, expected)
    page = result_path.with_suffix(".html")
    facts = {
        "dataset": dataset.name,
        "reference": f"{known_at:{DATETIME_FORMAT}}",
        "window": f"{window.start:{DATETIME_FORMAT}} to {window.end:{DATETIME_FORMAT}} (exclusive)",
    }
    write_json(result_path, reported(checked, found, facts))
    data_docs.write(page, checked, found, facts)
    quarantined = Quarantine(settings).write(
        found,
        dataset=dataset.name,
        feature_group_version=feature_group_version,
        reference_datetime=known_at,
        window_start=window.start,
    )
    lines = summary(checked, found)
    _stop_on_errors(expected, lines, found, result=result_path, dataset=dataset.name, known_at=known_at)
    told = {name: line for name, line in lines.items() if name not in _TOLD_ELSEWHERE}
    return Verdict(_counts(found, lines), list(told.values()), quarantined, result_path, page)


def _tables(
    observations: pl.DataFrame,
    window: Window,
    dataset: Dataset,
    feature_group_version: int,
    known_at: datetime,
    expected: list[Expectation],
    settings: Settings,
) -> dict[Subject, pl.DataFrame]:
    accepted = Quarantine(settings).accepted(dataset=dataset.name, feature_group_version=feature_group_version)
    known = FeatureStore(settings).known_series(
        dataset=dataset.name,
        feature_group_version=feature_group_version,
        # What the run itself stores is not known before it.
        reference_datetime=known_at - HOUR,
    )
    return {
        "values": value_table(observations, window, expectations=expected, accepted=accepted),
        "series": series_table(observations, window, expected=dataset.series, known=known, accepted=accepted),
    }


def _stop_on_errors(
    expected: list[Expectation],
    lines: dict[str, str],
    found: pl.DataFrame,
    *,
    result: Path,
    dataset: str,
    known_at: datetime,
) -> None:
    errors = {each.name for each in expected if each.severity == "error"}
    broken = [line for name, line in lines.items() if name in errors]
    if not broken:
        return
    rows = found.filter(pl.col("severity") == "error")
    about = f"--dataset {dataset} --reference {known_at:%Y-%m-%dT%H:%M}"
    kept = (
        f"{rows.height} rows are in quarantine: `python -m feature_pipeline quarantine list {about}` shows them"
        if rows.height
        else "This is about the table as a whole: there are no rows to put in quarantine"
    )
    if RELEASABLE.intersection(rows["expectation"]):
        kept += f", and values that are right all the same are accepted by `… quarantine release {about} --note WHY`"
    raise ValidationError(
        f"the data break {len(broken)} of the schema's promises, and nothing was stored: {'; '.join(broken)}. "
        f"{kept}. Correct the source and run again; all results are in {result}.",
        broken=broken,
        quarantined=rows.height,
        result=str(result),
    )


def _counts(found: pl.DataFrame, lines: dict[str, str]) -> dict[str, int]:
    rows = dict(found.group_by("expectation").len().iter_rows())
    # An expectation about the table as a whole is broken once.
    return {name: rows.get(name, 1) for name in sorted(lines)}
