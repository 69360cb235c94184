"""Batch prediction: forecast every series with one model version, and archive the forecasts with what made them."""

import logging
from datetime import datetime
from typing import Any, Final

import polars as pl

import load_forecaster
from batch_prediction_pipeline.versions import model_for, newest_ingest, reference_for
from forecast_core import provenance, tracking
from forecast_core.archive import EXPLANATIONS, ForecastArchive
from forecast_core.contracts.arguments import FORECAST_FROM, forecast_gap, moment, whole_number
from forecast_core.contracts.errors import InvalidArgument, WindowError
from forecast_core.contracts.schema import KEY, SERIES
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore, FeatureView

logger = logging.getLogger(__name__)

_SAMPLE_SERIES: Final = 3
_SAMPLE_HOURS: Final = 3


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
) -> dict[str, Any]:
    """Forecast ``fh`` hours for every series observed in [start, end), and archive the forecasts.

    The first hour is ``end``, or the reference time if the model was trained for that.

    The archive has one forecast per feature view, reference time, series and hour: the same again changes nothing,
    another model version at the same reference time takes the place of the one before.

    Args:
        fh: Hours to forecast, at most those that the model was trained for.
        feature_view_version: As ``feature_view.create`` returned it; default that of the model.
        model_version: As ``train.from_best_config`` returned it; default the newest.
        start_datetime: First hour of the history; naive is UTC, text is ISO; default that of the newest ingest.
        end_datetime: The hour after the last of the history; default that of the newest ingest.
        reference_datetime: The history is as known at this time; default that of the newest ingest whose window ends
            at ``end_datetime``.
        dag_run_id: The orchestrator's name of the run; kept beside the forecasts by the run that makes them first.
        forecast_from: As given to training (default); anything else is refused.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: counts, the hours, the versions, how many forecasts are of which quality, and a sample of them.

    Raises:
        InvalidArgument: If an argument cannot be read, or versions do not belong together.
        NotFoundError: If a version does not exist; the message names those that do.
        WindowError: If nothing was known of [start, end) at the reference time.
        StorageError: If the stores cannot be read or written now.
        TrackingError: If the tracking database cannot be read now.
    """
    settings = settings or Settings()
    hours, store = whole_number("fh", fh, least=1), FeatureStore(settings)
    if feature_view_version is not None:
        store.feature_view(whole_number("feature_view_version", feature_view_version, least=1))
    model = model_for(settings, model_version, feature_view_version)
    view = store.feature_view(int(model.tags["feature_view_version"]))
    window = _window(store, view, start_datetime, end_datetime)
    reference = reference_for(store, view, reference_datetime, window_end=window.end)
    history = _history(store, view, window, reference)
    fitted = load_forecaster.load(tracking.download_model(settings, model))
    _check_gap(fitted.gap, forecast_from, window, reference)
    predictions, reasons = fitted.predict_and_explain(history, end=window.end, fh=hours)
    versions = {
        "feature_view_version": view.version,
        "training_dataset_version": int(model.tags["training_dataset_version"]),
        "model_version": model.version,
    }
    forecasts = provenance.forecast_rows(predictions, run={"reference_datetime": reference, **versions})
    made_by = provenance.made_by("batch-prediction-pipeline", dag_run_id=dag_run_id)
    archive = ForecastArchive(settings)
    rows = archive.write(forecasts)
    # After its forecasts: a run that is killed in between is seen as one whose facts do not fit, and mends it when it
    # is run again.
    archive.write_explanations(_of_run(reasons, reference, view))
    archive.write_run(provenance.run_facts(forecasts, history, view=view, window=window, fh=hours, made_by=made_by))
    quality = dict(forecasts["quality"].value_counts().sort("quality").iter_rows())
    logger.info("archived %d forecasts from %s on: %s", rows, window.end, quality)
    return {
        "rows": rows,
        "series": forecasts.select(SERIES).n_unique(),
        "hours": hours,
        "reference_datetime": reference.strftime(DATETIME_FORMAT),
        "first_hour": _text(forecasts["datetime_utc"].min()),
        "last_hour": _text(forecasts["datetime_utc"].max()),
        "quality": quality,
        **versions,
        "sample": sample(forecasts),
    }


def _check_gap(gap: int, forecast_from: str | None, window: Window, reference: datetime) -> None:
    """Raise InvalidArgument if the model begins its forecasts elsewhere than it should."""
    meant = forecast_from or (FORECAST_FROM[1] if gap else FORECAST_FROM[0])
    wanted = forecast_gap(meant, window_end=window.end, reference=reference)
    if gap != wanted:
        raise InvalidArgument(
            f"the model was trained to forecast from {gap} hours after the last observation on, but {meant} is "
            f"{wanted} hours after {_text(window.end)}: train with forecast_from={meant} for this reference time",
            argument="forecast_from",
            gap=gap,
            wanted=wanted,
        )


def _of_run(reasons: pl.DataFrame, reference: datetime, view: FeatureView) -> pl.DataFrame:
    run = {"reference_datetime": reference, "feature_view_version": view.version}
    named = [pl.lit(value, EXPLANATIONS[name]).alias(name) for name, value in run.items()]
    return reasons.with_columns(named).select(EXPLANATIONS.names())


def _window(store: FeatureStore, view: FeatureView, start: datetime | str | None, end: datetime | str | None) -> Window:
    if start is None or end is None:
        newest = newest_ingest(store, view).window
        start, end = newest.start if start is None else start, newest.end if end is None else end
    return Window(moment("start_datetime", start), moment("end_datetime", end))


def _history(store: FeatureStore, view: FeatureView, window: Window, reference: datetime) -> pl.DataFrame:
    history = store.read(
        dataset=view.dataset, feature_group_version=view.feature_group_version, window=window, known_at=reference
    )
    if history.is_empty():
        newest = newest_ingest(store, view)
        raise WindowError(
            f"as known at {_text(reference)}, {view.dataset} has no value from {_text(window.start)} up to "
            f"{_text(window.end)} UTC; the newest ingest, known at {_text(newest.known_at)}, has "
            f"{_text(newest.window.start)} up to {_text(newest.window.end)}: ask for that, or ingest this window",
            window=window,
            reference_datetime=reference,
        )
    return history


def sample(forecasts: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the first hours of the largest series, largest first, as plain JSON."""
    sizes = forecasts.group_by(SERIES).agg(pl.col("energy_consumption").mean().alias("size"))
    largest = sizes.sort("size", *SERIES, descending=[True, False, False]).head(_SAMPLE_SERIES).with_row_index("rank")
    first = forecasts.sort(KEY).group_by(SERIES, maintain_order=True).head(_SAMPLE_HOURS)
    shown = first.join(largest, on=SERIES).sort("rank", "datetime_utc")
    columns = (*KEY, "energy_consumption", "q10", "q90", "quality")
    return shown.select(columns).with_columns(pl.col("datetime_utc").dt.strftime(DATETIME_FORMAT)).to_dicts()


def _text(moment_: Any) -> str:
    return str(moment_.strftime(DATETIME_FORMAT))
