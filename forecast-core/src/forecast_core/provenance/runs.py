"""What a forecast run leaves: its rows, and the facts from which they can be made again; frames in, frames out."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from forecast_core.contracts.schema import FORECASTS, KEY, RUNS, SERIES
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureView
from forecast_core.feature_store.training_datasets import content_hash
from forecast_core.provenance.digests import of_frame


def forecast_rows(predictions: pl.DataFrame, *, run: Mapping[str, Any]) -> pl.DataFrame:
    """Return FORECASTS, sorted by key: ``schema.PREDICTIONS`` with the run's reference time and versions."""
    named = [pl.lit(run[name], FORECASTS[name]).alias(name) for name in FORECASTS if name in run]
    return predictions.with_columns(named).select(FORECASTS.names()).sort(KEY)


def run_facts(
    forecasts: pl.DataFrame,
    history: pl.DataFrame,
    *,
    view: FeatureView,
    window: Window,
    fh: int,
    made_by: Mapping[str, Any],
) -> pl.DataFrame:
    """Return the row of RUNS of some forecasts.

    Args:
        forecasts: FORECASTS of one run, sorted by key, at least one row.
        history: The OBSERVATIONS that they were made from, sorted by key.
        view: The feature view.
        window: The hours that the history is of.
        fh: Hours that were forecast.
        made_by: As ``made_by`` returned it.
    """
    row = forecasts.row(0, named=True)
    facts = {
        **{name: row[name] for name in RUNS if name in row},
        "fh": fh,
        "window_start": window.start,
        "window_end": window.end,
        "history_rows": history.height,
        "history_series": history.select(SERIES).n_unique(),
        "history_hash": content_hash(history, definition_hash=view.definition_hash, window=window),
        "forecasts": forecasts.height,
        "forecasts_hash": of_frame(forecasts),
        "made_by": json.dumps(made_by, sort_keys=True),
    }
    return pl.DataFrame([facts], schema=RUNS)
