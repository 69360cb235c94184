"""A DAG with the structure of the course's: its tasks, arguments, Variables and order, and what it needs to run here.

Three things differ: ``python_version``, the requirements (no lines with an index) and the default of the url. The
imports are those of Airflow 2, which Airflow 3 still knows. docs/from-the-course.md explains each change.

Every task installs the newest wheel into an environment of its own. ``feature_view.create`` is called with the feature
group alone, and no task passes a reference time on.
"""

from datetime import datetime

from airflow.decorators import dag, task
from airflow.models import Variable
from airflow.operators.empty import EmptyOperator
from airflow.utils.edgemodifier import Label
from airflow.utils.trigger_rule import TriggerRule


@dag(
    dag_id="course",
    schedule="@hourly",
    start_date=datetime(2023, 4, 14),
    catchup=False,
    tags=["feature-engineering", "model-training", "batch-prediction"],
    max_active_runs=1,
)
def course():
    @task.virtualenv(
        task_id="run_feature_pipeline",
        requirements=["feature_pipeline"],
        python_version="3.11",
        multiple_outputs=True,
        system_site_packages=True,
    )
    def run_feature_pipeline(
        export_end_reference_datetime: str,
        days_delay: int,
        days_export: int,
        url: str,
        feature_group_version: int,
    ) -> dict:
        from datetime import datetime

        from feature_pipeline import pipeline, utils

        logger = utils.get_logger(__name__)
        try:
            reference = datetime.strptime(export_end_reference_datetime, "%Y-%m-%d %H:%M:%S.%f%z")
        except ValueError:
            reference = datetime.strptime(export_end_reference_datetime, "%Y-%m-%d %H:%M:%S%z")
        reference = reference.replace(microsecond=0, tzinfo=None)
        logger.info(f"{reference=} {days_delay=} {days_export=} {url=} {feature_group_version=}")
        return pipeline.run(
            export_end_reference_datetime=reference,
            days_delay=days_delay,
            days_export=days_export,
            url=url,
            feature_group_version=feature_group_version,
        )

    @task.virtualenv(
        task_id="create_feature_view",
        requirements=["feature_pipeline"],
        python_version="3.11",
        multiple_outputs=True,
        system_site_packages=False,
    )
    def create_feature_view(feature_pipeline_metadata: dict) -> dict:
        from feature_pipeline import feature_view

        return feature_view.create(feature_group_version=feature_pipeline_metadata["feature_group_version"])

    @task.virtualenv(
        task_id="run_hyperparameter_tuning",
        requirements=["training_pipeline"],
        python_version="3.11",
        multiple_outputs=True,
        system_site_packages=False,
    )
    def run_hyperparameter_tuning(feature_view_metadata: dict) -> dict:
        from training_pipeline import hyperparameter_tuning

        return hyperparameter_tuning.run(
            feature_view_version=feature_view_metadata["feature_view_version"],
            training_dataset_version=feature_view_metadata["training_dataset_version"],
        )

    @task.virtualenv(
        task_id="upload_best_config",
        requirements=["training_pipeline"],
        python_version="3.11",
        multiple_outputs=False,
        system_site_packages=False,
    )
    def upload_best_config(last_sweep_metadata: dict):
        from training_pipeline import best_config

        best_config.upload(sweep_id=last_sweep_metadata["sweep_id"])

    @task.virtualenv(
        task_id="train_from_best_config",
        requirements=["training_pipeline"],
        python_version="3.11",
        multiple_outputs=True,
        system_site_packages=False,
        trigger_rule=TriggerRule.ALL_DONE,
    )
    def train_from_best_config(feature_view_metadata: dict) -> dict:
        from training_pipeline import train, utils

        if utils.check_if_artifact_exists("best_config") is False:
            raise RuntimeError("there is no best_config: tune once")
        return train.from_best_config(
            feature_view_version=feature_view_metadata["feature_view_version"],
            training_dataset_version=feature_view_metadata["training_dataset_version"],
        )

    @task.virtualenv(
        task_id="compute_monitoring",
        requirements=["batch_prediction_pipeline"],
        python_version="3.11",
        system_site_packages=False,
    )
    def compute_monitoring(feature_view_metadata: dict):
        from batch_prediction_pipeline import monitoring

        monitoring.compute(feature_view_version=feature_view_metadata["feature_view_version"])

    @task.virtualenv(
        task_id="batch_predict",
        requirements=["batch_prediction_pipeline"],
        python_version="3.11",
        system_site_packages=False,
    )
    def batch_predict(feature_view_metadata: dict, train_metadata: dict, feature_pipeline_metadata: dict, fh: int = 24):
        from datetime import datetime

        from batch_prediction_pipeline import batch

        datetime_format = feature_pipeline_metadata["datetime_format"]
        batch.predict(
            fh=fh,
            feature_view_version=feature_view_metadata["feature_view_version"],
            model_version=train_metadata["model_version"],
            start_datetime=datetime.strptime(feature_pipeline_metadata["export_datetime_utc_start"], datetime_format),
            end_datetime=datetime.strptime(feature_pipeline_metadata["export_datetime_utc_end"], datetime_format),
        )

    @task.branch(task_id="if_run_hyperparameter_tuning_branching")
    def if_run_hyperparameter_tuning_branching(run_hyperparameter_tuning: bool) -> list[str]:
        branch = (
            "branch_run_hyperparameter_tuning" if run_hyperparameter_tuning else "branch_skip_hyperparameter_tuning"
        )
        return [branch]

    branch_run = EmptyOperator(task_id="branch_run_hyperparameter_tuning")
    branch_skip = EmptyOperator(task_id="branch_skip_hyperparameter_tuning")

    days_delay = int(Variable.get("ml_pipeline_days_delay", default_var=15))
    days_export = int(Variable.get("ml_pipeline_days_export", default_var=30))
    url = Variable.get("ml_pipeline_url", default_var="demo://denmark")
    feature_group_version = int(Variable.get("ml_pipeline_feature_group_version", default_var=1))
    should_tune = Variable.get("ml_pipeline_should_run_hyperparameter_tuning", default_var="False") == "True"

    feature_pipeline_metadata = run_feature_pipeline(
        export_end_reference_datetime="{{ dag_run.logical_date }}",
        days_delay=days_delay,
        days_export=days_export,
        url=url,
        feature_group_version=feature_group_version,
    )
    feature_view_metadata = create_feature_view(feature_pipeline_metadata)
    branching = if_run_hyperparameter_tuning_branching(should_tune)
    last_sweep_metadata = run_hyperparameter_tuning(feature_view_metadata)
    uploaded = upload_best_config(last_sweep_metadata)
    train_metadata = train_from_best_config(feature_view_metadata)
    monitored = compute_monitoring(feature_view_metadata)
    predicted = batch_predict(feature_view_metadata, train_metadata, feature_pipeline_metadata)

    (
        feature_view_metadata
        >> branching
        >> [
            branching >> Label("Run HPO") >> branch_run >> last_sweep_metadata >> uploaded,
            branching >> Label("Skip HPO") >> branch_skip,
        ]
        >> train_metadata
        >> monitored
        >> predicted
    )


course()
