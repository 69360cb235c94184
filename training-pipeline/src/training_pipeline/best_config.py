"""The best configuration of a search, kept as the challenger of the champion."""

import json
import logging
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Final

from forecast_core import step_log, tracking
from forecast_core.contracts.dag_run import this_dag_run
from forecast_core.contracts.errors import NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import Search, Searches, SearchResult, search_as_json

logger = logging.getLogger(__name__)

ARTIFACT: Final = "best_config"
_WAIT: Final = 60.0


class BestConfig(SearchResult):
    """What a search found, and the MLflow run that shows it to people."""

    run_id: str


def upload(sweep_id: str | None = None, *, settings: Settings | None = None) -> BestConfig:
    """Make the best configuration of a search a challenger of the champion; the same again changes nothing.

    It is also kept as the artifact ``best_config`` of an MLflow run, for people to look at.

    Args:
        sweep_id: As ``hyperparameter_tuning.run`` returned it; default the search of the DAG run, or else the last one.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: the search, its best configuration and objective, and the run that has the artifact.

    Raises:
        NotFoundError: If there is no such search, or it has no result yet; the message names those that have one.
        TrackingError: If the tracking database cannot be used now.
        StorageError: If the store or the artifact cannot be written.
    """
    settings = settings or Settings()
    wanted = _last_search(settings) if sweep_id is None else str(sweep_id)
    searches = Searches(settings)
    found = searches.found()
    if wanted not in found:
        raise NotFoundError(
            f"there is no finished sweep {wanted!r}; there are {sorted(found) or 'none yet'}: "
            "run hyperparameter_tuning.run first, and give the sweep_id that it returns",
            sweep_id=wanted,
            existing=sorted(found),
        )
    search = found[wanted]
    with tracking.lock(settings, f"best-config-{wanted}", wait=_WAIT):
        run_id = _shown_run(settings, search)
        searches.write(search, uploaded=True)
    logger.info("best configuration of sweep %s: objective %.4f", wanted, search["best_value"])
    return BestConfig(**search_as_json(search), run_id=run_id)


def _last_search(settings: Settings) -> str:
    """Return the id of the search of this DAG run, or else of the one that was asked for last."""
    searches = step_log.entries(settings, "search", dag_run=this_dag_run())
    for each in searches:
        return each.sweep_id
    raise NotFoundError("there is no search yet: run hyperparameter_tuning.run first, or give sweep_id")


def _shown_run(settings: Settings, search: Search) -> str:
    """Return the finished MLflow run that shows the best configuration, after making it if there is none."""
    result = search_as_json(search)
    # A search that was stopped by its timeout and then went on has another result, and another run.
    tags = {
        "artifact": ARTIFACT,
        "sweep_id": search["sweep_id"],
        "trials": str(search["trials"]),
        "fh": str(search["fh"]),
        "feature_view_version": str(search["feature_view_version"]),
        "window_end": result["window_end"],
    }
    done = [run for run in tracking.find_runs(settings, tags) if run.status == "FINISHED"]
    if done:
        return done[0].run_id
    run_id = tracking.start_run(settings, name=f"best config {search['sweep_id']}", tags=tags)
    with tempfile.TemporaryDirectory() as folder:
        content = json.dumps(result, indent=1, sort_keys=True)
        (Path(folder) / f"{ARTIFACT}.json").write_text(content, encoding="utf-8")
        tracking.log_files(settings, run_id, Path(folder), folder=ARTIFACT)
    tracking.finish_run(
        settings,
        run_id,
        reference_datetime=search["reference_datetime"],
        metrics={"objective": search["best_value"]},
        tags={"reference_datetime": result["reference_datetime"]},
    )
    return run_id


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("training_pipeline.__main__").main(step="upload-best-config"))
