"""The log of steps: which ingest, training dataset, search and model each DAG run got, in order of writing.

It answers what a step means that is called without versions or times: what the same DAG run got from the step before,
and in a shell what was written last. The newest reference time would be wrong for both: a run of a past hour would be
trained on data of later hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import polars as pl

from forecast_core.contracts.dag_run import DagRun
from forecast_core.contracts.schema import UTC_HOUR, Frame, meaning
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window, as_utc
from forecast_core.tables import keyed
from forecast_core.tables.declaration import Declaration
from forecast_core.tables.delta import Change, Snapshot

Made = Literal["ingest", "training_dataset", "search", "model"]

_KEY: Final = (
    *("dag_id", "dag_run_id", "made", "dataset", "version", "sweep_id"),
    *("reference_datetime", "window_start", "window_end"),
)
STEP_LOG: Final = Frame(
    {
        "dag_id": pl.String(),
        "dag_run_id": pl.String(),
        "made": pl.String(),
        "dataset": pl.String(),
        "version": pl.Int64(),
        "sweep_id": pl.String(),
        "feature_view_version": pl.Int64(),
        "reference_datetime": UTC_HOUR,
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
    },
    key=_KEY,
    nullable=("feature_view_version",),
    meaning={
        "dag_id": "the DAG; empty from a shell",
        "dag_run_id": "the DAG run; empty from a shell",
        "made": "``ingest``, ``training_dataset``, ``search`` or ``model``",
        "version": "version of the feature group, of the training dataset (also of a search) or of the model",
        "sweep_id": "hash that names the search; empty for anything else",
        "feature_view_version": "version of the feature view; null for an ingest",
        **meaning("dataset", "reference_datetime", "window_start", "window_end"),
    },
)
"""One row per DAG run and thing that it made or got; a step that runs again moves its row to the end."""

TABLE: Final = Declaration(
    name="step_log", frame=STEP_LOG, added=pl.Schema({"written": pl.Int64()}), dated_by="reference_datetime"
)
"""The log; ``written`` numbers the commits."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a step made or got.

    Attributes:
        made: The kind of thing.
        dataset: Name of the source's dataset.
        version: Of the feature group for an ingest, of the training dataset for that and for a search, of the model.
        sweep_id: Names a search; empty for anything else.
        feature_view_version: None for an ingest.
        reference_datetime: Reference time of the run.
        window: The hours that it is of.
    """

    made: Made
    dataset: str
    version: int
    sweep_id: str = ""
    feature_view_version: int | None = None
    reference_datetime: datetime
    window: Window


def write(settings: Settings, entry: Entry, *, dag_run: DagRun | None) -> None:
    """Put an entry at the end of the log; nothing is committed if it is there already.

    Raises:
        StorageError: If the store cannot be written now.
    """
    run = dag_run or DagRun("", "")
    row: dict[str, Any] = {
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "made": entry.made,
        "dataset": entry.dataset,
        "version": entry.version,
        "sweep_id": entry.sweep_id,
        "feature_view_version": entry.feature_view_version,
        "reference_datetime": as_utc(entry.reference_datetime),
        "window_start": entry.window.start,
        "window_end": entry.window.end,
    }
    key = {name: row[name] for name in _KEY}

    def plan(snapshot: Snapshot) -> tuple[None, Change | None]:
        is_same = pl.all_horizontal(*(pl.col(name) == value for name, value in key.items()))
        of_kind = snapshot.rows.filter(pl.col("made") == entry.made)
        found = of_kind.select(
            stored=is_same.any(), last=is_same.sort_by("written").last().fill_null(value=False)
        ).collect()
        if found["last"][0]:
            return None, None
        added = pl.DataFrame([row], schema=STEP_LOG).with_columns(written=pl.lit(snapshot.version + 1, pl.Int64))
        return None, Change(added, replacing=keyed.sql(key) if found["stored"][0] else None)

    TABLE.table(settings).commit(plan)


def remove(settings: Settings, *, dataset: str, reference_datetime: datetime) -> int:
    """Remove the entries of a dataset and reference time, so that no later step takes them; return how many."""
    key: dict[str, keyed.Value] = {"dataset": dataset, "reference_datetime": as_utc(reference_datetime)}
    return keyed.remove(TABLE.table(settings), key=key)


def entries(
    settings: Settings,
    made: Made,
    *,
    dag_run: DagRun | None,
    reference_datetime: datetime | None = None,
    **wanted: int | str | datetime | None,
) -> Iterator[Entry]:
    """Yield what fits a step, best first: of the reference time if one is given; of the DAG run; written last.

    Args:
        settings: Where the store is.
        made: The kind of thing.
        dag_run: The run that asks; None from a shell.
        reference_datetime: Entries of this time come first.
        wanted: Columns of ``STEP_LOG`` and the values that they must have; None for any.

    Raises:
        StorageError: If the store cannot be read now.
    """
    conditions = [pl.col(name) == value for name, value in wanted.items() if value is not None]
    order = [pl.lit(value=False), pl.lit(value=False), pl.col("written")]
    if reference_datetime is not None:
        order[0] = pl.col("reference_datetime") == as_utc(reference_datetime)
    if dag_run is not None:
        order[1] = (pl.col("dag_id") == dag_run.dag_id) & (pl.col("dag_run_id") == dag_run.run_id)
    rows = TABLE.table(settings).collect(
        lambda log: log.filter(pl.col("made") == made, *conditions).sort(order, descending=True)
    )
    for row in rows.iter_rows(named=True):
        yield Entry(
            made=made,
            dataset=row["dataset"],
            version=row["version"],
            sweep_id=row["sweep_id"],
            feature_view_version=row["feature_view_version"],
            reference_datetime=as_utc(row["reference_datetime"]),
            window=Window(as_utc(row["window_start"]), as_utc(row["window_end"])),
        )
