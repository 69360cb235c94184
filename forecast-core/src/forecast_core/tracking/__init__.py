"""Models and runs in MLflow's database; searches and decisions about the champion in tables of the store.

Writing goes through MLflow's own client, which takes about three seconds to import: inside functions only. Reading
asks MLflow's tables directly, for a forecast needs one row of the registry and not the client. Nothing here uses
MLflow's fluent (global) state, and no model is pickled: a model is a folder that ``load_forecaster.save`` wrote.

A locked or silent database is a ``TrackingError`` within the ``timeout`` of an SQLite URI (30 s by default) or the
``connect_timeout`` of a PostgreSQL URI (10 s by default).
"""

from forecast_core.tracking.aliases import named_champion, named_champions
from forecast_core.tracking.creation import create, loading
from forecast_core.tracking.database import EXPERIMENT, MODEL
from forecast_core.tracking.decisions import Decisions, Promotion, config_text
from forecast_core.tracking.locks import Held, lock
from forecast_core.tracking.model_files import download_model
from forecast_core.tracking.models import (
    ModelVersion,
    find_model_versions,
    model_version,
    newest_model,
    register_model,
)
from forecast_core.tracking.promotions import (
    champion,
    follow_champion,
    promote,
    promotions,
    record_promotion,
    reign_at,
    rollback,
)
from forecast_core.tracking.reigns import Reign, Undecided, reign
from forecast_core.tracking.runs import MlflowRun, find_runs, finish_run, log_files, start_run
from forecast_core.tracking.searches import Search, Searches, SearchResult, search_as_json
from forecast_core.tracking.trials import Trial

__all__ = [
    "EXPERIMENT",
    "MODEL",
    "Decisions",
    "Held",
    "MlflowRun",
    "ModelVersion",
    "Promotion",
    "Reign",
    "Search",
    "SearchResult",
    "Searches",
    "Trial",
    "Undecided",
    "champion",
    "config_text",
    "create",
    "download_model",
    "find_model_versions",
    "find_runs",
    "finish_run",
    "follow_champion",
    "loading",
    "lock",
    "log_files",
    "model_version",
    "named_champion",
    "named_champions",
    "newest_model",
    "promote",
    "promotions",
    "record_promotion",
    "register_model",
    "reign",
    "reign_at",
    "rollback",
    "search_as_json",
    "start_run",
]
