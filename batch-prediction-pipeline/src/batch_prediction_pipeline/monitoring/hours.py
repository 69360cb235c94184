"""Sums of the scores of each observed hour: stored ones where nothing changed that they follow from, else new ones.

The sums of an hour follow from its values as known at the reference time, from the forecasts of the hour that were made
before, and from what those runs knew, of which the naive forecast is made. A fingerprint of all three decides whether
stored sums are taken. So an evaluation reads the forecasts of the hours that changed and no others, and gives what a
computation of all hours would give, whatever was evaluated before it.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

import load_forecaster.naive
from batch_prediction_pipeline.monitoring import naive, scoring
from forecast_core import provenance
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR, KEY, SERIES, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, floor_hour
from forecast_core.feature_store import FeatureStore, FeatureView
from forecast_core.provenance import digests
from forecast_core.scored_hours import (
    HOUR_LEVEL,
    RUN_LEVEL,
    SCORED_HOURS,
    SERIES_LEVEL,
    START_LEVEL,
    SUMS,
    ScoredHours,
)

logger = logging.getLogger(__name__)

LONGEST: Final = timedelta(days=max(scoring.DAYS))
_HORIZON: Final = timedelta(days=7)
"""The longest horizon that there can be."""

_SCORED: Final = [
    *("reference_datetime", *KEY, "energy_consumption", "q05", "q10", "q90", "q95", "quality", "model_version"),
]
"""The columns of FORECASTS that are scored."""

BY_RUN: Final = ("reference_datetime", "lead", "model_version")
"""The columns that name a run's forecast of an hour."""

_INSTANT: Final = timedelta(microseconds=1)

_RUN_FACTS: Final = [
    *("reference_datetime", "training_dataset_version", "model_version", "fh", "window_start", "window_end"),
    *("forecasts", "forecasts_hash"),
]
"""The columns of RUNS that decide what a run forecast, and from what."""

_Marks = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Sums:
    """The sums of all hours of the last 30 days that were forecast and observed, sorted by hour.

    Attributes:
        by_series: ``datetime_utc``, SERIES and the sums.
        by_run: ``datetime_utc``, ``reference_datetime``, ``lead``, ``model_version`` and the sums.
        archived: Number of forecasts of the runs that were looked at, of observed hours and of others.
    """

    by_series: pl.DataFrame
    by_run: pl.DataFrame
    archived: int

    def recent(self, *, days: int) -> "Sums":
        """Return the sums of the last ``days`` days, up to the newest hour among them."""
        by_series, by_run = (scoring.recent(each, days=days) for each in (self.by_series, self.by_run))
        return Sums(by_series, by_run, self.archived)


class _Group(TypedDict):
    dataset: str
    feature_group_version: int


@dataclass(frozen=True)
class _Scope:
    """What is evaluated, and the table of stored sums."""

    settings: Settings
    view: FeatureView
    reference_datetime: datetime

    @property
    def archive(self) -> ForecastArchive:
        return ForecastArchive(self.settings)

    @property
    def store(self) -> FeatureStore:
        return FeatureStore(self.settings)

    @property
    def group(self) -> _Group:
        """Arguments that name the feature group of the view."""
        return {"dataset": self.view.dataset, "feature_group_version": self.view.feature_group_version}


def of_last_days(settings: Settings, view: FeatureView, *, reference_datetime: datetime, newest: pl.DataFrame) -> Sums:
    """Return the sums of the last 30 days observed by a reference time, of forecasts made before it; store new ones.

    The last days may lie weeks before the reference time, as data come late: the newest run says where. The run of the
    reference time itself forecasts after it is monitored, so its forecasts are left out when it runs again, too.

    Args:
        settings: Where things are.
        view: The feature view that forecasts.
        reference_datetime: Truth is what was known at this time.
        newest: The row of RUNS of the newest run before the reference time.
    """
    scope = _Scope(settings, view, reference_datetime)
    # A run forecasts no hour that is further ahead of its reference time than the longest horizon.
    oldest = newest["window_end"][0] - LONGEST - 2 * _HORIZON
    facts = scope.archive.read_facts(
        feature_view_version=view.version, reference_from=oldest, reference_until=reference_datetime
    ).sort("reference_datetime")
    end, fh = facts.select(pl.col("window_end").max(), pl.col("fh").max()).row(0)
    first = end - LONGEST - fh * HOUR
    stored = ScoredHours(settings).read(
        feature_view_version=view.version,
        starts_from=facts["window_end"].min(),  # type: ignore[arg-type]  # a time
        hours_from=first,
    )
    runs = _with_starts(scope, facts, stored)
    window = Window(first, floor_hour(reference_datetime) + 2 * _HORIZON)
    observed = scope.store.read(**scope.group, window=window, reference_datetime=reference_datetime)
    wanted = _fingerprints(scope, runs, observed)
    valid = stored.filter(pl.col("level") == HOUR_LEVEL).join(wanted, on=("datetime_utc", "fingerprint"), how="semi")
    changed = wanted.join(valid, on="datetime_utc", how="anti")
    made = _computed(scope, runs, observed, changed)
    _store(scope, runs, stored, made)
    rows = pl.concat([stored.join(valid, on="datetime_utc", how="semi"), made])
    return Sums(
        by_series=_level(rows, SERIES_LEVEL, SERIES),
        by_run=_level(rows, RUN_LEVEL, BY_RUN),
        archived=int(runs["forecasts"].sum()),
    )


def _level(rows: pl.DataFrame, level: str, by: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of one level, sorted and in one piece: so their sums are the same wherever they came from."""
    keys = ("datetime_utc", *by)
    return rows.filter(pl.col("level") == level).select(*keys, *SUMS).sort(keys).rechunk()


def _with_starts(scope: _Scope, facts: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that exist, with ``first_hour`` and whether they are ``settled``.

    A run whose first hour is stored exists, and its forecasts are those that its facts tell of. The forecasts of the
    others are read. A run is not settled while its forecasts are not those of its facts, as after a kill between the
    two commits: what follows from them is not stored.
    """
    starts = stored.filter(pl.col("level") == START_LEVEL).select(
        "reference_datetime", "forecasts_hash", first_hour="datetime_utc", settled=pl.lit(value=True)
    )
    known = facts.join(starts, on=("reference_datetime", "forecasts_hash"))
    new = facts.join(known, on="reference_datetime", how="anti").sort("reference_datetime")
    found: list[pl.DataFrame] = [pl.DataFrame(schema={**facts.schema, "first_hour": UTC_HOUR, "settled": pl.Boolean()})]
    for _, day in new.group_by(pl.col("reference_datetime").dt.date(), maintain_order=True):
        found.append(_read_starts(scope, day))
    return pl.concat([known, *found]).sort("reference_datetime")


def _read_starts(scope: _Scope, facts: pl.DataFrame) -> pl.DataFrame:
    """Return those of some runs whose forecasts are archived, with ``first_hour`` and ``settled``."""
    times = facts["reference_datetime"]
    forecasts = scope.archive.read(
        feature_view_version=scope.view.version, reference_from=times[0], reference_until=times[-1] + _INSTANT
    )
    versions = ["reference_datetime", "training_dataset_version", "model_version"]
    rows = []
    for row in facts.iter_rows(named=True):
        own = forecasts.filter(*(pl.col(name) == row[name] for name in versions))
        if own.height == row["forecasts"]:
            last: datetime = own["datetime_utc"].max()  # type: ignore[assignment]  # a time
            first = last - (row["fh"] - 1) * HOUR
            rows.append({**row, "first_hour": first, "settled": digests.of_frame(own) == row["forecasts_hash"]})
    return pl.DataFrame(rows, schema={**facts.schema, "first_hour": UTC_HOUR, "settled": pl.Boolean()})


def _fingerprints(scope: _Scope, runs: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    """Return ``datetime_utc`` and ``fingerprint`` of each hour that was observed and that a run forecast, sorted."""
    if runs.is_empty() or observed.is_empty():
        return pl.DataFrame(schema={"datetime_utc": UTC_HOUR, "fingerprint": pl.String()})
    hours = observed["datetime_utc"].unique().sort()
    values = np.zeros(hours.len(), dtype=np.uint64)
    np.add.at(values, hours.search_sorted(observed["datetime_utc"]).to_numpy(), _marks(observed))
    runs = runs.with_columns(end=pl.col("first_hour") + pl.col("fh") * pl.lit(HOUR))
    begun, ended = runs.sort("first_hour"), runs.sort("end")
    facts = [*_RUN_FACTS, "first_hour"]
    of_runs = _sum_until(hours, begun["first_hour"], _marks(begun.select(facts)))
    of_runs -= _sum_until(hours, ended["end"], _marks(ended.select(facts)))
    number = begun["first_hour"].search_sorted(hours, side="right") - ended["end"].search_sorted(hours, side="right")
    ingests = scope.store.ingest_marks(
        **scope.group,
        known_from=runs["window_start"].min(),  # type: ignore[arg-type]  # a time
        known_until=runs["reference_datetime"].max(),  # type: ignore[arg-type]  # a time
    )
    # The naive forecast of an hour follows from what had been ingested by the latest of its runs, at most.
    latest = begun.select("first_hour", until=pl.col("reference_datetime").cum_max())
    until = hours.to_frame().join_asof(latest, left_on="datetime_utc", right_on="first_hour")["until"]
    of_ingests = _sum_until(until.fill_null(runs["window_start"].min()), ingests["known_at"], _marks(ingests))
    marks = [f"{_code()}{a:016x}{b:016x}{c:016x}" for a, b, c in zip(values, of_runs, of_ingests, strict=True)]
    return hours.to_frame().with_columns(fingerprint=pl.Series(marks)).filter(number > 0)


def _marks(rows: pl.DataFrame) -> _Marks:
    """Return a hash of each row; polars promises that it stays the same within one version."""
    marks: _Marks = rows.hash_rows(seed=0).to_numpy()
    return marks


def _sum_until(times: pl.Series, sorted_times: pl.Series, marks: _Marks) -> _Marks:
    """Return, for each of ``times``, the sum (modulo 2**64) of the marks at it or before."""
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(marks, dtype=np.uint64)])
    found: _Marks = sums[sorted_times.search_sorted(times, side="right").to_numpy()]
    return found


@cache
def _code() -> str:
    """Return a digest of the code and of the libraries that decide the sums: a newer version computes them anew."""
    digest = hashlib.sha256(json.dumps(provenance.library_versions()).encode())
    for module in (scoring, naive, load_forecaster.naive, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def _computed(scope: _Scope, runs: pl.DataFrame, observed: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """Return SCORED_HOURS of the hours that changed, without level ``start``."""
    hours = changed["datetime_utc"]
    starts, ends = runs["first_hour"], runs["first_hour"] + runs["fh"] * HOUR
    of_those = runs.filter(hours.search_sorted(ends) > hours.search_sorted(starts))
    if of_those.is_empty():
        return pl.DataFrame(schema=SCORED_HOURS)
    times = of_those["reference_datetime"]
    forecasts = scope.archive.read(
        feature_view_version=scope.view.version,
        reference_from=times[0],
        reference_until=times[-1] + _INSTANT,
        target=Window(hours[0], hours[-1] + HOUR),
        columns=_SCORED,
    )
    forecasts = forecasts.join(of_those, on="reference_datetime", how="semi").join(
        changed, on="datetime_utc", how="semi"
    )
    read = partial(scope.store.read_revisions, **scope.group, known_until=times[-1])
    simple = naive.of_runs(of_those, forecasts.select(SERIES).unique().sort(SERIES), read)
    rows = scoring.scored(forecasts, runs=of_those, observed=observed, naive=simple)
    # In one order, whichever hours are computed together: the order of additions decides the last digits of sums.
    rows = rows.sort("datetime_utc", *SERIES, "reference_datetime")
    logger.info("computed the scores of %d hours from %d forecasts", hours.len(), rows.height)
    parts = [
        changed.with_columns(level=pl.lit(HOUR_LEVEL)),
        scoring.totals(rows, ("datetime_utc", *SERIES)).with_columns(level=pl.lit(SERIES_LEVEL)),
        scoring.totals(rows, ("datetime_utc", *BY_RUN)).with_columns(level=pl.lit(RUN_LEVEL)),
    ]
    return _rows(scope, parts)


def _rows(scope: _Scope, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return SCORED_HOURS of frames with some of its columns."""
    filled = pl.concat([pl.DataFrame(schema=SCORED_HOURS), *parts], how="diagonal_relaxed")
    return filled.with_columns(feature_view_version=pl.lit(scope.view.version, pl.Int64())).select(
        pl.col(name).cast(dtype) for name, dtype in SCORED_HOURS.items()
    )


def _store(scope: _Scope, runs: pl.DataFrame, stored: pl.DataFrame, made: pl.DataFrame) -> None:
    """Store the sums of the hours of settled runs, and the starts of settled runs that are not stored yet."""
    starts = runs.filter("settled").select("reference_datetime", "forecasts_hash", datetime_utc="first_hour")
    new = starts.join(stored, on=("reference_datetime", "forecasts_hash"), how="anti")
    hours = made["datetime_utc"].unique()
    for first, fh in runs.filter(~pl.col("settled")).select("first_hour", "fh").iter_rows():
        hours = hours.filter(~hours.is_between(first, first + fh * HOUR, closed="left"))
    kept = made.filter(pl.col("datetime_utc").is_in(hours.implode()))
    rows = pl.concat([kept, _rows(scope, [new.with_columns(level=pl.lit(START_LEVEL))])])
    ScoredHours(scope.settings).write(rows, feature_view_version=scope.view.version)
