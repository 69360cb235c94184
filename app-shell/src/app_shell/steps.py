"""The steps of a run: what the tasks of the DAG ``ml_pipeline`` call, with the same arguments; a test compares the two.

A pipeline is imported when its step begins, so that the command starts at once.
"""

from datetime import datetime
from typing import Any

from forecast_core.contracts.settings import Settings

Result = dict[str, Any]
"""Plain JSON, as every step returns it."""


def run_feature_pipeline(
    export_end_reference_datetime: datetime,
    days_delay: int,
    days_export: int,
    url: str,
    feature_group_version: int,
    settings: Settings,
) -> Result:
    """Bring the window of observations into the feature store."""
    from feature_pipeline import pipeline

    return pipeline.run(
        export_end_reference_datetime=export_end_reference_datetime,
        days_delay=days_delay,
        days_export=days_export,
        url=url,
        feature_group_version=feature_group_version,
        settings=settings,
    )


def create_feature_view(features: Result, settings: Settings) -> Result:
    """Give the window a training dataset, and say whether an alarm asks for tuning."""
    from feature_pipeline import feature_view
    from forecast_core.alarms import tuning_is_due

    view = feature_view.create(
        feature_group_version=features["feature_group_version"],
        start_datetime=features["export_datetime_utc_start"],
        end_datetime=features["export_datetime_utc_end"],
        dataset=features["dataset"],
        reference_datetime=features["reference_datetime"],
        settings=settings,
    )
    due = tuning_is_due(
        settings,
        feature_view_version=view["feature_view_version"],
        reference_datetime=features["reference_datetime"],
    )
    return {**view, "tuning_is_due": due}


def run_hyperparameter_tuning(view: Result, forecast_from: str, settings: Settings) -> Result:
    """Search a better configuration on the training dataset."""
    from training_pipeline import hyperparameter_tuning

    return hyperparameter_tuning.run(
        fh=24,
        feature_view_version=view["feature_view_version"],
        training_dataset_version=view["training_dataset_version"],
        reference_datetime=view["reference_datetime"],
        forecast_from=forecast_from,
        settings=settings,
    )


def upload_best_config(tuning: Result, settings: Settings) -> Result:
    """Keep the best configuration of the search."""
    from training_pipeline import best_config

    return best_config.upload(sweep_id=tuning["sweep_id"], settings=settings)


def train_from_best_config(view: Result, forecast_from: str, retrain: str | None, settings: Settings) -> Result:
    """Train and register a model version."""
    from training_pipeline import train

    return train.from_best_config(
        fh=24,
        feature_view_version=view["feature_view_version"],
        training_dataset_version=view["training_dataset_version"],
        reference_datetime=view["reference_datetime"],
        forecast_from=forecast_from,
        retrain=retrain or None,
        settings=settings,
    )


def compute_monitoring(features: Result, view: Result, settings: Settings) -> Result:
    """Score the forecasts of the last week against what came."""
    from batch_prediction_pipeline import monitoring

    return monitoring.compute(
        feature_view_version=view["feature_view_version"],
        reference_datetime=features["reference_datetime"],
        settings=settings,
    )


def batch_predict(features: Result, view: Result, model: Result, forecast_from: str, settings: Settings) -> Result:
    """Forecast every series and archive the forecasts."""
    from batch_prediction_pipeline import batch

    return batch.predict(
        fh=24,
        feature_view_version=view["feature_view_version"],
        model_version=model["model_version"],
        start_datetime=features["export_datetime_utc_start"],
        end_datetime=features["export_datetime_utc_end"],
        reference_datetime=features["reference_datetime"],
        forecast_from=forecast_from,
        settings=settings,
    )
