"""Training: configuration, comparison with the seasonal naive forecast, refit on everything, registration."""

import hashlib
import json
import logging
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from forecast_core import forecaster, tracking
from forecast_core.provenance import made_by
from forecast_core.provenance.digests import of_files
from forecast_core.settings import Settings
from forecast_core.tracking import ModelVersion
from forecast_core.window import DATETIME_FORMAT
from training_pipeline import best_config, data
from training_pipeline.best_config import Choice
from training_pipeline.data import Task
from training_pipeline.evaluation import ORIGINS

logger = logging.getLogger(__name__)

_SAME_TRAINING_WAIT: Final = 900.0
_FOLDER: Final = "model"


def from_best_config(
    fh: int | str = 24,
    feature_view_version: int | str | None = None,
    training_dataset_version: int | str | None = None,
    *,
    reference_datetime: datetime | str | None = None,
    dag_run_id: str | None = None,
    forecast_from: str = "last_observation",
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Train on a training dataset with the best configuration known for it, and register the model.

    The same training dataset, horizon, configuration and code are the same model version: asked for again, it is
    returned and not fitted again. Killed anywhere and called again, exactly one version is registered.

    Args:
        fh: Hours that the model shall forecast.
        feature_view_version: As ``feature_view.create`` returned it; default that of the training dataset.
        training_dataset_version: As ``feature_view.create`` returned it; default the newest.
        reference_datetime: Best configurations of later reference times are not used; default when the training
            dataset became known.
        dag_run_id: The orchestrator's name of the run; kept with the model version by the run that trains it first.
        forecast_from: ``last_observation``: the first hour to forecast follows the training window;
            ``reference_time``: it is the reference time, however late the observations are.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: the model version, its measures beside those of the seasonal naive forecast, its configuration and
        where that comes from, and the versions that made it.

    Raises:
        InvalidArgument: If an argument cannot be read, or the training dataset is not of the feature view.
        NotFoundError: If a version does not exist.
        StorageError: If the feature store or the model's files cannot be read or written now.
        TrackingError: If the tracking database cannot be used now.
    """
    settings = settings or Settings()
    task = data.resolve(
        fh, feature_view_version, training_dataset_version, reference_datetime, settings, forecast_from=forecast_from
    )
    choice = best_config.choose(settings, task)
    logger.info("configuration: %s", choice.source)
    fingerprint = _fingerprint(task, choice)
    with tracking.lock(settings, f"train-{fingerprint[:16]}", wait=_SAME_TRAINING_WAIT):
        registered = tracking.find_model_versions(settings, {"fingerprint": fingerprint})
        if registered:
            logger.info("model version %d was made of just this", registered[0].version)
            return _report(registered[0], choice)
        return _report(_register(settings, task, choice, fingerprint, dag_run_id), choice)


def _fingerprint(task: Task, choice: Choice) -> str:
    identity = {**task.identity(), "config": choice.config.to_dict()}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _register(settings: Settings, task: Task, choice: Choice, fingerprint: str, dag_run_id: str | None) -> ModelVersion:
    """Register the finished run of this training, after training if there is none; nothing is visible before that."""
    wanted = {"fingerprint": fingerprint, "artifact": "model"}
    finished = [run for run in tracking.find_runs(settings, wanted) if run.status == "FINISHED"]
    run_id = finished[-1].run_id if finished else _train(settings, task, choice, wanted, dag_run_id)
    [run] = [run for run in tracking.find_runs(settings, wanted) if run.run_id == run_id]
    tags = {name: value for name, value in run.tags.items() if not name.startswith("mlflow.")}
    source = f"{run.artifact_uri.rstrip('/')}/{_FOLDER}"
    version = tracking.register_model(settings, run_id=run_id, source=source, tags=tags)
    logger.info("registered model version %d", version)
    return tracking.model_version(settings, version)


def _train(settings: Settings, task: Task, choice: Choice, wanted: dict[str, str], dag_run_id: str | None) -> str:
    """Evaluate, fit on everything and keep the files in an MLflow run, which is finished last."""
    history = data.load(task, settings)
    with tracking.loading():
        evaluation, fitted = forecaster.evaluate_and_fit(
            history,
            end=task.dataset.window.end,
            fh=task.fh,
            gap=task.gap,
            config=choice.config,
            threads=settings.threads,
            origins=ORIGINS,
        )
    _log_skill(evaluation.metrics)
    run_id = tracking.start_run(settings, name=f"train {task.dataset.version}", tags=wanted)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        files = of_files(Path(folder))
        tracking.log_files(settings, run_id, Path(folder), folder=_FOLDER)
    made = made_by("training-pipeline", dag_run_id=dag_run_id)
    tags = {
        **_provenance(task, choice, evaluation.metrics),
        "files": json.dumps(files),
        "made_by": json.dumps(made, sort_keys=True),
    }
    tracking.finish_run(
        settings, run_id, at=task.reference, params=choice.config.to_dict(), metrics=evaluation.metrics, tags=tags
    )
    return run_id


def _log_skill(measures: dict[str, Any]) -> None:
    if measures["wape"] is None or measures["naive_wape"] is None:
        logger.warning("the training window is too short to compare the model with the seasonal naive forecast")
        return
    logger.info("WAPE %.4f, seasonal naive %.4f", measures["wape"], measures["naive_wape"])


def _provenance(task: Task, choice: Choice, measures: dict[str, Any]) -> dict[str, str]:
    return {
        "feature_view_version": str(task.dataset.feature_view_version),
        "training_dataset_version": str(task.dataset.version),
        "content_hash": task.dataset.content_hash,
        "window_start": task.dataset.window.start.strftime(DATETIME_FORMAT),
        "window_end": task.dataset.window.end.strftime(DATETIME_FORMAT),
        "reference_datetime": task.reference.strftime(DATETIME_FORMAT),
        "fh": str(task.fh),
        "gap": str(task.gap),
        "origins": str(ORIGINS),
        "config": json.dumps(choice.config.to_dict(), sort_keys=True),
        "config_source": choice.source,
        "code_version": data.code_version(),
        "metrics": json.dumps(measures, sort_keys=True),
    }


def _report(model: ModelVersion, choice: Choice) -> dict[str, Any]:
    """Return a version's facts as they were registered, and where this call has its configuration from.

    A search may end at the default: the version is then the one that was trained before it.
    """
    tags = model.tags
    return {
        "model_version": model.version,
        "metrics": json.loads(tags["metrics"]),
        "config_source": choice.source,
        "config": json.loads(tags["config"]),
        "fh": int(tags["fh"]),
        "feature_view_version": int(tags["feature_view_version"]),
        "training_dataset_version": int(tags["training_dataset_version"]),
        "content_hash": tags["content_hash"],
        "code_version": tags["code_version"],
        "run_id": model.run_id,
    }
