"""The best configuration of a sweep, kept as the challenger of the trainings that come after its data."""

import json
import logging
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast_core import tracking
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument, NotFoundError
from forecast_core.contracts.settings import Settings
from forecast_core.runs import TrainingRun
from load_forecaster import ForecasterConfig

logger = logging.getLogger(__name__)

ARTIFACT = "best_config"


@dataclass(frozen=True)
class Choice:
    """A configuration, in words where it comes from, and the reference time of the search that found it."""

    config: ForecasterConfig
    source: str
    found_at: datetime | None = None

    def config_text(self) -> str:
        """Return the configuration as a model version carries it."""
        return json.dumps(self.config.to_dict(), sort_keys=True)


def upload(sweep_id: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Keep the best configuration of a sweep as the artifact ``best_config``; the same again changes nothing.

    Args:
        sweep_id: As ``hyperparameter_tuning.run`` returned it.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: the sweep, its best configuration and objective, and the run that has the artifact.

    Raises:
        NotFoundError: If there is no such sweep, or it has no result yet; the message names those that have one.
        TrackingError: If the tracking database cannot be used now.
        StorageError: If the artifact cannot be written.
    """
    settings = settings or Settings()
    result = _result(settings, str(sweep_id))
    content = json.dumps(result, indent=1, sort_keys=True)
    # A sweep that was stopped by its timeout and then went on has another result, and another artifact.
    tags = {
        "artifact": ARTIFACT,
        **{name: str(result[name]) for name in ("sweep_id", "trials", "fh", "feature_view_version", "window_end")},
    }
    with tracking.lock(settings, f"best-config-{result['sweep_id']}", wait=60):
        done = [run for run in tracking.find_runs(settings, tags) if run.status == "FINISHED"]
        run_id = done[0].run_id if done else _store(settings, result, tags, content)
    logger.info("best configuration of sweep %s: objective %.4f", result["sweep_id"], result["best_value"])
    return {**result, "run_id": run_id}


def _result(settings: Settings, sweep_id: str) -> dict[str, Any]:
    runs = tracking.find_runs(settings, {"artifact": "sweep"})
    results = {run.tags["sweep_id"]: run.tags["result"] for run in runs if "result" in run.tags}
    if sweep_id not in results:
        raise NotFoundError(
            f"there is no finished sweep {sweep_id!r}; there are {sorted(results) or 'none yet'}: "
            "run hyperparameter_tuning.run first, and give the sweep_id that it returns",
            sweep_id=sweep_id,
            existing=sorted(results),
        )
    return dict(json.loads(results[sweep_id]))


def _store(settings: Settings, result: dict[str, Any], tags: dict[str, str], content: str) -> str:
    run_id = tracking.start_run(settings, name=f"best config {result['sweep_id']}", tags=tags)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{ARTIFACT}.json").write_text(content, encoding="utf-8")
        tracking.log_files(settings, run_id, Path(folder), folder=ARTIFACT)
    at = moment("reference_datetime", result["reference_datetime"])
    more = {"result": json.dumps(result), "reference_datetime": result["reference_datetime"]}
    tracking.finish_run(settings, run_id, at=at, metrics={"objective": result["best_value"]}, tags=more)
    return run_id


def choose(settings: Settings, run: TrainingRun) -> Choice | None:
    """Return the best configuration of the newest sweep that knew no more than the run does, or None.

    That is a sweep for the same horizon, gap and feature view whose training window ends no later than the run's and
    whose reference time is no later; so training for a past hour never profits from its future. A configuration that
    this version of the code cannot use is passed over.
    """
    tags = {"artifact": ARTIFACT, "fh": str(run.fh), "feature_view_version": str(run.view.version)}
    runs = [run for run in tracking.find_runs(settings, tags) if run.status == "FINISHED"]
    # Oldest upload first, so that the last of several for one window wins.
    results = [json.loads(run.tags["result"]) for run in runs]
    past = [
        result
        for result in results
        if _time(result, "window_end") <= run.window.end
        and _time(result, "reference_datetime") <= run.reference_datetime
        and result.get("gap", 0) == run.gap
    ]
    if not past:
        return None
    newest = max(reversed(past), key=lambda result: (_time(result, "window_end"), _time(result, "reference_datetime")))
    source = f"best_config from sweep {newest['sweep_id']}"
    try:
        config = ForecasterConfig.from_dict(newest["best_config"])
    except InvalidArgument as error:
        logger.warning("%s is not for this version of the code: %s", source, error)
        return None
    return Choice(config, source, _time(newest, "reference_datetime"))


def _time(result: dict[str, Any], name: str) -> datetime:
    return moment(name, result[name])
