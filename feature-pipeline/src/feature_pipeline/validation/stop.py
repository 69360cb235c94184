"""The error of a run that validation stopped: what failed, and the command that releases just these findings."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from feature_pipeline.validation.expectations import HOLDING_ON, NAMING, RELEASABLE, SERIES_STATE
from feature_pipeline.wording import counted, shortened, some
from forecast_core.contracts.errors import ValidationError
from forecast_core.contracts.schema import SERIES
from forecast_core.contracts.window import DATETIME_FORMAT, floor_hour
from forecast_core.quarantine import describe
from forecast_core.validations import ValidationRun

_COMMAND: Final = "python -m feature_pipeline quarantine"
_LONGEST: Final = 430
"""Characters of a message. On a terminal, the error's name and whether to run again come to it: 500 in all."""
_EXAMPLES: Final = 3
"""Rows that a message names at most."""
_MOST_SERIES: Final = 3
"""Series that the command names. With more, it is for all series that fail the rule."""


def stop(run: ValidationRun, lines: Mapping[str, str], found: pl.DataFrame, *, result: str) -> ValidationError:
    """Return the error of a run in which a rule of severity ``error`` failed; its message has 500 characters at most.

    Args:
        run: The run.
        lines: A sentence for each rule that failed.
        found: FINDINGS of the run.
        result: Where the result is kept.
    """
    failed = [each for each in run.findings if each.severity == "error"]
    rows = found.filter(pl.col("severity") == "error")
    # What cannot be released has to be corrected in any case, so it is told first.
    first = min(failed, key=lambda each: each.expectation in RELEASABLE).expectation
    others = [f"{each.expectation} ({each.rows:,})" for each in failed if each.expectation != first]
    head = f"{counted(len(failed), 'validation rule')} failed, nothing was stored: "
    tail = (f"; also failed: {some(others, 3)}" if others else "") + _way_on(run, rows, first)
    room = _LONGEST - len(head) - len(tail)
    what = _failure(rows.filter(pl.col("expectation") == first), room) or lines[first]
    return ValidationError(
        head + shortened(what, room) + tail,
        failed=[lines[each.expectation] for each in failed],
        quarantined=rows.height,
        result=result,
    )


def _failure(rows: pl.DataFrame, room: int) -> str | None:
    """Return the first rows that fail a rule, as many as fit, how many more do, and why; None if no row does."""
    if rows.is_empty():
        return None
    if rows["expectation"][0] == "full_hour" and (found := _parts_of_hours(rows)):
        return found
    text, alike = None, rows.filter(pl.col("reason") == rows["reason"][0]).height
    for shown in range(1, min(_EXAMPLES, alike) + 1):
        examples = rows.head(shown).to_dicts()
        more = rows.height - shown
        things = "series" if examples[0]["expectation"] in SERIES_STATE else "row" if more == 1 else "rows"
        others = f" and {more:,} more {things}" if more else ""
        longer = f"{', '.join(map(describe, examples))}{others}: {examples[0]['reason']}"
        if text is None or len(longer) <= room:
            text = longer
    return text


def _parts_of_hours(rows: pl.DataFrame) -> str | None:
    """Return what to say of rows that are quarters or halves of hours, a finer resolution; None if they are not."""
    minutes = set(rows["datetime_utc"].dt.strftime("%M:%S").unique())
    names = {frozenset({"15:00", "30:00", "45:00"}): "quarter hours", frozenset({"30:00"}): "half hours"}
    name, first = names.get(frozenset(minutes)), rows["datetime_utc"].min()
    if name is None or rows.height < _EXAMPLES or not isinstance(first, datetime):
        return None
    hour = floor_hour(first)
    return f"{name} from {hour:{DATETIME_FORMAT}} on, {counted(rows.height, 'row')}: {rows['reason'][0]}"


def _way_on(run: ValidationRun, rows: pl.DataFrame, rule: str) -> str:
    """Return how to see all rows that failed, and how to release those that failed ``rule``."""
    if rows.is_empty():
        return ". The failed rules are about the table as a whole, so no row is in quarantine. Correct the source"
    reference = f"--reference {run.reference_datetime:%Y-%m-%dT%H:%M}"
    kept = f". {counted(rows.height, 'row')} {'is' if rows.height == 1 else 'are'} in quarantine"
    if rule not in RELEASABLE:
        return f"{kept}, listed by `{_COMMAND} list --dataset {run.dataset} {reference}`. Correct the source"
    version = "" if run.feature_group_version == 1 else f" --feature-group-version {run.feature_group_version}"
    decision = "accept such values from now on" if rule in HOLDING_ON else "accept the values"
    if rule in NAMING:
        decision = "make a new series"
    return (
        f"{kept}. Correct the source, or {decision}: `{_COMMAND} release --dataset {run.dataset} {reference}{version} "
        f"--expectation {rule}{_series(rows, rule)} --note WHY`"
    )


def _series(rows: pl.DataFrame, rule: str) -> str:
    named = rows.filter(pl.col("expectation") == rule).select(SERIES).unique(maintain_order=True)
    if named.height > _MOST_SERIES:
        # New series are only made by name.
        return " --series AREA/TYPE" if rule in NAMING else ""
    return " --series " + shlex.join(f"{area}/{kind}" for area, kind in named.iter_rows())
