"""The result of Great Expectations as a frame of failing rows, as plain JSON and as sentences."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import polars as pl

from feature_pipeline.validation.engine import EXAMPLES
from feature_pipeline.validation.expectations import SERIES_STATE, SHAPE, Expectation
from feature_pipeline.wording import counted
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.schema import HOUR, OBSERVATIONS, SERIES
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.quarantine import FINDINGS, describe
from forecast_core.validations import FindingCount, ValidationRun

_WITH_REASON: Final = {**SHAPE, **SERIES_STATE}
"""Rules whose column says for each row why it fails."""
_BULKY: Final = ("unexpected_index_list", "unexpected_list", "partial_unexpected_counts")
"""Parts of a result that repeat every failing row; the quarantine has them."""


def collect(checked: Any, rules: Sequence[Expectation], factors: pl.DataFrame) -> pl.DataFrame:
    """Return FINDINGS, sorted: every row that fails a rule. A rule about the table as a whole has no row.

    Args:
        checked: Result of Great Expectations.
        rules: The rules that were checked.
        factors: SERIES and ``factor``, for findings of the rule ``factor``.
    """
    by_series = {(area, kind): factor for area, kind, factor in factors.select(*SERIES, "factor").iter_rows()}
    declared = {rule.name: rule for rule in rules}
    rows = []
    for result in checked.results:
        rule = declared[_name(result)]
        for row in [] if result.success else result.result.get("unexpected_index_list") or []:
            named = {name: _plain(row.get(name)) for name in OBSERVATIONS}
            reason = row[rule.name] if rule.name in _WITH_REASON else rule.description
            factor = by_series.get((named["area"], named["consumer_type"])) if rule.name == "factor" else None
            facts = {"factor": factor, "expectation": rule.name, "severity": rule.severity, "reason": reason}
            rows.append({**named, **facts})
    return pl.DataFrame(rows, schema=FINDINGS).sort("severity", "expectation", *OBSERVATIONS)


def finding_counts(checked: Any, found: pl.DataFrame, rules: Sequence[Expectation]) -> tuple[FindingCount, ...]:
    """Return how many rows fail each rule that failed, errors first; a rule about the whole table counts as one."""
    declared = {rule.name: rule for rule in rules}
    rows = dict(found.group_by("expectation").len().iter_rows())
    failed = sorted((declared[_name(each)].severity, _name(each)) for each in checked.results if not each.success)
    return tuple(FindingCount(name, severity, rows.get(name, 1)) for severity, name in failed)


def reported(run: ValidationRun, checked: Any) -> dict[str, Any]:
    """Return Great Expectations' result, with the run's facts and counts, as plain JSON; of failing rows, examples."""
    result: dict[str, Any] = checked.to_json_dict()
    for each in result["results"]:
        for name in _BULKY:
            each["result"].pop(name, None)
    return {**result, "run": facts(run), "findings": [asdict(each) for each in run.findings]}


def facts(run: ValidationRun) -> dict[str, str]:
    """Return what a result and a page say of their run: dataset, reference time and window, as text in UTC."""
    return {
        "dataset": run.dataset,
        "reference": f"{run.reference_datetime:{DATETIME_FORMAT}}",
        "window": f"{run.window.start:{DATETIME_FORMAT}} to {run.window.end:{DATETIME_FORMAT}} (exclusive)",
    }


def summary(checked: Any, found: pl.DataFrame) -> dict[str, str]:
    """Return a line for each rule that failed: what it demands, how many rows fail, and the first of them."""
    lines = {}
    for result in checked.results:
        if result.success:
            continue
        name, description = _name(result), result.expectation_config.meta["description"]
        rows = found.filter(pl.col("expectation") == name)
        if name == "fresh":
            lines[name] = f"{description}; {_lateness(result)}"
            continue
        if rows.is_empty():
            # About the table as a whole: there is no row to name.
            seen = result.result.get("observed_value") or result.exception_info.get("exception_message")
            lines[name] = f"{description}, found {seen}"
            continue
        examples = ", ".join(_example(row) for row in rows.head(EXAMPLES).iter_rows(named=True))
        subject = f"{rows.height} series" if name in SERIES_STATE else counted(rows.height, "row")
        lines[name] = f"{description}; not so in {subject} ({examples})"
    return lines


def _lateness(result: Any) -> str:
    """Return which hour is the newest, and by how many hours it is older than the one that is due."""
    newest = moment("newest", result.result["observed_value"])
    due = moment("due", result.expectation_config.kwargs["min_value"])
    return f"it is {newest:{DATETIME_FORMAT}}, {counted((due - newest) // HOUR, 'hour')} older"


def _example(row: dict[str, object]) -> str:
    return f"{describe(row)}: {row['reason']}" if row["expectation"] in _WITH_REASON else describe(row)


def _name(result: Any) -> str:
    name: str = result.expectation_config.meta["name"]
    return name


def _plain(value: Any) -> object:
    """Return a value of pandas as Python has it: missing is None, times are in UTC."""
    if value is None or value != value:  # Only NaN and NaT differ from themselves.
        return None
    return as_utc(value) if isinstance(value, datetime) else value
