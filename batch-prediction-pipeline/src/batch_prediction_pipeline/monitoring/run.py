"""Monitoring: score the archived forecasts against what came, judge them, and keep the figures of every hour."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NotRequired, TypedDict, cast

import polars as pl

from batch_prediction_pipeline.monitoring import drift, hours, judging, scoring
from forecast_core import tracking
from forecast_core.alarms import Alarms
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.arguments import whole_number
from forecast_core.contracts.dag_run import this_dag_run
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore, FeatureView
from forecast_core.runs import resolve_reference
from load_forecaster.metrics import plain

logger = logging.getLogger(__name__)

WEEK: Final = 7
Figures = dict[str, float | None]
"""Measures over all series by name, as fractions and kWh; docs/monitoring.md lists them."""


class OpenAlarm(TypedDict):
    """An alarm that is open at the reference time; ``subject`` is ``overall`` or a series such as ``DK1/111``."""

    kind: str
    subject: str
    level: str
    message: str


class Monitored(TypedDict):
    """What ``compute`` returns; times are text in UTC.

    ``scored`` is the number of forecasts of the last week whose hour has been observed, ``runs`` that of the runs that
    they are of, ``first_hour`` and ``last_hour`` their extent. ``metrics`` are the week's figures over all series and
    ``rolling`` the same by number of days (``1``, ``7``, ``30``). With nothing to score, ``scored`` is 0 and ``note``
    says why. ``alarms`` are those that are open at the reference time.
    """

    feature_view_version: int
    reference_datetime: str
    scored: int
    note: NotRequired[str]
    runs: NotRequired[int]
    first_hour: NotRequired[str]
    last_hour: NotRequired[str]
    metrics: NotRequired[Figures]
    rolling: NotRequired[dict[str, Figures]]
    alarms: list[OpenAlarm]


class _Group(TypedDict):
    dataset: str
    feature_group_version: int


class _Run(TypedDict):
    feature_view_version: int
    reference_datetime: datetime


@dataclass(frozen=True)
class _Evaluation:
    """What one call of ``compute`` is about."""

    settings: Settings
    view: FeatureView
    reference_datetime: datetime

    @property
    def store(self) -> FeatureStore:
        return FeatureStore(self.settings)

    @property
    def archive(self) -> ForecastArchive:
        return ForecastArchive(self.settings)

    @property
    def group(self) -> _Group:
        """Arguments that name the feature group of the view."""
        return {"dataset": self.view.dataset, "feature_group_version": self.view.feature_group_version}

    @property
    def run(self) -> _Run:
        """The columns that name the evaluation in the tables."""
        return {"feature_view_version": self.view.version, "reference_datetime": self.reference_datetime}


def compute(
    feature_view_version: int | str | None = None,
    *,
    reference_datetime: datetime | str | None = None,
    settings: Settings | None = None,
) -> Monitored:
    """Score the forecasts made before a reference time, of the last 1, 7 and 30 days observed by it; raise alarms.

    Truth is the observations as known at the reference time; the seasonal naive forecast of a run uses only what that
    run knew. The days end with the newest hour that was forecast and observed. Figures are kept over all series, per
    series and per lead, and per hour of the last week, under the reference time; computing again changes nothing.

    No later forecast or observation enters the figures. But a forecast of an earlier reference time can only be scored
    if it is in the archive by now: after a backfill from the newest hour to the oldest, fewer are, and computing again
    completes the figures.

    Args:
        feature_view_version: As ``feature_view.create`` returned it; default what it returned to the DAG run, or else
            last.
        reference_datetime: Naive is UTC, text is ISO; default that of the ingest of the DAG run, or else of
            the one written last.
        settings: Where things are; default from the environment.

    Returns:
        ``Monitored``, plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read.
        NotFoundError: If there is no such feature view, or nothing was ever ingested.
        StorageError: If the stores cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    settings, dag_run = settings or Settings(), this_dag_run()
    if feature_view_version is None:
        feature_view_version = FeatureStore(settings).last_training_dataset(dag_run=dag_run).feature_view_version
    view = FeatureStore(settings).feature_view(whole_number("feature_view_version", feature_view_version, least=1))
    evaluation = _Evaluation(settings, view, resolve_reference(settings, view, reference_datetime, dag_run=dag_run))
    newest = evaluation.archive.newest_run(
        feature_view_version=view.version, reference_until=evaluation.reference_datetime
    )
    if newest.is_empty():
        return _nothing(evaluation, "no forecast was archived before: the first can be scored a day later", [])
    checks = _standing(evaluation, newest)
    sums = hours.of_last_days(settings, view, reference_datetime=evaluation.reference_datetime, newest=newest)
    if sums.by_series.is_empty():
        note = f"none of the {sums.archived} archived forecasts' hours has been observed yet"
        return _nothing(evaluation, note, _raise(evaluation, checks))
    rolling, week = _keep(evaluation, sums), sums.recent(days=WEEK)
    figures, scored = rolling[str(WEEK)], int(week.by_series["n"].sum())
    logger.info("scored %d forecasts: %s", scored, figures)
    checks += judging.of_scores(sums.by_series, figures, settings)
    return {
        **_head(evaluation, scored),
        "runs": week.by_run["reference_datetime"].n_unique(),
        "first_hour": str(week.by_series["datetime_utc"].dt.strftime(DATETIME_FORMAT).min()),
        "last_hour": str(week.by_series["datetime_utc"].dt.strftime(DATETIME_FORMAT).max()),
        "metrics": figures,
        "rolling": rolling,
        "alarms": _raise(evaluation, checks),
    }


def _head(evaluation: _Evaluation, scored: int) -> Monitored:
    return {
        "feature_view_version": evaluation.view.version,
        "reference_datetime": evaluation.reference_datetime.strftime(DATETIME_FORMAT),
        "scored": scored,
        "alarms": [],
    }


def _nothing(evaluation: _Evaluation, note: str, alarms: list[OpenAlarm]) -> Monitored:
    logger.info("nothing to score: %s", note)
    return {**_head(evaluation, 0), "note": note, "alarms": alarms}


def _keep(evaluation: _Evaluation, sums: hours.Sums) -> dict[str, Figures]:
    """Store the figures; return those over all series, by number of days."""
    backtests = _backtests(evaluation.settings, set(sums.by_run["model_version"].unique()))
    history = scoring.history(sums.by_series, sums.by_run, run=evaluation.run, backtests=backtests)
    evaluation.archive.write_metrics(history)
    total = history.filter(pl.col("level") == "overall")
    return {
        str(days): plain(dict(part.select("metric", "value").iter_rows()))
        for (days,), part in total.partition_by(["days"], as_dict=True, maintain_order=True).items()
    }


def _backtests(settings: Settings, versions: set[int]) -> dict[int, dict[str, Any]]:
    """Return what some model versions measured of themselves when they were trained."""
    models = tracking.find_model_versions(settings, first=min(versions))
    return {each.version: json.loads(each.tags.get("metrics", "{}")) for each in models if each.version in versions}


def _standing(evaluation: _Evaluation, newest: pl.DataFrame) -> list[judging.Check]:
    """Check the newest run's forecasts for fallbacks, and the newest week against its model's training dataset."""
    store, settings, known_until = evaluation.store, evaluation.settings, evaluation.reference_datetime
    made_at = newest["reference_datetime"][0]
    forecasts = evaluation.archive.read(
        feature_view_version=evaluation.view.version,
        reference_from=made_at,
        reference_until=made_at + timedelta(microseconds=1),
        columns=["quality"],
    )
    dataset = store.training_dataset(newest["training_dataset_version"][0])
    ingest = store.latest_ingest(**evaluation.group, known_until=known_until)
    end = dataset.window.end if ingest is None else ingest.window.end
    window = Window(end - drift.RECENT, end)
    week = store.read(**evaluation.group, window=window, reference_datetime=known_until)
    training = store.read_training_dataset(dataset.version).filter(pl.col("datetime_utc") < window.start)
    known = pl.concat([training, week])
    return [*judging.of_quality(forecasts, settings), *judging.of_inputs(known, settings, end=end)]


def _raise(evaluation: _Evaluation, checks: list[judging.Check]) -> list[OpenAlarm]:
    """Keep the checks; return the alarms that are open at the reference time."""
    alarms = Alarms(evaluation.settings)
    alarms.write(judging.frame(checks, **evaluation.run, source="monitoring"))
    found = alarms.read(
        feature_view_version=evaluation.view.version, as_of=evaluation.reference_datetime, only_open=True
    )
    result = [cast("OpenAlarm", row) for row in found.select("kind", "subject", "level", "message").to_dicts()]
    for each in result:
        logger.warning("alarm (%s) %s, %s: %s", each["level"], each["kind"], each["subject"], each["message"])
    return result
