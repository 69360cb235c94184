"""The quarantine as a person uses it: list the rows that failed a validation rule, and release those that are right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypedDict, cast

import polars as pl

from feature_pipeline.validation.expectations import HOLDING_ON, NAMING, RELEASABLE
from feature_pipeline.wording import some
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.quarantine import Quarantine

_MOST: Final = 200
"""Rows that a list shows, so that a terminal can hold it; the options choose others."""


class Listed(TypedDict):
    """What ``show`` found: number of rows, counts by run and rule, and the first 200 rows; times are text in UTC."""

    rows: int
    runs: list[dict[str, Any]]
    first: list[dict[str, Any]]


class ReleasedSeries(TypedDict):
    """What was released of one series and rule: values of hours, or a whole series (null hours), maybe by a factor."""

    area: str
    consumer_type: str
    expectation: str
    rows: int
    first_hour: str | None
    last_hour: str | None
    factor: float | None
    holds: str


class Released(TypedDict):
    """What ``release`` did.

    ``accepted`` counts the releases that are new, ``not_acceptable`` the chosen rows that cannot be released.
    ``released`` says what was released, and ``not_released`` counts the other findings of the choice by rule: a release
    is from one rule only.
    """

    accepted: int
    not_acceptable: int
    note: str
    released: list[ReleasedSeries]
    not_released: dict[str, int]


@dataclass(frozen=True)
class _Choice:
    """Which rows of the quarantine are meant; as ``show`` describes its arguments."""

    dataset: str | None
    reference_datetime: datetime | str | None
    feature_group_version: int | str | None
    expectation: str | None
    series: Sequence[str]
    start_datetime: datetime | str | None
    end_datetime: datetime | str | None


def show(
    dataset: str | None = None,
    reference_datetime: datetime | str | None = None,
    feature_group_version: int | str | None = None,
    expectation: str | None = None,
    series: Sequence[str] = (),
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    *,
    accepted: bool = False,
    settings: Settings | None = None,
) -> Listed:
    """Return what is in quarantine.

    Args:
        dataset: Only rows of this dataset.
        reference_datetime: Only rows of the run at this reference time.
        feature_group_version: Only rows of this version of the feature group.
        expectation: Only rows that fail this rule.
        series: Only these series, each as AREA/TYPE.
        start_datetime: Only hours from this one on.
        end_datetime: Only hours before this one.
        accepted: Also rows that a person has released.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If an argument is not what it says above.
        StorageError: If the store cannot be read now.
    """
    choice = _Choice(
        dataset, reference_datetime, feature_group_version, expectation, series, start_datetime, end_datetime
    )
    found = _chosen(settings or Settings(), choice, accepted=accepted)
    run = ("dataset", "feature_group_version", "known_at", "severity", "expectation")
    counts = found.group_by(run).len("rows").sort(run)
    return {"rows": found.height, "runs": _plain(counts), "first": _plain(found.head(_MOST))}


def release(
    dataset: str,
    note: str,
    accepted_at: datetime | str,
    reference_datetime: datetime | str | None = None,
    feature_group_version: int | str = 1,
    expectation: str | None = None,
    series: Sequence[str] = (),
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    *,
    settings: Settings | None = None,
) -> Released:
    """Release rows of the quarantine from one rule: the same values pass it from then on, in every run.

    This stores no observation: run the feature pipeline again for the hour that was stopped. A value that the source
    changes later is checked anew. A release from ``negative`` or of a new name, without hours, is for all values of
    the series, in all runs from the reference time of the rows on; one from ``factor`` is for that factor of a series.

    Args:
        dataset: Name of the dataset.
        note: Why the values are right.
        accepted_at: When the person decided.
        reference_datetime: Only rows of the run at this reference time.
        feature_group_version: Version of the feature group.
        expectation: The rule. It may be left out if the rows that stopped the run fail one rule only.
        series: Only these series, each as AREA/TYPE; to be named for rules whose release makes a new series.
        start_datetime: Only hours from this one on.
        end_datetime: Only hours before this one.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If an argument is not what it says above, rows that fail the rule cannot be released, or it is
            not clear which rule or which series is meant.
        NotFoundError: If no row that can be released is chosen.
        StorageError: If the store cannot be written now.
    """
    settings = settings or Settings()
    decided = moment("accepted_at", accepted_at)
    if expectation is not None and expectation not in RELEASABLE:
        raise InvalidArgument(
            f"rows that fail {expectation!r} cannot be released, because the store cannot hold them: correct the "
            f"source. Rows that fail one of these can be: {', '.join(sorted(RELEASABLE))}",
            expectation=expectation,
        )
    choice = _Choice(
        dataset, reference_datetime, feature_group_version, expectation, series, start_datetime, end_datetime
    )
    found = _chosen(settings, replace(choice, expectation=None), accepted=True)
    rule = expectation or _only_rule(found)
    rows = found.filter(pl.col("expectation") == rule)
    if rule in NAMING and not series:
        names = rows.select(SERIES).unique(maintain_order=True)
        raise InvalidArgument(
            f"a release from {rule!r} makes a new series: name it, with --series AREA/TYPE. Rows that fail it are of "
            f"{some(['/'.join(each) for each in names.iter_rows()]) or 'no series'}",
            expectation=rule,
        )
    if rows.is_empty() and not found.is_empty():
        raise NotFoundError(
            f"the quarantine has no such rows that fail {rule!r}; the chosen rows fail {_counts(found)}: choose one of "
            "these with --expectation",
            expectation=rule,
        )
    holds_on = rule in HOLDING_ON and start_datetime is None and end_datetime is None
    new = Quarantine(settings).accept(rows, note=note, accepted_at=decided, holds_on=holds_on)
    others = found.filter(pl.col("expectation") != rule, ~pl.col("accepted"))
    counts = dict(others.group_by("expectation").len().sort("expectation").iter_rows())
    return {
        "accepted": new,
        "not_acceptable": found.filter(~pl.col("expectation").is_in(RELEASABLE)).height,
        "note": note.strip(),
        "released": _released(rows, holds_on=holds_on),
        "not_released": counts,
    }


def _only_rule(found: pl.DataFrame) -> str:
    """Return the one rule that the rows which stopped a run fail and can be released from."""
    stopping = found.filter(pl.col("severity") == "error", pl.col("expectation").is_in(RELEASABLE), ~pl.col("accepted"))
    rules = stopping["expectation"].unique().to_list()
    if len(rules) == 1:
        return str(rules[0])
    if found.is_empty():
        raise NotFoundError("the quarantine has no such rows: `python -m feature_pipeline quarantine list` shows all")
    raise InvalidArgument(
        f"a release is from one rule: choose it with --expectation; the chosen rows fail {_counts(found)}",
        argument="expectation",
    )


def _counts(found: pl.DataFrame) -> str:
    counts = found.group_by("expectation").len().sort("expectation")
    return ", ".join(f"{rule} ({rows:,})" for rule, rows in counts.iter_rows())


def _released(rows: pl.DataFrame, *, holds_on: bool) -> list[ReleasedSeries]:
    hour = pl.col("datetime_utc")
    by_series = rows.group_by(*SERIES, "expectation", "factor", maintain_order=True).agg(
        rows=pl.len(), first_hour=hour.min(), last_hour=hour.max(), since=pl.col("known_at").min()
    )
    if holds_on:
        of_series = pl.format(
            "for all values of the series, in runs from {} on", pl.col("since").dt.strftime(DATETIME_FORMAT)
        )
    else:
        of_series = (
            pl.when(pl.col("factor").is_not_null())
            .then(pl.lit("for this factor of the series, in all runs"))
            .when(pl.col("first_hour").is_null())
            .then(pl.lit("for the series, in all runs"))
            .otherwise(pl.lit("for these values of these hours, in all runs"))
        )
    return cast("list[ReleasedSeries]", _plain(by_series.rechunk().with_columns(holds=of_series).drop("since")))


def _chosen(settings: Settings, choice: _Choice, *, accepted: bool) -> pl.DataFrame:
    version, reference = choice.feature_group_version, choice.reference_datetime
    found = Quarantine(settings).read(
        dataset=choice.dataset,
        feature_group_version=None if version is None else whole_number("feature_group_version", version, least=1),
        reference_datetime=None if reference is None else moment("reference_datetime", reference),
        pending=not accepted,
    )
    hour, conditions = pl.col("datetime_utc"), []
    if choice.expectation is not None:
        conditions.append(pl.col("expectation") == choice.expectation)
    if choice.series:
        named = pl.DataFrame([_series(each) for each in choice.series], schema=list(SERIES), orient="row")
        found = found.join(named.unique(), on=SERIES, how="semi")
    if choice.start_datetime is not None:
        conditions.append(hour >= moment("start_datetime", choice.start_datetime))
    if choice.end_datetime is not None:
        conditions.append(hour < moment("end_datetime", choice.end_datetime))
    return found.filter(*conditions)


def _series(name: str) -> tuple[str, str]:
    area, slash, consumer_type = name.partition("/")
    if not (area and slash and consumer_type):
        raise InvalidArgument(f"a series is named AREA/TYPE, like DK1/111, not {name!r}", series=name)
    return area, consumer_type


def _plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return rows.with_columns(pl.col(pl.Datetime).dt.strftime(DATETIME_FORMAT)).to_dicts()
