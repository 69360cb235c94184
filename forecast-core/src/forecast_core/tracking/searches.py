"""The tables ``searches`` and ``trials``: what searches for a better configuration found, and their trials."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypedDict, TypeVar, cast

import polars as pl

from forecast_core.contracts.arguments import moment
from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change, Snapshot
from forecast_core.tables.keyed import Value, sql
from forecast_core.tracking import mlflow_records
from forecast_core.tracking.trials import TRIALS, Trial, from_row, to_row

_FIELDS: Final = pl.Schema(
    {
        "sweep_id": pl.String(),
        "feature_view_version": pl.Int64(),
        "fh": pl.Int64(),
        "gap": pl.Int64(),
        "reference_datetime": UTC_HOUR,
        "training_dataset_version": pl.Int64(),
        "window_end": UTC_HOUR,
        "trials": pl.Int64(),
        "pruned": pl.Int64(),
        "folds": pl.Int64(),
        "held_out": pl.Int64(),
        "default_value": pl.Float64(),
        "best_value": pl.Float64(),
        "best_config": pl.String(),
        "metrics": pl.String(),
    }
)

SEARCHES: Final = Frame(
    {"uploaded": pl.Boolean(), **_FIELDS},
    key=("sweep_id", "uploaded"),
    meaning={
        "uploaded": "whether the best configuration is a challenger; a search then has a row of each kind",
        "sweep_id": "hash that names the search",
        **meaning("feature_view_version"),
        "fh": "hours that were forecast",
        "gap": "hours between the last observation and the first forecast hour",
        "reference_datetime": "earliest reference time of the runs that asked for the search, UTC",
        **meaning("training_dataset_version", "window_end"),
        "trials": "number of finished trials",
        "pruned": "number of those that were given up early",
        "folds": "number of folds that a trial was measured on",
        "held_out": "number of latest origins left for the comparison with the champion",
        "default_value": "objective of the shipped default",
        "best_value": "objective of the best trial",
        "best_config": "configuration of the best trial, JSON",
        "metrics": "measures of the best trial, JSON",
    },
)
"""One row per search that has a result, and a second one (``uploaded``) once its best configuration is a challenger."""

_SEARCHES, _TRIALS = TABLES = (
    Declaration(name="searches", frame=SEARCHES, dated_by="reference_datetime"),
    Declaration(name="trials", frame=TRIALS),
)
"""The tables of searches."""


Time = TypeVar("Time", datetime, str)


class SearchFields(TypedDict, Generic[Time]):
    """What a search found, with times as ``Time``.

    Attributes:
        sweep_id: Names the search: a hash of its training dataset, space, number of trials and code.
        trials: Number of finished trials.
        pruned: Number of those that were given up early.
        folds: Number of folds that a trial was measured on.
        held_out: Number of latest origins left for the comparison with the champion.
        default_value: Objective of the shipped default.
        best_value: Objective of the best trial.
        best_config: Configuration of the best trial.
        metrics: Measures of the best trial.
        fh: Hours that were forecast.
        gap: Hours between the last observation and the first forecast hour.
        feature_view_version: Of the feature view.
        training_dataset_version: Of the training dataset that was searched on.
        window_end: End of its window.
        reference_datetime: The earliest reference time of the runs that asked for this search.
    """

    sweep_id: str
    trials: int
    pruned: int
    folds: int
    held_out: int
    default_value: float
    best_value: float
    best_config: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    fh: int
    gap: int
    feature_view_version: int
    training_dataset_version: int
    window_end: Time
    reference_datetime: Time


Search = SearchFields[datetime]
"""What a search found; times are in UTC."""

SearchResult = SearchFields[str]
"""What a search found as plain JSON; times are text in UTC."""


def search_as_json(search: Search) -> SearchResult:
    """Return what a search found as plain JSON."""
    window_end, reference = search["window_end"], search["reference_datetime"]
    return cast(
        "SearchResult",
        {
            **search,
            "window_end": window_end.strftime(DATETIME_FORMAT),
            "reference_datetime": reference.strftime(DATETIME_FORMAT),
        },
    )


class Searches:
    """Delta tables ``searches`` and ``trials`` under ``settings.store``.

    Version 1.0.0 kept searches as runs in MLflow. They are read there as long as the table is empty; ``migrate`` and
    the first write copy them into the table.

    All methods raise ``StorageError`` when the store cannot be read or written now, and ``TrackingError`` when the
    tracking database has to be read for older searches and cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._searches = _SEARCHES.table(settings)
        self._trials = _TRIALS.table(settings)

    def migrate(self) -> int:
        """Copy the searches of version 1.0.0 into the table, if it has none; return how many rows were copied."""

        def plan(snapshot: Snapshot) -> tuple[int, Change | None]:
            older = self._older(snapshot.rows.collect())
            return older.height, Change(older) if older.height else None

        return self._searches.commit(plan)

    def found(self) -> dict[str, Search]:
        """Return what was found, by the searches' ids."""
        return {each["sweep_id"]: each for each in self._read(pl.col("uploaded").not_())}

    def uploaded(
        self, *, feature_view_version: int | None = None, fh: int | None = None, until: datetime | None = None
    ) -> list[Search]:
        """Return the searches whose best configuration is a challenger, by reference time and id.

        Args:
            feature_view_version: Only those of this feature view.
            fh: Only those for so many hours.
            until: Only those of this reference time or an earlier one.
        """
        wanted = [pl.col("uploaded")]
        wanted += [] if feature_view_version is None else [pl.col("feature_view_version") == feature_view_version]
        wanted += [] if fh is None else [pl.col("fh") == fh]
        wanted += [] if until is None else [pl.col("reference_datetime") <= as_utc(until)]
        return self._read(*wanted)

    def write(self, search: Search, *, uploaded: bool) -> None:
        """Store what a search found, in place of what it had found before; the same again commits nothing."""
        row = _row({"uploaded": uploaded, **search})
        key: dict[str, Value] = {"sweep_id": search["sweep_id"], "uploaded": uploaded}

        def plan(snapshot: Snapshot) -> tuple[None, Change | None]:
            stored = snapshot.rows.collect()
            older = self._older(stored)
            is_same = (pl.col("sweep_id") == search["sweep_id"]) & (pl.col("uploaded") == uploaded)
            before = stored.filter(is_same)
            if before.equals(row):
                return None, None
            return None, Change(
                pl.concat([older.filter(~is_same), row]), replacing=None if before.is_empty() else sql(key)
            )

        self._searches.commit(plan)

    def trials(self, sweep_id: str) -> list[Trial]:
        """Return the finished trials of a search, by number."""
        found = self._trials.collect(lambda rows: rows.filter(pl.col("sweep_id") == sweep_id)).sort("number")
        return [from_row(row) for row in found.iter_rows(named=True)]

    def write_trial(self, sweep_id: str, trial: Trial) -> None:
        """Store a finished trial; one that is stored already stays as it is."""
        row = to_row(sweep_id, trial)

        def plan(snapshot: Snapshot) -> tuple[None, Change | None]:
            same = (pl.col("sweep_id") == sweep_id) & (pl.col("number") == trial.number)
            stored = snapshot.rows.filter(same).select(pl.len()).collect().item()
            return None, None if stored else Change(row)

        self._trials.commit(plan)

    def _read(self, *wanted: pl.Expr) -> list[Search]:
        stored = self._searches.collect(lambda rows: rows)
        found = pl.concat([stored, self._older(stored)]).filter(*wanted).sort("reference_datetime", "sweep_id")
        return [_search(row) for row in found.iter_rows(named=True)]

    def _older(self, stored: pl.DataFrame) -> pl.DataFrame:
        """Return the searches that version 1.0.0 recorded, if the table has none yet."""
        if not stored.is_empty():
            return stored.clear()
        return pl.concat([SEARCHES.to_frame(), *map(_row, mlflow_records.searches(self._settings))])


def _row(facts: Mapping[str, Any]) -> pl.DataFrame:
    times = {name: moment(name, facts[name]) for name in ("window_end", "reference_datetime")}
    texts = {name: json.dumps(dict(facts[name]), sort_keys=True) for name in ("best_config", "metrics")}
    known = {name: facts[name] for name in SEARCHES if name in facts}
    return pl.DataFrame([{**known, **times, **texts}], schema=SEARCHES)


def _search(row: Mapping[str, Any]) -> Search:
    parsed = {name: json.loads(row[name]) for name in ("best_config", "metrics")}
    return cast("Search", {**{name: row[name] for name in _FIELDS}, **parsed})
