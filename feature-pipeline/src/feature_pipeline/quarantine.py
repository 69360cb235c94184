"""The quarantine as a person uses it: list the rows that failed a validation rule, and release those that are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

import polars as pl

from feature_pipeline.validation.expectations import RELEASABLE
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument
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


class Released(TypedDict):
    """What ``release`` did: how many releases are new, and how many of the chosen rows cannot be released."""

    accepted: int
    not_acceptable: int
    note: str


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
    """Release rows of the quarantine: the same values pass the rule from then on, in every run.

    This stores no observation: run the feature pipeline again for the hour that was stopped. A value that the source
    changes later is checked anew.

    Args:
        dataset: Name of the dataset.
        note: Why the values are right.
        accepted_at: When the person decided.
        reference_datetime: Only rows of the run at this reference time.
        feature_group_version: Version of the feature group.
        expectation: Only rows that fail this rule.
        series: Only these series, each as AREA/TYPE.
        start_datetime: Only hours from this one on.
        end_datetime: Only hours before this one.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If an argument is not what it says above, or rows that fail the rule cannot be released.
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
    found = _chosen(settings, choice, accepted=True)
    rows = found.filter(pl.col("expectation").is_in(RELEASABLE))
    new = Quarantine(settings).accept(rows, note=note, accepted_at=decided)
    return {"accepted": new, "not_acceptable": found.height - rows.height, "note": note.strip()}


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
