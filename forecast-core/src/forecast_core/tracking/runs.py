"""MLflow runs: found again by their tags, so that work which was killed goes on in the run that it had."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from forecast_core.contracts.errors import StorageError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.creation import client
from forecast_core.tracking.database import EXPERIMENT, engine_of, reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class MlflowRun:
    """One run as the database has it now; ``status`` is MLflow's: RUNNING, FINISHED, FAILED, KILLED, SCHEDULED."""

    run_id: str
    status: str
    artifact_uri: str
    tags: Mapping[str, str]


def find_runs(settings: Settings, tags: Mapping[str, str]) -> list[MlflowRun]:
    """Return the runs that carry all of ``tags`` with these values, oldest first; none if there is no database.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    with reading(settings) as connection:
        return [] if connection is None else _select_runs(connection, tags)


def _select_runs(connection: "Connection", tags: Mapping[str, str]) -> list[MlflowRun]:
    from sqlalchemy import column, select, table

    # MLflow's tables; the version of MLflow is pinned, and a test compares these reads with its client's.
    runs = table("runs", *map(column, ("run_uuid", "status", "artifact_uri", "start_time", "lifecycle_stage")))
    carried = table("tags", column("run_uuid"), column("key"), column("value"))
    query = select(runs.c.run_uuid, runs.c.status, runs.c.artifact_uri)
    query = query.where(runs.c.lifecycle_stage == "active").order_by(runs.c.start_time, runs.c.run_uuid)
    for key, value in tags.items():
        has = select(carried.c.run_uuid).where(carried.c.key == key, carried.c.value == value)
        query = query.where(runs.c.run_uuid.in_(has))
    found = connection.execute(query).all()
    pairs = select(carried).where(carried.c.run_uuid.in_([row.run_uuid for row in found]))
    by_run: dict[str, dict[str, str]] = {}
    for run_id, key, value in connection.execute(pairs):
        by_run.setdefault(run_id, {})[key] = value
    return [MlflowRun(row.run_uuid, row.status, row.artifact_uri, by_run.get(row.run_uuid, {})) for row in found]


def start_run(settings: Settings, *, name: str, tags: Mapping[str, str], parent_run_id: str | None = None) -> str:
    """Return the id of a RUNNING run that carries ``tags``: the newest unfinished one that has them, or a new one.

    Args:
        settings: Where the database is; it is created if it is not there.
        name: The run's name in MLflow's pages.
        tags: What the run is found by; together they must name one piece of work.
        parent_run_id: The run that this one is shown under.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    # A run of a root folder that was copied or moved would write its files into the old one.
    own = [run for run in find_runs(settings, tags) if run.artifact_uri.startswith(settings.artifacts)]
    unfinished = [run for run in own if run.status != "FINISHED"]
    mlflow = client(settings)
    with writing(settings):
        if unfinished:
            mlflow.update_run(unfinished[-1].run_id, status="RUNNING")
            return unfinished[-1].run_id
        nested = {"mlflow.parentRunId": parent_run_id} if parent_run_id else {}
        [experiment] = mlflow.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
        if experiment.artifact_location != settings.artifacts:
            _move_experiment(settings)
        run = mlflow.create_run(experiment.experiment_id, tags={**tags, **nested}, run_name=name)
        return str(run.info.run_id)


def _move_experiment(settings: Settings) -> None:
    """Have new runs keep their files in the artifact folder of ``settings``, which MLflow's client cannot change."""
    from sqlalchemy import column, table, update

    experiments = table("experiments", column("name"), column("artifact_location"))
    moved = update(experiments).where(experiments.c.name == EXPERIMENT).values(artifact_location=settings.artifacts)
    with engine_of(settings).begin() as connection:
        connection.execute(moved)


def finish_run(
    settings: Settings,
    run_id: str,
    *,
    status: Literal["FINISHED", "FAILED"] = "FINISHED",
    reference_datetime: datetime,
    params: Mapping[str, object] | None = None,
    metrics: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Record a run's parameters, metrics and tags, and end it; the same again changes nothing.

    Args:
        settings: Where the database is.
        run_id: As ``start_run`` gave it.
        status: How the run ended.
        reference_datetime: Of the work; the metrics stand at this time.
        params: Values are kept as JSON.
        metrics: Measures by name; those that are not finite numbers are left out.
        tags: Added to those that the run has.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    mlflow = client(settings)
    with writing(settings):
        from mlflow.entities import Metric, Param, RunTag

        milliseconds = int(reference_datetime.timestamp() * 1000)
        numbers = {name: value for name, value in (metrics or {}).items() if isinstance(value, int | float)}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        mlflow.log_batch(
            run_id,
            metrics=[Metric(name, float(value), milliseconds, 0) for name, value in finite.items()],
            params=[Param(name, json.dumps(value)) for name, value in (params or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )
        mlflow.set_terminated(run_id, status=status)


def log_files(settings: Settings, run_id: str, directory: Path, *, folder: str) -> str:
    """Copy the files of ``directory`` into the run's artifact folder ``folder``; return that folder's URI.

    Raises:
        StorageError: If they cannot be written, as on a full disk.
        TrackingError: If the database is locked or does not answer.
    """
    mlflow = client(settings)
    with writing(settings):
        try:
            mlflow.log_artifacts(run_id, str(directory), folder)
        except OSError as error:
            raise StorageError(
                f"cannot write files to {settings.artifacts}: {error}; see to its disk, then run again",
                artifacts=settings.artifacts,
            ) from error
        return f"{str(mlflow.get_run(run_id).info.artifact_uri).rstrip('/')}/{folder}"
