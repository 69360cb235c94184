"""The steps of a run: which function of which wheel each calls, with which arguments, and in which order.

The DAG ``ml_pipeline`` and the command ``energy run`` both read this module. It is data, and the function that calls
what the data name. It imports the standard library only, because Airflow's environment has none of our wheels: the file
is part of the command's wheel, and ``airflow/dags`` has a link to it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple


class Constant(NamedTuple):
    """An argument that is the same in every run."""

    value: int


class Variable(NamedTuple):
    """An argument that people set: the Airflow Variable ``ml_pipeline_NAME``, or an option of ``energy run``."""

    name: str


class Run(NamedTuple):
    """A fact about the run.

    ``reference_datetime``: its hour in UTC. ``kind``: ``backfill`` for a past hour, else ``manual`` or ``scheduled``.
    ``id``: the orchestrator's name of the run, which is recorded beside what the run makes.
    """

    fact: Literal["reference_datetime", "kind", "id"]


class Result(NamedTuple):
    """The value that an earlier step returned under a key."""

    step: str
    key: str


Source = Constant | Variable | Run | Result


class Step(NamedTuple):
    """One step, which is one task of the DAG.

    ``distribution`` is the wheel that its environment has, with all that it needs. ``function`` is ``module:name``.
    A step that runs longer than ``minutes`` is ended. ``tunes``: the step is left out unless ``TUNE`` is true.
    """

    name: str
    distribution: str
    function: str
    minutes: int
    arguments: Mapping[str, Source]
    tunes: bool = False


VARIABLES: Final[Mapping[str, str]] = {
    "days_delay": "15",
    "days_export": "30",
    "url": "demo://denmark",
    "feature_group_version": "1",
    "should_run_hyperparameter_tuning": "False",
    "forecast_from": "last_observation",
    # Empty: the setting ML_PIPELINE_RETRAIN.
    "retrain": "",
}
"""The Variables and their defaults."""

_FEATURES: Final = "run_feature_pipeline"
_VIEW: Final = "create_feature_view"
_TUNING: Final = "run_hyperparameter_tuning"
_TRAINING: Final = "train_from_best_config"

TUNE: Final = Result(_VIEW, "tune")
"""Whether the run tunes: ``feature_view.create`` decides it."""

STEPS: Final = (
    Step(
        _FEATURES,
        "feature-pipeline",
        "feature_pipeline.pipeline:run",
        minutes=30,
        arguments={
            "export_end_reference_datetime": Run("reference_datetime"),
            "days_delay": Variable("days_delay"),
            "days_export": Variable("days_export"),
            "url": Variable("url"),
            "feature_group_version": Variable("feature_group_version"),
            "dag_run_id": Run("id"),
        },
    ),
    Step(
        _VIEW,
        "feature-pipeline",
        "feature_pipeline.feature_view:create",
        minutes=15,
        arguments={
            "feature_group_version": Result(_FEATURES, "feature_group_version"),
            "start_datetime": Result(_FEATURES, "export_datetime_utc_start"),
            "end_datetime": Result(_FEATURES, "export_datetime_utc_end"),
            "dataset": Result(_FEATURES, "dataset"),
            "reference_datetime": Result(_FEATURES, "reference_datetime"),
            "tune": Variable("should_run_hyperparameter_tuning"),
            "run_kind": Run("kind"),
        },
    ),
    Step(
        _TUNING,
        "training-pipeline",
        "training_pipeline.hyperparameter_tuning:run",
        minutes=120,
        arguments={
            "fh": Constant(24),
            "feature_view_version": Result(_VIEW, "feature_view_version"),
            "training_dataset_version": Result(_VIEW, "training_dataset_version"),
            "reference_datetime": Result(_VIEW, "reference_datetime"),
            "forecast_from": Variable("forecast_from"),
        },
        tunes=True,
    ),
    Step(
        "upload_best_config",
        "training-pipeline",
        "training_pipeline.best_config:upload",
        minutes=10,
        arguments={"sweep_id": Result(_TUNING, "sweep_id")},
        tunes=True,
    ),
    Step(
        _TRAINING,
        "training-pipeline",
        "training_pipeline.train:from_best_config",
        minutes=30,
        arguments={
            "fh": Constant(24),
            "feature_view_version": Result(_VIEW, "feature_view_version"),
            "training_dataset_version": Result(_VIEW, "training_dataset_version"),
            "reference_datetime": Result(_VIEW, "reference_datetime"),
            "forecast_from": Variable("forecast_from"),
            "retrain": Variable("retrain"),
            "dag_run_id": Run("id"),
        },
    ),
    Step(
        "compute_monitoring",
        "batch-prediction-pipeline",
        "batch_prediction_pipeline.monitoring:compute",
        minutes=15,
        arguments={
            "feature_view_version": Result(_VIEW, "feature_view_version"),
            "reference_datetime": Result(_FEATURES, "reference_datetime"),
        },
    ),
    Step(
        "batch_predict",
        "batch-prediction-pipeline",
        "batch_prediction_pipeline.batch:predict",
        minutes=15,
        arguments={
            "fh": Constant(24),
            "feature_view_version": Result(_VIEW, "feature_view_version"),
            "model_version": Result(_TRAINING, "model_version"),
            "start_datetime": Result(_FEATURES, "export_datetime_utc_start"),
            "end_datetime": Result(_FEATURES, "export_datetime_utc_end"),
            "reference_datetime": Result(_FEATURES, "reference_datetime"),
            "forecast_from": Variable("forecast_from"),
            "dag_run_id": Run("id"),
        },
    ),
)
"""The steps in their order."""


def call(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call ``module:name`` with keyword arguments and return its result.

    Airflow ships the source of this function to the environment of a task. It must not use anything outside itself.
    """
    import logging
    from importlib import import_module

    if not logging.getLogger().handlers:
        # In a task's process, whose output is the task's log, nobody has set logging up, and Python shows no INFO line.
        # Ours are shown; of libraries, warnings only.
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        for package in (function.split(".")[0], "forecast_core", "load_forecaster"):
            logging.getLogger(package).setLevel(logging.INFO)
    module, name = function.split(":")
    result: dict[str, Any] = getattr(import_module(module), name)(**arguments)
    return result
