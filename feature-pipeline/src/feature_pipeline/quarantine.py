"""Quarantine as a person uses it: see what broke an expectation, and accept what is right all the same."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from feature_pipeline.validation.expectations import RELEASABLE
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.quarantine import Quarantine

_MOST: Final = 200


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
) -> dict[str, Any]:
    """Return what is in quarantine: how much per run and expectation, and the first 200 rows; all plain JSON.

    Args:
        dataset: Only findings about this dataset.
        reference_datetime: Only findings of the run at this reference time.
        feature_group_version: Only findings about this version of the feature group.
        expectation: Only rows that break this expectation.
        series: Only these series, each as AREA/TYPE.
        start_datetime: Only hours from this one on.
        end_datetime: Only hours before this one.
        accepted: Also what a person has accepted.
        settings: Where the store is; default from the environment.

    Raises:
        InvalidArgument: If an argument is not what it says above.
    """
    found = _chosen(
        settings or Settings(),
        dataset=dataset,
        reference=reference_datetime,
        version=feature_group_version,
        expectation=expectation,
        series=series,
        start=start_datetime,
        end=end_datetime,
        accepted=accepted,
    )
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
) -> dict[str, Any]:
    """Accept rows of the quarantine: the same values no longer stop or warn in any run of the feature pipeline.

    Nothing is stored by this: run the feature pipeline again for the hour that was stopped. A value that the source
    changes later is judged anew.

    Args:
        dataset: Name of the dataset.
        note: Why the values are right.
        accepted_at: When the person decided.
        reference_datetime: Only findings of the run at this reference time.
        feature_group_version: Version of the feature group.
        expectation: Only rows that break this expectation.
        series: Only these series, each as AREA/TYPE.
        start_datetime: Only hours from this one on.
        end_datetime: Only hours before this one.
        settings: Where the store is; default from the environment.

    Returns:
        How many acceptances are new, and how many of the rows chosen cannot be accepted; plain JSON.

    Raises:
        InvalidArgument: If an argument is not what it says above, or the expectation's rows cannot be accepted.
        NotFoundError: If no row of the quarantine that can be accepted is chosen.
    """
    settings = settings or Settings()
    when = moment("when", accepted_at)
    if expectation is not None and expectation not in RELEASABLE:
        raise InvalidArgument(
            f"what breaks {expectation!r} cannot be accepted, for the store could not hold it: correct the source. "
            f"What breaks these can: {', '.join(sorted(RELEASABLE))}",
            expectation=expectation,
        )
    found = _chosen(
        settings,
        dataset=dataset,
        reference=reference_datetime,
        version=feature_group_version,
        expectation=expectation,
        series=series,
        start=start_datetime,
        end=end_datetime,
        accepted=True,
    )
    rows = found.filter(pl.col("expectation").is_in(RELEASABLE))
    accepted = Quarantine(settings).accept(rows, note=note, accepted_at=when)
    return {"accepted": accepted, "not_acceptable": found.height - rows.height, "note": note.strip()}


def _chosen(
    settings: Settings,
    *,
    dataset: str | None,
    reference: datetime | str | None,
    version: int | str | None,
    expectation: str | None,
    series: Sequence[str],
    start: datetime | str | None,
    end: datetime | str | None,
    accepted: bool,
) -> pl.DataFrame:
    found = Quarantine(settings).read(
        dataset=dataset,
        feature_group_version=None if version is None else whole_number("feature_group_version", version, least=1),
        reference_datetime=None if reference is None else moment("reference", reference),
        pending=not accepted,
    )
    hour, conditions = pl.col("datetime_utc"), []
    if expectation is not None:
        conditions.append(pl.col("expectation") == expectation)
    if series:
        named = pl.DataFrame([_series(each) for each in series], schema=["area", "consumer_type"], orient="row")
        found = found.join(named.unique(), on=["area", "consumer_type"], how="semi")
    if start is not None:
        conditions.append(hour >= moment("from", start))
    if end is not None:
        conditions.append(hour < moment("to", end))
    return found.filter(*conditions)


def _series(name: str) -> tuple[str, str]:
    area, slash, consumer_type = name.partition("/")
    if not (area and slash and consumer_type):
        raise InvalidArgument(f"a series is named AREA/TYPE, like DK1/111, not {name!r}", series=name)
    return area, consumer_type


def _plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return rows.with_columns(pl.col(pl.Datetime).dt.strftime(DATETIME_FORMAT)).to_dicts()
