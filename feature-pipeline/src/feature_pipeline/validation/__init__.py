"""Validation: Great Expectations checks every rule before anything is stored.

If a rule of severity ``error`` fails, nothing is stored. If a rule of severity ``warning`` fails, the observations are
stored and the run reports it. The rows that fail either go to quarantine (``forecast_core.quarantine``). The result of
each run is kept in the store, as JSON and as a page (Data Docs).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.validation import engine, restated, results
from feature_pipeline.validation.comparison import Comparison
from feature_pipeline.validation.expectations import Expectation, Subject, structure, suite
from feature_pipeline.validation.findings import collect, finding_counts, summary
from feature_pipeline.validation.known import known
from feature_pipeline.validation.stop import stop
from feature_pipeline.validation.tables import series_table, value_table
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
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
        kept: Number of hours that have a known value and come without one now; the known value stays.
        not_taken: Number of values that differ from one stored for the same reference time; the stored one stays.
    """

    counts: dict[str, int]
    warnings: list[str]
    quarantined: int
    result: str
    page: str
    kept: int = 0
    not_taken: int = 0


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
    comparison, rules, tables = _prepared(
        observations,
        window,
        dataset=dataset,
        feature_group_version=feature_group_version,
        reference_datetime=reference_datetime,
        settings=settings,
    )
    checked = engine.run(rules, tables)
    found = collect(checked, rules, comparison.by_series)
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
        raise stop(run, lines, found, result=result)
    if "restated" in lines:
        lines["restated"] = restated.told(comparison.by_series)
    warnings = [line for rule, line in lines.items() if rule not in _REPORTED_ELSEWHERE]
    warnings += comparison.warnings(reference_datetime)
    return Verdict(
        {each.expectation: each.rows for each in counts},
        warnings,
        quarantined,
        result,
        page,
        kept=comparison.kept.height,
        not_taken=comparison.not_taken.height,
    )


def _prepared(
    observations: pl.DataFrame,
    window: Window,
    *,
    dataset: Dataset,
    feature_group_version: int,
    reference_datetime: datetime,
    settings: Settings,
) -> tuple[Comparison, list[Expectation], dict[Subject, pl.DataFrame]]:
    """Return the comparison with the store, the rules to check, and the tables that they are about."""
    if dict(observations.schema) != dict(OBSERVATIONS):
        # The other rules need the columns: Great Expectations would raise on a column that is not there.
        return Comparison.of_nothing(), structure(), {"values": observations}
    rules = suite(dataset, window, reference_datetime=reference_datetime)
    accepted = Quarantine(settings).accepted(
        dataset=dataset.name, feature_group_version=feature_group_version, reference_datetime=reference_datetime
    )
    store = known(
        window,
        dataset=dataset.name,
        feature_group_version=feature_group_version,
        reference_datetime=reference_datetime,
        settings=settings,
    )
    comparison = Comparison.between(observations, store, accepted=accepted)
    return comparison, rules, _tables(comparison, window, store.series, dataset, rules, accepted)


def _tables(
    comparison: Comparison,
    window: Window,
    known_series: list[tuple[str, str]],
    dataset: Dataset,
    rules: list[Expectation],
    accepted: pl.DataFrame,
) -> dict[Subject, pl.DataFrame]:
    values = comparison.observations
    return {
        "values": value_table(values, window, expectations=rules, accepted=accepted),
        "series": series_table(
            values,
            window,
            expected=dataset.series,
            known=known_series,
            comparison=comparison.by_series,
            accepted=accepted,
        ),
    }


def _outcome(counts: Sequence[FindingCount]) -> Outcome:
    if any(each.severity == "error" for each in counts):
        return "stopped"
    return "stored with warnings" if counts else "passed"
