"""Training: recipe, comparison with the seasonal naive forecast, refit on everything, registration."""

import hashlib
import json
import logging
import sys
import tempfile
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Final, TypedDict

import load_forecaster
from forecast_core import step_log, tracking
from forecast_core.contracts.dag_run import DagRun, this_dag_run
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.provenance import made_by
from forecast_core.provenance.digests import of_files
from forecast_core.runs import TrainingRun, resolve_training_run
from forecast_core.tracking import Held, ModelVersion
from load_forecaster import Measures
from load_forecaster.config import ConfigValue
from training_pipeline import champion, data, retraining
from training_pipeline.champion import ChampionFacts, Verdict
from training_pipeline.evaluation import ORIGINS

logger = logging.getLogger(__name__)

_SAME_TRAINING_WAIT: Final = 900.0
_FOLDER: Final = "model"


class Training(TypedDict):
    """Whether the run made its model, by which policy, and why."""

    policy: str
    trained: bool
    reason: str


class TrainingResult(TypedDict):
    """A model version as it was registered, and how a run came to it."""

    model_version: int
    metrics: Measures
    config_source: str
    config: dict[str, ConfigValue]
    champion: ChampionFacts
    training: Training
    fh: int
    feature_view_version: int
    training_dataset_version: int
    content_hash: str
    code_version: str
    run_id: str


def from_best_config(
    fh: int | str = 24,
    feature_view_version: int | str | None = None,
    training_dataset_version: int | str | None = None,
    *,
    reference_datetime: datetime | str | None = None,
    retrain: str | None = None,
    dag_run_id: str | None = None,
    forecast_from: str = "last_observation",
    settings: Settings | None = None,
) -> TrainingResult:
    """Train on a training dataset with the champion's configuration, and register the model.

    The best configuration of a search is a challenger: it replaces the champion only if it is not worse on the latest
    origins of the search's training dataset, and the result says why it did or did not. The same training dataset,
    horizon, configuration and code are the same model version: asked for again, it is returned and not fitted again.
    Killed anywhere and called again, exactly one version is registered.

    Args:
        fh: Hours that the model shall forecast.
        feature_view_version: As ``feature_view.create`` returned it; default that of the training dataset.
        training_dataset_version: As ``feature_view.create`` returned it; default the one that the DAG run
            created, or else the one created last.
        reference_datetime: Searches and decisions of later reference times do not count; default that for which the
            training dataset was created.
        retrain: When to train: ``every_run``, ``every N hours`` or ``on_alarm``; otherwise the newest model of the
            champion's recipe is returned; None or an empty text means ``settings.retrain``.
        dag_run_id: The orchestrator's name of the run, kept with the model version by the run that trains it first;
            default that of the task, if Airflow runs this.
        forecast_from: ``last_observation``: the first hour to forecast follows the training window;
            ``reference_time``: it is the reference time, however late the observations are.
        settings: Where things are; default from the environment.

    Returns:
        Plain JSON: the model version, its measures beside those of the seasonal naive forecast, its configuration and
        where that comes from, the champion and what was decided about its challenger, whether and why a model was
        trained, and the versions that made it.

    Raises:
        InvalidArgument: If an argument cannot be read, or the training dataset is not of the feature view.
        NotFoundError: If a version does not exist.
        StorageError: If the feature store or the model's files cannot be read or written now.
        TrackingError: If the tracking database cannot be used now.
    """
    settings, dag_run = settings or Settings(), this_dag_run(dag_run_id)
    run = resolve_training_run(
        settings,
        fh=fh,
        feature_view_version=feature_view_version,
        training_dataset_version=training_dataset_version,
        reference_datetime=reference_datetime,
        forecast_from=forecast_from,
        dag_run=dag_run,
    )
    policy = retraining.policy(retrain or settings.retrain)
    verdict = champion.decide(settings, run)
    logger.info("configuration: %s; %s", verdict.choice.source, verdict.facts["reason"])
    run = retraining.cut(settings, run, policy)
    fingerprint = _fingerprint(run, verdict)
    with tracking.lock(settings, f"train-{fingerprint[:16]}", wait=_SAME_TRAINING_WAIT) as held:
        registered = tracking.find_model_versions(settings, {"fingerprint": fingerprint})
        model = registered[0] if registered else _register(settings, run, verdict, fingerprint, dag_run, held)
    _log(settings, run, model, dag_run)
    tracking.follow_champion(settings, feature_view_version=run.view.version, fh=run.fh)
    # By whom the model was made, and not whether this call made it: a run that is repeated answers the same.
    trained = model.tags["reference_datetime"] == run.reference_datetime.strftime(DATETIME_FORMAT)
    reason = retraining.reason(run, policy, trained=trained, version=model.version)
    logger.info("model version %d: %s", model.version, reason)
    return _report(model, verdict, Training(policy=policy.text, trained=trained, reason=reason))


def _log(settings: Settings, run: TrainingRun, model: ModelVersion, dag_run: DagRun | None) -> None:
    entry = step_log.Entry(
        made="model",
        dataset=run.dataset,
        version=model.version,
        feature_view_version=run.view.version,
        reference_datetime=run.reference_datetime,
        window=run.window,
    )
    step_log.write(settings, entry, dag_run=dag_run)


def _fingerprint(run: TrainingRun, verdict: Verdict) -> str:
    identity = {**data.identity(run, entry_module=__name__), "config": verdict.choice.config.to_dict()}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _register(
    settings: Settings, run: TrainingRun, verdict: Verdict, fingerprint: str, dag_run: DagRun | None, held: Held
) -> ModelVersion:
    """Register the finished run of this training, after training if there is none; nothing is visible before that."""
    wanted = {"fingerprint": fingerprint, "artifact": "model"}
    finished = [each for each in tracking.find_runs(settings, wanted) if each.status == "FINISHED"]
    run_id = finished[-1].run_id if finished else _train(settings, run, verdict, wanted, dag_run)
    [trained] = [each for each in tracking.find_runs(settings, wanted) if each.run_id == run_id]
    tags = {name: value for name, value in trained.tags.items() if not name.startswith("mlflow.")}
    source = f"{trained.artifact_uri.rstrip('/')}/{_FOLDER}"
    held.check()
    version = tracking.register_model(settings, run_id=run_id, source=source, tags=tags)
    logger.info("registered model version %d", version)
    return tracking.model_version(settings, version)


def _train(
    settings: Settings, run: TrainingRun, verdict: Verdict, wanted: dict[str, str], dag_run: DagRun | None
) -> str:
    """Evaluate, fit on everything and keep the files in an MLflow run, which is finished last."""
    history, choice = data.load(run, settings), verdict.choice
    with tracking.loading():
        evaluation, fitted = load_forecaster.evaluate_and_fit(
            history,
            end=run.window.end,
            fh=run.fh,
            gap=run.gap,
            config=choice.config,
            threads=settings.threads,
            origins=ORIGINS,
        )
    _log_skill(evaluation.metrics)
    run_id = tracking.start_run(settings, name=f"train {run.training_dataset.version}", tags=wanted)
    with tempfile.TemporaryDirectory() as folder:
        load_forecaster.save(fitted, Path(folder))
        files = of_files(Path(folder))
        tracking.log_files(settings, run_id, Path(folder), folder=_FOLDER)
    made = made_by("training_pipeline.train", dag_run=dag_run)
    tags = {
        **_provenance(run, verdict, evaluation.metrics),
        "files": json.dumps(files),
        "made_by": json.dumps(made, sort_keys=True),
    }
    tracking.finish_run(
        settings,
        run_id,
        reference_datetime=run.reference_datetime,
        params=choice.config.to_dict(),
        metrics=evaluation.metrics,
        tags=tags,
    )
    return run_id


def _log_skill(measures: Measures) -> None:
    if measures["wape"] is None or measures["naive_wape"] is None:
        logger.warning("the training window is too short to compare the model with the seasonal naive forecast")
        return
    logger.info("WAPE %.4f, seasonal naive %.4f", measures["wape"], measures["naive_wape"])


def _provenance(run: TrainingRun, verdict: Verdict, measures: Measures) -> dict[str, str]:
    return {
        "feature_view_version": str(run.view.version),
        "training_dataset_version": str(run.training_dataset.version),
        "content_hash": run.training_dataset.content_hash,
        "window_start": run.window.start.strftime(DATETIME_FORMAT),
        "window_end": run.window.end.strftime(DATETIME_FORMAT),
        "reference_datetime": run.reference_datetime.strftime(DATETIME_FORMAT),
        "fh": str(run.fh),
        "gap": str(run.gap),
        "origins": str(ORIGINS),
        "config": verdict.choice.config_text(),
        "config_source": verdict.choice.source,
        "champion": json.dumps(verdict.facts, sort_keys=True),
        "code_version": data.code_version(),
        "metrics": json.dumps(measures, sort_keys=True),
    }


def _report(model: ModelVersion, verdict: Verdict, training: Training) -> TrainingResult:
    """Return a version's facts as they were registered, and why this call came to it.

    A search may end at the default: the version is then the one that was trained before it.
    """
    tags = model.tags
    return TrainingResult(
        model_version=model.version,
        metrics=json.loads(tags["metrics"]),
        config_source=verdict.choice.source,
        config=json.loads(tags["config"]),
        champion=verdict.facts,
        training=training,
        fh=int(tags["fh"]),
        feature_view_version=int(tags["feature_view_version"]),
        training_dataset_version=int(tags["training_dataset_version"]),
        content_hash=tags["content_hash"],
        code_version=tags["code_version"],
        run_id=model.run_id,
    )


if __name__ == "__main__":
    # By name: a command line computes no result, so its content is no part of the code of one (provenance).
    sys.exit(import_module("training_pipeline.__main__").main(step="train"))
