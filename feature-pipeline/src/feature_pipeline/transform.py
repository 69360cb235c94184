"""From extracted rows to observations, and what they lack of the window that was asked for."""

from datetime import datetime

import polars as pl

from feature_pipeline.datasets import Dataset
from feature_pipeline.wording import some
from forecast_core.contracts.errors import WindowError
from forecast_core.contracts.schema import KEY, OBSERVATIONS, SERIES
from forecast_core.contracts.window import DATETIME_FORMAT, Window


def transform(extracted: pl.DataFrame) -> pl.DataFrame:
    """Return ``extracted`` (``schema.OBSERVATIONS`` in any order) sorted by key.

    Rows that repeat another in every column are dropped. Whether the rows are right is for validation to say:
    two values for one key both stay.
    """
    return extracted.match_to_schema(OBSERVATIONS).unique().sort(*KEY, "energy_consumption")


def check_coverage(
    observations: pl.DataFrame,
    window: Window,
    *,
    dataset: Dataset,
    extent: tuple[datetime, datetime] | None,
    minimum_share: float,
) -> list[str]:
    """Return warnings about hours and series that ``observations`` lack in ``window``.

    Args:
        observations: ``schema.OBSERVATIONS`` inside the window.
        window: The hours that were asked for.
        dataset: What series there are.
        extent: First and last hour that the source has at all, where known.
        minimum_share: Least share of the window's hours that must have any observation.

    Raises:
        WindowError: If fewer hours have observations than that.
    """
    if window.hours == (have := hours_covered(observations)):
        return _missing_in_series(observations, dataset)
    asked = f"{_text(window.start)} to {_text(window.end)} (exclusive)"
    known = extent or (_extent(observations) if have else None)
    source = f"the data are from {_text(known[0])} to {_text(known[1])}" if known else "the source has no data there"
    facts = {"window_hours": window.hours, "hours_with_data": have}
    if have == 0:
        raise WindowError(f"no data in the window {asked}: {source}. Choose a reference time inside the data.", **facts)
    missing = f"{window.hours - have} of {window.hours} hours of the window {asked} have no data: {source}"
    if have / window.hours < minimum_share:
        raise WindowError(
            f"{missing}. At least {minimum_share:.0%} of the hours are needed (ML_PIPELINE_MINIMUM_WINDOW_SHARE).",
            **facts,
        )
    return [missing, *_missing_in_series(observations, dataset)]


def hours_covered(observations: pl.DataFrame) -> int:
    """Number of full hours with at least one observation."""
    return observations["datetime_utc"].drop_nulls().dt.truncate("1h").n_unique()


def missing_hours(observations: pl.DataFrame, window: Window, dataset: Dataset) -> int:
    """Number of values that a full window of every series has and ``observations`` lack."""
    series = max(len(dataset.series), observations.select(SERIES).n_unique())
    return series * window.hours - observations.select(KEY).n_unique()


def _missing_in_series(observations: pl.DataFrame, dataset: Dataset) -> list[str]:
    counts = observations.group_by(SERIES).agg(pl.col("datetime_utc").n_unique().alias("hours")).sort(SERIES)
    present = set(counts.select(SERIES).iter_rows())
    absent = ["/".join(series) for series in dataset.series if series not in present]
    covered = hours_covered(observations)
    gaps = counts.filter(pl.col("hours") < covered)
    firsts = _first_missing(observations, gaps)
    short = [
        f"{area}/{kind} {covered - hours} (first {_text(firsts[area, kind])})" for area, kind, hours in gaps.iter_rows()
    ]
    warnings = [f"{len(absent)} of {len(dataset.series)} series have no data: {some(absent)}"] if absent else []
    return warnings + ([f"{len(short)} series lack hours that others have: {some(short, 3)}"] if short else [])


def _first_missing(observations: pl.DataFrame, series: pl.DataFrame) -> dict[tuple[str, str], datetime]:
    """Return the first hour that each series (SERIES) lacks and another one has."""
    hours = observations.select(pl.col("datetime_utc").drop_nulls().dt.truncate("1h").unique())
    lacking = series.select(SERIES).join(hours, how="cross").join(observations, on=KEY, how="anti")
    firsts = lacking.group_by(SERIES).agg(pl.col("datetime_utc").min())
    return {(area, kind): first for area, kind, first in firsts.iter_rows()}


def _extent(observations: pl.DataFrame) -> tuple[datetime, datetime]:
    first, last = observations.select(
        pl.col("datetime_utc").min().alias("first"), pl.col("datetime_utc").max().alias("last")
    ).row(0)
    return first, last


def _text(moment: datetime) -> str:
    return moment.strftime(DATETIME_FORMAT)
