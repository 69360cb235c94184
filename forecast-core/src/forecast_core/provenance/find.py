"""Find one archived run, and one series or hour in it; what is absent is an error that names what there is."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, cast

import polars as pl

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.schema import SERIES, ForecastRow, RunRow
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc

INSTANT: Final = timedelta(microseconds=1)
"""The resolution of stored times: [t, t + INSTANT) is the time t alone."""

NAMED: Final = 10
"""A message names no more things than this: a run may have ten thousand series."""


def find_run(
    settings: Settings,
    *,
    reference_datetime: datetime | str | None,
    feature_view_version: int | str | None = None,
    now: datetime | None = None,
) -> RunRow:
    """Return the row of ``schema.RUNS`` of the run that was made at a reference time.

    Args:
        settings: Where the archive is.
        reference_datetime: Naive is UTC, text is ISO; None stands for the newest run.
        feature_view_version: Needed only where more than one view has a run of that time.
        now: Runs of later reference times are not the newest; they are found by their own. None: every run counts.

    Raises:
        InvalidArgument: If an argument cannot be read, or more than one view has a run of that time and none is given.
        NotFoundError: If there is no such run.
        StorageError: If the archive cannot be read now.
    """
    number = feature_view_version
    view = None if number is None else whole_number("feature_view_version", number, least=1)
    wanted = None if reference_datetime is None else moment("reference_datetime", reference_datetime)
    archive = ForecastArchive(settings)
    if wanted is not None:
        until = wanted + INSTANT
        runs = archive.read_runs(feature_view_version=view, reference_from=wanted, reference_until=until)
        if not runs.is_empty():
            return run_at(runs, reference_datetime=wanted, feature_view_version=view)
    # Of all views: a message names the view that has a run of that time.
    runs = archive.read_runs()
    return run_at(runs, reference_datetime=wanted, feature_view_version=view, now=now)


def run_at(
    runs: pl.DataFrame,
    *,
    reference_datetime: datetime | None,
    feature_view_version: int | None,
    now: datetime | None = None,
) -> RunRow:
    """Return the row of one run among ``schema.RUNS``, as ``find_run`` does.

    Args:
        runs: RUNS that hold all runs of the feature view, or of all views if none is given.
        reference_datetime: Reference time of the run, in UTC; None stands for the newest run.
        feature_view_version: The feature view of the run; None for any.
        now: Runs of later reference times are not the newest; None: every run counts.

    Raises:
        InvalidArgument: If more than one view has a run of that time and none is given.
        NotFoundError: If there is no such run.
    """
    view = feature_view_version
    known = runs if view is None else runs.filter(pl.col("feature_view_version") == view)
    if reference_datetime is None:
        due = known if now is None else known.filter(pl.col("reference_datetime") <= as_utc(now))
        found = due.filter(pl.col("reference_datetime") == pl.col("reference_datetime").max())
    else:
        found = known.filter(pl.col("reference_datetime") == reference_datetime)
    if found.is_empty():
        raise _no_run(runs, reference_datetime, view)
    if found.height > 1:
        views = found["feature_view_version"].sort().to_list()
        made_at = found["reference_datetime"][0]
        raise InvalidArgument(
            f"feature views {views} have forecasts of {as_text(made_at)}: say which by feature_view_version",
            existing=views,
        )
    return cast("RunRow", found.row(0, named=True))


def _no_run(runs: pl.DataFrame, wanted: datetime | None, view: int | None) -> NotFoundError:
    of_view = "" if view is None else f" of feature view {view}"
    same_time = runs.clear() if wanted is None else runs.filter(pl.col("reference_datetime") == wanted)
    others = same_time["feature_view_version"].sort().to_list()
    times = runs.filter(True if view is None else pl.col("feature_view_version") == view)["reference_datetime"]
    times = times.unique().sort()
    existing = [as_text(each) for each in (times.min(), times.max()) if each is not None]
    if others:
        named = ", ".join(map(str, others))
        text = f"no forecasts{of_view} were made at {as_text(wanted)}; feature view {named} has some of that time"
    elif not existing:
        what = "yet" if wanted is None else f"at {as_text(wanted)}; there are none yet"
        text = f"no forecasts{of_view} were made {what}: run batch.predict (or `energy run`) first"
    elif wanted is None:
        text = (
            f"all {times.len()} runs{of_view} have reference times in the future, from {existing[0]} on: give the time "
            "of one of them, or remove them by `energy remove-run`"
        )
    else:
        text = (
            f"no forecasts{of_view} were made at {as_text(wanted)}; runs were made from {existing[0]} to "
            f"{existing[1]} ({times.len()} in all): give the time of one of them, or run batch.predict for this one"
        )
    return NotFoundError(text, reference_datetime=wanted, existing=existing)


def find_series(frame: pl.DataFrame, area: str, consumer_type: str) -> pl.DataFrame:
    """Return the rows of one series of a frame that has the columns of ``schema.SERIES``.

    Raises:
        NotFoundError: If it has none; the message names the areas, or the consumer types of the area, that there are.
    """
    found = frame.filter(pl.col("area") == area, pl.col("consumer_type") == consumer_type)
    if found.is_empty():
        check_series(frame.select(SERIES).unique().rows(), area, consumer_type)
    return found


def check_series(known: Collection[tuple[str, str]], area: str, consumer_type: str) -> None:
    """Return if a series is one of those known, as (area, consumer type).

    Raises:
        NotFoundError: If it is not; the message names the areas, or the consumer types of the area, that there are.
    """
    if (area, consumer_type) in known:
        return
    areas = sorted({each for each, _ in known})
    if area not in areas:
        raise NotFoundError(f"there is no price area {area!r}; there are {_listed(areas)}", area=area, existing=areas)
    kinds = sorted(kind for each, kind in known if each == area)
    raise NotFoundError(
        f"{area} has no consumer type {consumer_type!r}; it has {_listed(kinds)}",
        consumer_type=consumer_type,
        existing=kinds,
    )


def find_hour(rows: pl.DataFrame, datetime_utc: datetime) -> ForecastRow:
    """Return the row of one hour among the FORECASTS of one series.

    Raises:
        NotFoundError: If there is none; the message names the first and the last hour that there are.
    """
    found = rows.filter(pl.col("datetime_utc") == datetime_utc)
    if found.is_empty():
        hours = rows["datetime_utc"]
        raise NotFoundError(
            f"the run has no forecast of {as_text(datetime_utc)}; it has {as_text(hours.min())} to "
            f"{as_text(hours.max())}",
            datetime_utc=datetime_utc,
        )
    return cast("ForecastRow", found.row(0, named=True))


def as_text(value: Any) -> str | None:
    """Return a time as it travels: text in UTC; None stays None."""
    return None if value is None else str(value.strftime(DATETIME_FORMAT))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
