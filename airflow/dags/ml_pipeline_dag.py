"""The hourly machine-learning pipeline: features, view, optional tuning, training, monitoring, forecasts.

Every pipeline task runs in an environment of its own, made once per deployed version from the private package index
and kept. Nothing of a pipeline is imported here, and Variables are read when a task runs, not when this file is parsed.
"""

import logging
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Context, Label, TriggerRule, dag, task

from pipeline_alarms import tell
from pipeline_tasks import RETRIES, pipeline_task


def report_failure(context: Context) -> None:
    """Log which window and versions were at hand when a task failed for good, and tell it, once for runs in a row."""
    instance = context["ti"]
    upstream = ["run_feature_pipeline", "create_feature_view", "run_hyperparameter_tuning", "train_from_best_config"]
    at_hand = {name: value for name in upstream if (value := instance.xcom_pull(task_ids=name))}
    facts = {key: value for result in at_hand.values() for key, value in result.items() if key != "sample"}
    reference = context["dag_run"].logical_date or context["dag_run"].run_after
    logging.getLogger(__name__).error(
        "%s failed at reference %s: %s. At hand: %s",
        instance.task_id,
        reference,
        context.get("exception"),
        ", ".join(f"{key}={value}" for key, value in facts.items()) or "nothing, it is the first task",
    )
    before = instance.get_previous_dagrun()
    if before is None or before.state != "failed":
        error = str(context.get("exception")).strip().splitlines()
        tell(
            [f"alarm: {instance.task_id} of ml_pipeline failed at reference {reference}: {error[-1] if error else ''}"]
        )


def _run_feature_pipeline(
    export_end_reference_datetime: str,
    days_delay: str,
    days_export: str,
    url: str,
    feature_group_version: str,
    dag_run_id: str,
) -> dict:
    from feature_pipeline import pipeline

    return pipeline.run(
        export_end_reference_datetime=export_end_reference_datetime,
        days_delay=days_delay,
        days_export=days_export,
        url=url,
        feature_group_version=feature_group_version,
        dag_run_id=dag_run_id,
    )


def _create_feature_view(features: dict) -> dict:
    from feature_pipeline import feature_view
    from forecast_core.alarms import tuning_is_due
    from forecast_core.contracts.settings import Settings

    view = feature_view.create(
        feature_group_version=features["feature_group_version"],
        start_datetime=features["export_datetime_utc_start"],
        end_datetime=features["export_datetime_utc_end"],
        dataset=features["dataset"],
        reference_datetime=features["reference_datetime"],
    )
    # What the branch after this task decides by, beside the Variable; Airflow itself does not read the tables.
    due = tuning_is_due(
        Settings(),
        feature_view_version=view["feature_view_version"],
        reference_datetime=features["reference_datetime"],
    )
    return {**view, "tuning_is_due": due}


def _run_hyperparameter_tuning(view: dict, forecast_from: str) -> dict:
    from training_pipeline import hyperparameter_tuning

    return hyperparameter_tuning.run(
        fh=24,
        feature_view_version=view["feature_view_version"],
        training_dataset_version=view["training_dataset_version"],
        reference_datetime=view["reference_datetime"],
        forecast_from=forecast_from,
    )


def _upload_best_config(tuning: dict) -> dict:
    from training_pipeline import best_config

    return best_config.upload(sweep_id=tuning["sweep_id"])


def _train_from_best_config(view: dict, forecast_from: str, retrain: str, dag_run_id: str) -> dict:
    from training_pipeline import train

    return train.from_best_config(
        fh=24,
        feature_view_version=view["feature_view_version"],
        training_dataset_version=view["training_dataset_version"],
        reference_datetime=view["reference_datetime"],
        forecast_from=forecast_from,
        retrain=retrain or None,
        dag_run_id=dag_run_id,
    )


def _compute_monitoring(features: dict, view: dict) -> dict:
    from batch_prediction_pipeline import monitoring

    return monitoring.compute(
        feature_view_version=view["feature_view_version"],
        reference_datetime=features["reference_datetime"],
    )


def _batch_predict(features: dict, view: dict, model: dict, forecast_from: str, dag_run_id: str) -> dict:
    from batch_prediction_pipeline import batch

    return batch.predict(
        fh=24,
        feature_view_version=view["feature_view_version"],
        model_version=model["model_version"],
        start_datetime=features["export_datetime_utc_start"],
        end_datetime=features["export_datetime_utc_end"],
        reference_datetime=features["reference_datetime"],
        forecast_from=forecast_from,
        dag_run_id=dag_run_id,
    )


@dag(
    dag_id="ml_pipeline",
    schedule="@hourly",
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["feature-engineering", "model-training", "batch-prediction"],
    doc_md=__doc__,
    default_args={**RETRIES, "on_failure_callback": report_failure},
)
def ml_pipeline() -> None:
    """Wire the tasks; DESIGN: features >> view >> (tuning or not) >> training >> monitoring >> forecasts."""
    minutes = {count: timedelta(minutes=count) for count in (10, 15, 30, 120)}
    run_feature_pipeline = pipeline_task(
        "feature-pipeline", _run_feature_pipeline, task_id="run_feature_pipeline", limit=minutes[30]
    )
    create_feature_view = pipeline_task(
        "feature-pipeline", _create_feature_view, task_id="create_feature_view", limit=minutes[15]
    )
    run_hyperparameter_tuning = pipeline_task(
        "training-pipeline", _run_hyperparameter_tuning, task_id="run_hyperparameter_tuning", limit=minutes[120]
    )
    upload_best_config = pipeline_task(
        "training-pipeline", _upload_best_config, task_id="upload_best_config", limit=minutes[10]
    )
    train_from_best_config = pipeline_task(
        "training-pipeline",
        _train_from_best_config,
        task_id="train_from_best_config",
        limit=minutes[30],
        # A skipped tuning lets training run; a failed one does not.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    compute_monitoring = pipeline_task(
        "batch-prediction-pipeline", _compute_monitoring, task_id="compute_monitoring", limit=minutes[15]
    )
    batch_predict = pipeline_task(
        "batch-prediction-pipeline", _batch_predict, task_id="batch_predict", limit=minutes[15]
    )

    @task.branch(task_id="if_run_hyperparameter_tuning_branching")
    def branch(should_run: str, run_type: str, view: dict) -> str:
        asked = should_run.strip().lower() in {"true", "1", "yes"}
        # An alarm is about now. In a backfill it would depend on the order of the runs, and so would the forecasts.
        alarmed = view.get("tuning_is_due") and run_type != "backfill"
        wanted = asked or bool(alarmed)
        logging.getLogger(__name__).info("asked for by the Variable: %s, by an alarm: %s", asked, alarmed)
        return "branch_run_hyperparameter_tuning" if wanted else "branch_skip_hyperparameter_tuning"

    # Recorded beside what a task makes, so that one finds the run from a forecast.
    dag_run_id = "{{ run_id }}"
    features = run_feature_pipeline(
        # A run triggered without a logical date takes the moment it was allowed to start; both are UTC.
        export_end_reference_datetime="{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d %H:%M') }}",
        days_delay="{{ var.value.get('ml_pipeline_days_delay', '15') }}",
        days_export="{{ var.value.get('ml_pipeline_days_export', '30') }}",
        url="{{ var.value.get('ml_pipeline_url', 'demo://denmark') }}",
        feature_group_version="{{ var.value.get('ml_pipeline_feature_group_version', '1') }}",
        dag_run_id=dag_run_id,
    )
    view = create_feature_view(features)
    decision = branch(
        "{{ var.value.get('ml_pipeline_should_run_hyperparameter_tuning', 'False') }}", "{{ dag_run.run_type }}", view
    )
    run_branch = EmptyOperator(task_id="branch_run_hyperparameter_tuning")
    skip_branch = EmptyOperator(task_id="branch_skip_hyperparameter_tuning")
    forecast_from = "{{ var.value.get('ml_pipeline_forecast_from', 'last_observation') }}"
    tuning = run_hyperparameter_tuning(view, forecast_from)
    uploaded = upload_best_config(tuning)
    # Without the Variable, the setting ML_PIPELINE_RETRAIN holds.
    retrain = "{{ var.value.get('ml_pipeline_retrain', '') }}"
    model = train_from_best_config(view, forecast_from, retrain=retrain, dag_run_id=dag_run_id)
    metrics = compute_monitoring(features, view)
    forecasts = batch_predict(features, view, model, forecast_from, dag_run_id=dag_run_id)

    decision >> Label("Run HPO") >> run_branch >> tuning >> uploaded >> model
    decision >> Label("Skip HPO") >> skip_branch >> model
    model >> metrics >> forecasts


ml_pipeline()
