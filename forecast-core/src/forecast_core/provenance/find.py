"""Find one archived run, and one series or hour in it; what is absent is an error that names what there is."""

from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT

INSTANT: Final = timedelta(microseconds=1)
"""The resolution of stored times: [t, t + INSTANT) is the time t alone."""

NAMED: Final = 10
"""A message names no more things than this: a run may have ten thousand series."""


def find_run(
    settings: Settings, *, reference_datetime: datetime | str | None, feature_view_version: int | str | None = None
) -> dict[str, Any]:
    """Return the row of ``archive.RUNS`` of the run that was made at a reference time.

    Args:
        settings: Where the archive is.
        reference_datetime: Naive is UTC, text is ISO; None stands for the newest run.
        feature_view_version: Needed only where more than one view has a run of that time.

    Raises:
        InvalidArgument: If an argument cannot be read, or more than one view has a run of that time and none is given.
        NotFoundError: If there is no such run.
        StorageError: If the archive cannot be read now.
    """
    number = feature_view_version
    view = None if number is None else whole_number("feature_view_version", number, least=1)
    wanted = None if reference_datetime is None else moment("reference_datetime", reference_datetime)
    found = _runs_at(ForecastArchive(settings), wanted, view)
    if found.height > 1:
        views = found["feature_view_version"].sort().to_list()
        made_at = found["reference_datetime"][0]
        raise InvalidArgument(
            f"feature views {views} have forecasts of {as_text(made_at)}: say which by feature_view_version",
            existing=views,
        )
    return found.row(0, named=True)


def _runs_at(archive: ForecastArchive, wanted: datetime | None, view: int | None) -> pl.DataFrame:
    """Return RUNS of a reference time, of all views or of one; those of the newest time if None."""
    if wanted is not None:
        until = wanted + INSTANT
        found = archive.read_runs(feature_view_version=view, reference_from=wanted, reference_until=until)
        if not found.is_empty():
            return found
    every = archive.read_runs(feature_view_version=view)
    newest = every.filter(pl.col("reference_datetime") == pl.col("reference_datetime").max())
    if wanted is None and not newest.is_empty():
        return newest
    raise _no_run(every, wanted, view)


def _no_run(runs: pl.DataFrame, wanted: datetime | None, view: int | None) -> NotFoundError:
    of_view = "" if view is None else f" of feature view {view}"
    times = runs["reference_datetime"].unique().sort()
    if times.is_empty():
        what = "yet" if wanted is None else f"at {as_text(wanted)}; there are none yet"
        text = f"no forecasts{of_view} were made {what}: run batch.predict (or `energy run`) first"
    else:
        text = (
            f"no forecasts{of_view} were made at {as_text(wanted)}; there are some of {times.len()} times from "
            f"{as_text(times.min())} to {as_text(times.max())}: give one of those, or run batch.predict for this one"
        )
    return NotFoundError(text, reference_datetime=wanted)


def find_series(frame: pl.DataFrame, area: str, consumer_type: str) -> pl.DataFrame:
    """Return the rows of one series of a frame that has the columns of ``schema.SERIES``.

    Raises:
        NotFoundError: If it has none; the message names the areas, or the consumer types of the area, that there are.
    """
    of_area = frame.filter(pl.col("area") == area)
    if of_area.is_empty():
        areas = frame["area"].unique().sort().to_list()
        raise NotFoundError(f"there is no price area {area!r}; there are {_listed(areas)}", area=area, existing=areas)
    found = of_area.filter(pl.col("consumer_type") == consumer_type)
    if found.is_empty():
        kinds = of_area["consumer_type"].unique().sort().to_list()
        raise NotFoundError(
            f"{area} has no consumer type {consumer_type!r}; it has {_listed(kinds)}",
            consumer_type=consumer_type,
            existing=kinds,
        )
    return found


def find_hour(rows: pl.DataFrame, datetime_utc: datetime) -> dict[str, Any]:
    """Return the row of one hour among the rows of one series.

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
    return found.row(0, named=True)


def as_text(value: Any) -> str | None:
    """Return a time as it travels: text in UTC; None stays None."""
    return None if value is None else str(value.strftime(DATETIME_FORMAT))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
