"""Validation: Great Expectations checks every rule before anything is stored.

If a rule of severity ``error`` fails, nothing is stored. If a rule of severity ``warning`` fails, the observations are
stored and the run reports it. The rows that fail either go to quarantine (``forecast_core.quarantine``). The result of
each run is kept in the store, as JSON and as a page (Data Docs).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.validation import engine, results
from feature_pipeline.validation.expectations import RELEASABLE, Expectation, Subject, structure, suite
from feature_pipeline.validation.findings import collect, finding_counts, summary
from feature_pipeline.validation.tables import series_table, value_table
from feature_pipeline.wording import counted
from forecast_core.contracts.errors import ValidationError
from forecast_core.contracts.schema import HOUR, OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.quarantine import Quarantine
from forecast_core.validations import FindingCount, Outcome, ValidationRun

__all__ = ["Verdict", "validate"]

_REPORTED_ELSEWHERE: Final = ("incomplete",)
"""Rules that a run's warnings cover already (``transform.check_coverage``)."""


@dataclass(frozen=True)
class Verdict:
    """The result of validating observations that may be stored.

    Attributes:
        counts: Number of rows or series that fail each rule of severity ``warning``; rules that pass are left out.
        warnings: One line for each of these rules, with its first failing rows.
        quarantined: Number of rows that this run put in quarantine.
        result: Path (local stores) or URI (object stores) of the JSON result.
        page: Path or URI of the page.
    """

    counts: dict[str, int]
    warnings: list[str]
    quarantined: int
    result: str
    page: str


def validate(
    observations: pl.DataFrame,
    window: Window,
    *,
    dataset: Dataset,
    feature_group_version: int,
    reference_datetime: datetime,
    name: str,
    settings: Settings,
) -> Verdict:
    """Check ``observations``, keep the result in the store, and put the rows that fail a rule in quarantine.

    Rows that a person has released pass. The same call again gives the same result.

    Args:
        observations: Frame that should have the columns and types of ``schema.OBSERVATIONS``.
        window: Hours that the source was asked for.
        dataset: What the source publishes.
        feature_group_version: With the dataset, names the feature group.
        reference_datetime: Reference time of the run.
        name: Names the run within its dataset, and its files; letters, digits, ``_``, ``.`` and ``-``.
        settings: Where the store is.

    Raises:
        ValidationError: If a rule of severity ``error`` fails; the message names the first rows.
        StorageError: If the result or the quarantine cannot be written now.
    """
    if dict(observations.schema) == dict(OBSERVATIONS):
        rules = suite(dataset, window, reference_datetime=reference_datetime)
        tables = _tables(observations, window, dataset, feature_group_version, reference_datetime, rules, settings)
    else:
        # The other rules need the columns: Great Expectations would raise on a column that is not there.
        rules, tables = structure(), {"values": observations}
    checked = engine.run(rules, tables)
    found = collect(checked, rules)
    counts = finding_counts(checked, found, rules)
    quarantined = Quarantine(settings).write(
        found,
        dataset=dataset.name,
        feature_group_version=feature_group_version,
        reference_datetime=reference_datetime,
        window_start=window.start,
    )
    run = ValidationRun(
        dataset=dataset.name,
        name=name,
        feature_group_version=feature_group_version,
        reference_datetime=reference_datetime,
        window=window,
        outcome=_outcome(counts),
        findings=counts,
        rules=len(rules),
        failed_rules=len(counts),
    )
    result, page = results.keep(run, checked, found, settings=settings)
    lines = summary(checked, found)
    if run.outcome == "stopped":
        raise _stop(run, lines, found, result=result)
    told = [line for rule, line in lines.items() if rule not in _REPORTED_ELSEWHERE]
    return Verdict({each.expectation: each.rows for each in counts}, told, quarantined, result, page)


def _tables(
    observations: pl.DataFrame,
    window: Window,
    dataset: Dataset,
    feature_group_version: int,
    reference_datetime: datetime,
    rules: list[Expectation],
    settings: Settings,
) -> dict[Subject, pl.DataFrame]:
    accepted = Quarantine(settings).accepted(dataset=dataset.name, feature_group_version=feature_group_version)
    known = FeatureStore(settings).known_series(
        dataset=dataset.name,
        feature_group_version=feature_group_version,
        # An hour earlier: a repeated run would else find its own values, and report no new series.
        reference_datetime=reference_datetime - HOUR,
    )
    return {
        "values": value_table(observations, window, expectations=rules, accepted=accepted),
        "series": series_table(observations, window, expected=dataset.series, known=known, accepted=accepted),
    }


def _outcome(counts: Sequence[FindingCount]) -> Outcome:
    if any(each.severity == "error" for each in counts):
        return "stopped"
    return "stored with warnings" if counts else "passed"


def _stop(run: ValidationRun, lines: Mapping[str, str], found: pl.DataFrame, *, result: str) -> ValidationError:
    """Return the error of a run in which a rule of severity ``error`` failed."""
    failed = [lines[each.expectation] for each in run.findings if each.severity == "error"]
    rows = found.filter(pl.col("severity") == "error")
    about = f"--dataset {run.dataset} --reference {run.reference_datetime:%Y-%m-%dT%H:%M}"
    kept = "The failed rules are about the table as a whole, so no row is in quarantine"
    if rows.height:
        are = "is" if rows.height == 1 else "are"
        kept = (
            f"{counted(rows.height, 'row')} {are} in quarantine, listed by `python -m feature_pipeline quarantine list "
            f"{about}`"
        )
    if RELEASABLE.intersection(rows["expectation"]):
        kept += f"; to accept values that are right: `python -m feature_pipeline quarantine release {about} --note WHY`"
    return ValidationError(
        f"{counted(len(failed), 'validation rule')} failed, nothing was stored: {'; '.join(failed)}. {kept}. "
        f"Correct the source and run again; all results are in {result}.",
        failed=failed,
        quarantined=rows.height,
        result=result,
    )
