"""Batch prediction: forecast every series with one model version; archive forecasts, explanation and run facts."""

import logging
import sys
from datetime import datetime
from importlib import import_module
from typing import Any, Final, TypedDict, cast

import polars as pl

import load_forecaster
from forecast_core import provenance, tracking
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.dag_run import this_dag_run
from forecast_core.contracts.errors import WindowError
from forecast_core.contracts.schema import EXPLANATIONS, KEY, SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.run_defaults import last_ingest
from forecast_core.runs import ForecastRun, resolve_forecast_run

logger = logging.getLogger(__name__)

_SAMPLE_SERIES: Final = 3
_SAMPLE_HOURS: Final = 3


class Sample(TypedDict):
    """One forecast as ``predict`` shows it: the hour as text in UTC, energies in kWh."""

    area: str
    consumer_type: str
    datetime_utc: str
    energy_consumption: float
    q10: float
    q90: float
    quality: str


class Predicted(TypedDict):
    """What ``predict`` returns.

    ``rows`` forecasts of ``series`` series for ``hours`` hours each, from ``first_hour`` to ``last_hour``; ``quality``
    counts them by quality. Times are text in UTC. ``sample`` has the first hours of the largest series.
    """

    rows: int
    series: int
    hours: int
    reference_datetime: str
    first_hour: str
    last_hour: str
    quality: dict[str, int]
    feature_view_version: int
    training_dataset_version: int
    model_version: int
    sample: list[Sample]


class _RunKey(TypedDict):
    feature_view_version: int
    reference_datetime: datetime


class _Names(_RunKey):
    training_dataset_version: int
    model_version: int


def predict(
    fh: int | str = 24,
    feature_view_version: int | str | None = None,
    model_version: int | str | None = None,
    start_datetime: datetime | str | None = None,
    end_datetime: datetime | str | None = None,
    *,
    reference_datetime: datetime | str | None = None,
    dag_run_id: str | None = None,
    forecast_from: str | None = None,
    settings: Settings | None = None,
) -> Predicted:
    """Forecast ``fh`` hours for every series observed in [start, end), and archive the forecasts.

    The first forecast hour is ``end``, or the reference time if the model was trained for that.

    The archive has one forecast per feature view, reference time, series and hour. Forecasting again with the same
    inputs changes nothing; forecasts of another model version replace those of the same reference time.

    Args:
        fh: Hours to forecast, at most those that the model was trained for.
        feature_view_version: As ``feature_view.create`` returned it; default that of the model.
        model_version: As ``train.from_best_config`` returned it; default the one that the DAG run trained, or else
            the one that training returned last.
        start_datetime: First hour of the history; naive is UTC, text is ISO; default that of the ingest of the DAG run,
            or else of the ingest written last.
        end_datetime: The hour after the last of the history; default that of the same ingest.
        reference_datetime: The history is as known at this time; default that of the ingest of the DAG run, or else of
            the one written last, whose window ends at ``end_datetime``.
        dag_run_id: The orchestrator's name of the run, kept beside the forecasts by the run that makes them first;
            default that of the task, if Airflow runs this.
        forecast_from: As given to training (default); anything else is refused.
        settings: Where things are; default from the environment.

    Returns:
        ``Predicted``, plain JSON.

    Raises:
        InvalidArgument: If an argument cannot be read, or versions do not belong together.
        NotFoundError: If a version does not exist; the message names those that do.
        WindowError: If nothing was known of [start, end) at the reference time.
        StorageError: If the stores cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    settings, dag_run = settings or Settings(), this_dag_run(dag_run_id)
    run = resolve_forecast_run(
        settings,
        fh=fh,
        feature_view_version=feature_view_version,
        model_version=model_version,
        start_datetime=start_datetime,
        end_datetime=end_datetime,
        reference_datetime=reference_datetime,
        forecast_from=forecast_from,
        dag_run=dag_run,
    )
    history = _history(settings, run)
    fitted = load_forecaster.load(tracking.download_model(settings, run.model))
    predictions, reasons = fitted.predict_and_explain(history, end=run.window.end, fh=run.fh)
    forecasts = provenance.forecast_rows(predictions, run=_names(run))
    made_by = provenance.made_by("batch_prediction_pipeline.batch", dag_run=dag_run)
    facts = provenance.run_facts(forecasts, history, view=run.view, window=run.window, fh=run.fh, made_by=made_by)
    _archive(ForecastArchive(settings), run, facts=facts, reasons=reasons, forecasts=forecasts)
    return _summary(run, forecasts)


def _names(run: ForecastRun) -> _Names:
    """Return the columns of FORECASTS that are the same in every row of a run."""
    return {
        "reference_datetime": run.reference_datetime,
        "feature_view_version": run.view.version,
        "training_dataset_version": int(run.model.tags["training_dataset_version"]),
        "model_version": run.model.version,
    }


def _archive(
    archive: ForecastArchive, run: ForecastRun, *, facts: pl.DataFrame, reasons: pl.DataFrame, forecasts: pl.DataFrame
) -> None:
    """Write the run's facts, the explanation and last the forecasts, from whose commit on the run exists.

    A kill or a full disk in between leaves facts whose forecasts are missing, and such a run is not read; running again
    completes it. The facts come first: an explanation must not stand beside the forecasts of the model before.
    """
    key: _RunKey = {"feature_view_version": run.view.version, "reference_datetime": run.reference_datetime}
    named = [pl.lit(value, EXPLANATIONS[name]).alias(name) for name, value in key.items()]
    archive.write_run(facts)
    archive.write_explanations(reasons.with_columns(named).select(EXPLANATIONS.names()), **key)
    archive.write(forecasts)


def _summary(run: ForecastRun, forecasts: pl.DataFrame) -> Predicted:
    quality = dict(forecasts["quality"].value_counts().sort("quality").iter_rows())
    logger.info("archived %d forecasts from %s on: %s", forecasts.height, _text(forecasts["datetime_utc"][0]), quality)
    names = _names(run)
    return {
        "rows": forecasts.height,
        "series": forecasts.select(SERIES).n_unique(),
        "hours": run.fh,
        "reference_datetime": _text(run.reference_datetime),
        "first_hour": _text(forecasts["datetime_utc"].min()),
        "last_hour": _text(forecasts["datetime_utc"].max()),
        "quality": quality,
        "feature_view_version": names["feature_view_version"],
        "training_dataset_version": names["training_dataset_version"],
        "model_version": names["model_version"],
        "sample": sample(forecasts),
    }


def _history(settings: Settings, run: ForecastRun) -> pl.DataFrame:
    store = FeatureStore(settings)
    history = store.read(
        dataset=run.dataset,
        feature_group_version=run.feature_group_version,
        window=run.window,
        reference_datetime=run.reference_datetime,
    )
    if history.is_empty():
        last = last_ingest(store, run.view)
        raise WindowError(
            f"as known at {_text(run.reference_datetime)}, {run.dataset} has no value from {_text(run.window.start)} "
            f"up to {_text(run.window.end)} UTC; the last ingest, known at {_text(last.known_at)}, has "
            f"{_text(last.window.start)} up to {_text(last.window.end)}: ask for that, or ingest this window",
            window=run.window,
            reference_datetime=run.reference_datetime,
        )
    return history


def sample(forecasts: pl.DataFrame) -> list[Sample]:
    """Return the first hours of the largest series, largest first, as plain JSON."""
    sizes = forecasts.group_by(SERIES).agg(pl.col("energy_consumption").mean().alias("size"))
    largest = sizes.sort("size", *SERIES, descending=[True, False, False]).head(_SAMPLE_SERIES).with_row_index("rank")
    first = forecasts.sort(KEY).group_by(SERIES, maintain_order=True).head(_SAMPLE_HOURS)
    shown = first.join(largest, on=SERIES).sort("rank", "datetime_utc")
    columns = (*KEY, "energy_consumption", "q10", "q90", "quality")
    rows = shown.select(columns).with_columns(pl.col("datetime_utc").dt.strftime(DATETIME_FORMAT)).to_dicts()
    return [cast("Sample", row) for row in rows]


def _text(time: Any) -> str:
    return str(time.strftime(DATETIME_FORMAT))


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("batch_prediction_pipeline.__main__").main(step="predict"))
