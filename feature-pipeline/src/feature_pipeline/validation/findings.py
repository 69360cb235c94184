"""What Great Expectations found, as rows, as JSON and as sentences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from feature_pipeline.validation.engine import EXAMPLES
from feature_pipeline.validation.expectations import SERIES_STATE, SHAPE, Expectation
from forecast_core.contracts.schema import OBSERVATIONS
from forecast_core.contracts.window import as_utc
from forecast_core.quarantine import FINDINGS, describe

_REASONED: Final = {**SHAPE, **SERIES_STATE}
_BULKY: Final = ("unexpected_index_list", "unexpected_list", "partial_unexpected_counts")


def collect(checked: Any, expectations: Sequence[Expectation]) -> pl.DataFrame:
    """Return FINDINGS: every row that breaks an expectation, sorted; an expectation without rows has none."""
    declared = {each.name: each for each in expectations}
    rows = []
    for result in checked.results:
        each = declared[_name(result)]
        for row in [] if result.success else result.result.get("unexpected_index_list") or []:
            named = {name: _plain(row.get(name)) for name in OBSERVATIONS}
            reason = row[each.name] if each.name in _REASONED else f"not so: {each.promise}"
            rows.append({**named, "expectation": each.name, "severity": each.severity, "reason": reason})
    return pl.DataFrame(rows, schema=FINDINGS).sort("severity", "expectation", *OBSERVATIONS)


def reported(checked: Any, found: pl.DataFrame, facts: Mapping[str, str]) -> dict[str, Any]:
    """Return Great Expectations' result as plain JSON, with examples instead of all rows, and with our counts."""
    result: dict[str, Any] = checked.to_json_dict()
    for each in result["results"]:
        for name in _BULKY:
            each["result"].pop(name, None)
    counts = found.group_by("severity", "expectation").len("rows").sort("severity", "expectation")
    return {**result, "run": dict(facts), "findings": counts.to_dicts()}


def summary(checked: Any, found: pl.DataFrame) -> dict[str, str]:
    """Return, for each broken expectation, a line: the promise, how many break it, and the first of them."""
    lines = {}
    for result in checked.results:
        if result.success:
            continue
        name, promise = _name(result), result.expectation_config.meta["promise"]
        rows = found.filter(pl.col("expectation") == name)
        examples = ", ".join(_example(row) for row in rows.head(EXAMPLES).iter_rows(named=True))
        what = "series" if name in SERIES_STATE else "rows"
        lines[name] = f"{promise}: not so in {rows.height} {what} ({examples})" if examples else _rowless(result)
    return lines


def _example(row: dict[str, object]) -> str:
    return f"{describe(row)}: {row['reason']}" if row["expectation"] in _REASONED else describe(row)


def _rowless(result: Any) -> str:
    """A line about the table as a whole: there is no row to name, and none to put in quarantine."""
    reason = result.result.get("observed_value") or result.exception_info.get("exception_message")
    return f"{result.expectation_config.meta['promise']}: not so ({reason})"


def _name(result: Any) -> str:
    name: str = result.expectation_config.meta["name"]
    return name


def _plain(value: Any) -> object:
    """A value as pandas has it, as Python has it: missing is None, times are in UTC."""
    if value is None or value != value:  # Only NaN and NaT differ from themselves.
        return None
    return as_utc(value) if isinstance(value, datetime) else value
