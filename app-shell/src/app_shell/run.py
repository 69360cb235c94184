"""One run of the seven steps without an orchestrator: in the DAG's order, each given the versions of those before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from app_shell import steps
from app_shell.steps import Result
from forecast_core.contracts.settings import Settings


@dataclass(frozen=True)
class Request:
    """What a run is asked for; the DAG takes the same from its Variables and its logical date."""

    reference: datetime
    days_delay: int
    days_export: int
    url: str
    feature_group_version: int
    forecast_from: str
    retrain: str | None
    tune: bool
    alarms_tune: bool
    """Whether an alarm has it tune, too: an alarm is about now, so not in a run of a past hour."""


def run(request: Request, settings: Settings, step: Callable[[str], Any]) -> dict[str, Result]:
    """Run the steps; return the result of each by the name of its task in the DAG.

    Args:
        request: What to run.
        settings: Where things are.
        step: Gives a context in which a step of that name runs.
    """
    with step("run_feature_pipeline"):
        features = steps.run_feature_pipeline(
            request.reference,
            request.days_delay,
            request.days_export,
            request.url,
            request.feature_group_version,
            settings,
        )
    with step("create_feature_view"):
        view = steps.create_feature_view(features, settings)
    tuned: dict[str, Result] = {}
    if request.tune or (request.alarms_tune and view["tuning_is_due"]):
        with step("run_hyperparameter_tuning"):
            tuned["run_hyperparameter_tuning"] = steps.run_hyperparameter_tuning(view, request.forecast_from, settings)
        with step("upload_best_config"):
            tuned["upload_best_config"] = steps.upload_best_config(tuned["run_hyperparameter_tuning"], settings)
    with step("train_from_best_config"):
        model = steps.train_from_best_config(view, request.forecast_from, request.retrain, settings)
    with step("compute_monitoring"):
        monitoring = steps.compute_monitoring(features, view, settings)
    with step("batch_predict"):
        forecasts = steps.batch_predict(features, view, model, request.forecast_from, settings)
    return {
        "run_feature_pipeline": features,
        "create_feature_view": view,
        **tuned,
        "train_from_best_config": model,
        "compute_monitoring": monitoring,
        "batch_predict": forecasts,
    }


def progress() -> Callable[[str], Any]:
    """Return a context for steps that shows on stderr which one runs, and a line with its seconds when it is done."""
    console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begun = perf_counter()
        with console.status(name):
            yield
        console.print(f"  {perf_counter() - begun:6.1f} s  {name}")

    return step


def summary(results: dict[str, Result]) -> Group:
    """Return what came of a run: ingest, model and its skill, forecasts."""
    features, view, model, forecasts = (
        results[name]
        for name in ("run_feature_pipeline", "create_feature_view", "train_from_best_config", "batch_predict")
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("Ingested", _ingested(features))
    for warning in features["warnings"]:
        facts.add_row("", Text(f"note: {warning}", style="dim"))
    facts.add_row("Model", _model(view, model))
    facts.add_row("Monitored", _monitored(results["compute_monitoring"]))
    quality = ", ".join(f"{count:,} {name}" for name, count in forecasts["quality"].items())
    hours = f"{forecasts['first_hour']} to {forecasts['last_hour']} UTC"
    facts.add_row("Forecasts", f"{forecasts['rows']:,} of {forecasts['series']} series ({quality}), {hours}")
    first = forecasts["sample"][0]
    facts.add_row("Look at one", f"energy forecast {first['area']} {first['consumer_type']}")
    return Group("", facts)


def _ingested(features: Result) -> str:
    window = f"{features['export_datetime_utc_start']} to {features['export_datetime_utc_end']} UTC"
    counts = f"{features['new']:,} new, {features['revised']:,} revised, {features['missing_hours']:,} missing"
    return (
        f"{features['rows']:,} hourly values of {features['series']} series from {features['url']}, {window}: {counts}"
    )


def _model(view: Result, model: Result) -> str:
    trained_on = f"training dataset {view['training_dataset_version']} of feature view {view['feature_view_version']}"
    facts = f"version {model['model_version']} on {trained_on}, configuration: {model['config_source']}"
    metrics = model["metrics"]
    if metrics["wape"] is None:
        return f"{facts}; the history is too short to compare it with the seasonal naive forecast"
    return f"{facts}; WAPE {metrics['wape']:.4f}, seasonal naive {metrics['naive_wape']:.4f}"


def _monitored(monitoring: Result) -> str:
    if not monitoring["scored"]:
        return str(monitoring["note"])
    return f"{monitoring['scored']:,} forecast hours against what was observed since"
