"""The tables that every part agrees on: column names, types and units.

Times are UTC and name the start of an hour; energy is in kWh for that hour. The frames of the forecaster are its own.
"""

from datetime import datetime
from typing import Final, TypedDict

import polars as pl

from load_forecaster.schema import HOUR, KEY, OBSERVATIONS, PREDICTIONS, QUANTILES, REASONS, SERIES, UTC_HOUR, Frame

__all__ = [
    "EXPLANATIONS",
    "FORECASTS",
    "HOUR",
    "KEY",
    "MEANING",
    "METRICS",
    "OBSERVATIONS",
    "PREDICTIONS",
    "QUANTILES",
    "REASONS",
    "RUN",
    "RUNS",
    "SERIES",
    "UTC_HOUR",
    "ForecastRow",
    "Frame",
    "RunRow",
    "meaning",
]

RUN: Final = ("feature_view_version", "reference_datetime")
"""The columns that name one run."""

MEANING: Final = {
    "reference_datetime": "reference time of the run, UTC",
    "feature_view_version": "version of the feature view",
    "training_dataset_version": "version of the training dataset of the model",
    "model_version": "version of the model",
    "dataset": "name of the dataset of the source",
    "feature_group_version": "version of the feature group",
    "known_at": "reference time at which the row became known, UTC",
    "window_start": "first hour of the window, UTC",
    "window_end": "hour after the last of the window, UTC",
    "made_by": "code and DAG run that made the row first, JSON",
}
"""Meaning of the columns that several tables have."""


def meaning(*names: str) -> dict[str, str]:
    """Return the meaning of some columns of ``MEANING``."""
    return {name: MEANING[name] for name in names}


FORECASTS: Final = Frame(
    {
        "reference_datetime": UTC_HOUR,
        **PREDICTIONS,
        "feature_view_version": pl.Int64(),
        "training_dataset_version": pl.Int64(),
        "model_version": pl.Int64(),
    },
    key=(*RUN, *KEY),
    meaning={
        **meaning("reference_datetime", "feature_view_version", "training_dataset_version", "model_version"),
        **PREDICTIONS.meaning,
    },
)
"""Archived forecasts: predictions, the reference time at which they were made, and what made them."""


class ForecastRow(TypedDict):
    """One row of FORECASTS; times are in UTC, energy is in kWh."""

    reference_datetime: datetime
    area: str
    consumer_type: str
    datetime_utc: datetime
    energy_consumption: float
    q05: float
    q10: float
    q50: float
    q90: float
    q95: float
    quality: str
    feature_view_version: int
    training_dataset_version: int
    model_version: int


RUNS: Final = Frame(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        "training_dataset_version": pl.Int64(),
        "model_version": pl.Int64(),
        "fh": pl.Int64(),
        "window_start": UTC_HOUR,
        "window_end": UTC_HOUR,
        "history_rows": pl.Int64(),
        "history_series": pl.Int64(),
        "history_hash": pl.String(),
        "forecasts": pl.Int64(),
        "forecasts_hash": pl.String(),
        "made_by": pl.String(),
    },
    key=RUN,
    meaning={
        **meaning("reference_datetime", "feature_view_version", "training_dataset_version", "model_version"),
        "fh": "hours that were forecast",
        **meaning("window_start", "window_end"),
        "history_rows": "number of observations in the window, as known at the reference time",
        "history_series": "number of series that they are of",
        "history_hash": "``feature_store.training_datasets.content_hash`` of them",
        "forecasts": "number of forecasts",
        "forecasts_hash": "``provenance.digests.of_frame`` of the forecasts",
        **meaning("made_by"),
    },
)
"""What the forecasts of one run were made from."""


class RunRow(TypedDict):
    """One row of RUNS; times are in UTC."""

    reference_datetime: datetime
    feature_view_version: int
    training_dataset_version: int
    model_version: int
    fh: int
    window_start: datetime
    window_end: datetime
    history_rows: int
    history_series: int
    history_hash: str
    forecasts: int
    forecasts_hash: str
    made_by: str


EXPLANATIONS: Final = Frame(
    {"reference_datetime": UTC_HOUR, "feature_view_version": pl.Int64(), **REASONS},
    key=(*RUN, *REASONS.key),
    meaning={**meaning("reference_datetime", "feature_view_version"), **REASONS.meaning},
)
"""Contributions to the forecasts of one run: see REASONS."""

METRICS: Final = Frame(
    {
        "reference_datetime": UTC_HOUR,
        "feature_view_version": pl.Int64(),
        "level": pl.String(),
        "area": pl.String(),
        "consumer_type": pl.String(),
        "datetime_utc": UTC_HOUR,
        "lead": pl.Int64(),
        "days": pl.Int64(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "n": pl.Int64(),
    },
    key=(*RUN, "days", "level", *KEY, "lead", "metric"),
    nullable=(*KEY, "lead", "value"),
    meaning={
        **meaning("reference_datetime", "feature_view_version"),
        "level": "what the metric is over: ``overall``, or one ``hour``, ``series`` or ``lead``",
        "area": "price area; null except at level ``series``",
        "consumer_type": "code of the consumer type; null except at level ``series``",
        "datetime_utc": "start of the hour, UTC; null except at level ``hour``",
        "lead": "1 for the first hour of a forecast; null except at level ``lead``",
        "days": "days up to the newest observed hour: 1, 7 or 30",
        "metric": "name of the metric; docs/monitoring.md lists those of each level",
        "value": "a fraction or kWh, by metric; null where the metric is not defined",
        "n": "number of forecasts",
    },
)
"""One metric of the forecasts before a run."""
