"""Checks of the hourly DAG itself, from what Airflow says of its runs: failed, blocking, of the future, paused."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict

from batch_prediction_pipeline.monitoring.judging import Check
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, as_utc

NO_VIEW: Final = 0
"""In place of a feature view's version, which begins at 1: the check is about the DAG, whatever it forecasts with."""

NAMED: Final = 4
"""Runs that a message names at most."""

_FINISHED: Final = ("success", "failed")


class Dag(TypedDict):
    """What Airflow says of the DAG.

    ``runs`` has, of each of the newest and active runs, ``dag_run_id``, ``run_type``, ``state``, ``logical_date``,
    ``run_after``, ``start_date`` and ``end_date``; times are ISO text or null. ``ended`` are the ids of the runs that
    were failed just now because they lay in the future, ``not_ended`` those for which Airflow refused it.
    """

    paused: bool
    runs: Sequence[Mapping[str, Any]]
    ended: Sequence[str]
    not_ended: Sequence[str]


def checks(dag: Mapping[str, Any], settings: Settings, *, now: datetime) -> Iterator[Check]:
    """Check the DAG: its runs up to now, whether one of the future was found, and whether it is paused.

    Args:
        dag: ``Dag``.
        settings: The thresholds.
        now: The present time.

    Raises:
        InvalidArgument: If ``dag`` is not as described, or one of its times cannot be read.
    """
    missing = sorted(set(Dag.__annotations__) - set(dag))
    if missing:
        raise InvalidArgument(f"expected what Airflow says of the DAG; it has no {', '.join(missing)}")
    yield _future(dag)
    # Runs of the future were failed by the watch, and a backfill is looked after by whoever started it.
    runs = [run for run in dag["runs"] if _reference(run) <= now and run["run_type"] != "backfill"]
    yield _failed(runs, now)
    yield _blocking(runs, settings, now)
    # A DAG that has never run has not been started yet.
    paused = bool(dag["paused"] and dag["runs"])
    yield Check("paused", float(paused), (1.0,), "ml_pipeline is paused: no hourly run starts; unpause it in Airflow")


def _future(dag: Mapping[str, Any]) -> Check:
    ended, refused = list(dag["ended"]), list(dag["not_ended"])
    texts = []
    if ended:
        texts.append(f"{_named(ended)}: failed, because a run of the future waits and lets no hourly run start")
    if refused:
        texts.append(f"{_named(refused)}: Airflow refused to fail it; fail it by hand, or no hourly run starts")
    message = f"the logical date lies in the future: {'; '.join(texts)}" if texts else "no run lies in the future"
    return Check("future_run", float(len(ended) + len(refused)), (1.0,), message)


def _failed(runs: Sequence[Mapping[str, Any]], now: datetime) -> Check:
    """Count the runs that failed since the last success, in the order in which they ended."""
    finished = sorted(
        (run for run in runs if run["state"] in _FINISHED and run["end_date"]),
        key=lambda run: _time(run["end_date"], now),
        reverse=True,
    )
    good = next((place for place, run in enumerate(finished) if run["state"] == "success"), len(finished))
    failed = [f"{_reference(run):{DATETIME_FORMAT}}" for run in finished[:good]]
    number = "the last run" if len(failed) == 1 else f"the last {len(failed)} runs"
    message = f"{number} of ml_pipeline failed, at {_named(failed)} UTC: see the tasks' logs in Airflow"
    return Check("failed_runs", float(len(failed)), (1.0,), message if failed else "the last run did not fail")


def _blocking(runs: Sequence[Mapping[str, Any]], settings: Settings, now: datetime) -> Check:
    """Judge the hours since the start of the run that has been running longest."""
    running = [run for run in runs if run["state"] == "running" and run["start_date"]]
    first = min(running, key=lambda run: _time(run["start_date"], now), default=None)
    if first is None:
        return Check("blocking_run", 0.0, (settings.alarm_blocking_hours,), "no run is running")
    age = (now - _time(first["start_date"], now)) / HOUR
    return Check(
        "blocking_run",
        age,
        (settings.alarm_blocking_hours,),
        f"the run {first['dag_run_id']} has been running for {age:.1f} hours, and no other starts beside it: "
        "see what its tasks wait for in Airflow, or fail it",
    )


def _reference(run: Mapping[str, Any]) -> datetime:
    return as_utc(moment("logical_date", run["logical_date"] or run["run_after"]))


def _time(text: str | None, default: datetime) -> datetime:
    return default if text is None else moment("time of a run", text)


def _named(names: Sequence[str]) -> str:
    """Name the first few."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
