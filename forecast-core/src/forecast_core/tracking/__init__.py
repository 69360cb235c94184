"""Runs, tuned configurations and model versions, in MLflow's database and artifact folder.

Writing goes through MLflow's own client, which takes about three seconds to import: inside functions only. Reading
asks MLflow's tables directly, for a forecast needs one row of the registry and not the client. Nothing here uses
MLflow's fluent (global) state, and no model is pickled: a model is a folder that ``Forecaster.save`` wrote.

A locked or silent database is a ``TrackingError`` within the ``timeout`` of an SQLite URI (30 s by default) or the
``connect_timeout`` of a PostgreSQL URI (10 s by default).
"""

from forecast_core.tracking.creation import create, loading
from forecast_core.tracking.database import EXPERIMENT, MODEL
from forecast_core.tracking.locks import lock
from forecast_core.tracking.models import (
    ModelVersion,
    download_model,
    find_model_versions,
    model_version,
    newest_model,
    register_model,
)
from forecast_core.tracking.promotions import (
    Promotion,
    champion,
    name_champion,
    named_champion,
    promote,
    promotions,
    record_promotion,
    rollback,
)
from forecast_core.tracking.runs import Run, find_runs, finish_run, log_files, start_run

__all__ = [
    "EXPERIMENT",
    "MODEL",
    "ModelVersion",
    "Promotion",
    "Run",
    "champion",
    "create",
    "download_model",
    "find_model_versions",
    "find_runs",
    "finish_run",
    "loading",
    "lock",
    "log_files",
    "model_version",
    "name_champion",
    "named_champion",
    "newest_model",
    "promote",
    "promotions",
    "record_promotion",
    "register_model",
    "rollback",
    "start_run",
]
