"""One run of the steps without an orchestrator: in the DAG's order, each given the versions of those before."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, cast

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from app_shell.ml_pipeline_steps import STEPS, TUNE, Constant, Result, Run, Source, Variable, call
from app_shell.progress import SECONDS_BETWEEN_LINES, logged
from forecast_core.contracts.settings import Settings

if TYPE_CHECKING:
    from batch_prediction_pipeline.batch import Predicted
    from batch_prediction_pipeline.monitoring.run import Monitored
    from feature_pipeline.feature_view import Created
    from feature_pipeline.pipeline import RunResult
    from forecast_core.tracking import SearchResult
    from training_pipeline.best_config import BestConfig
    from training_pipeline.train import TrainingResult


class Results(TypedDict):
    """The result of each step, by its name."""

    run_feature_pipeline: "RunResult"
    create_feature_view: "Created"
    run_hyperparameter_tuning: NotRequired["SearchResult"]
    upload_best_config: NotRequired["BestConfig"]
    train_from_best_config: "TrainingResult"
    compute_monitoring: "Monitored"
    batch_predict: "Predicted"


@dataclass(frozen=True)
class Request:
    """What a run is asked for; the DAG takes the same from its Variables and its logical date.

    ``variables`` has a value for each of ``ml_pipeline_steps.VARIABLES``.
    """

    reference_datetime: datetime
    kind: Literal["manual", "backfill"]
    variables: Mapping[str, str | int | bool]

    def argument(self, source: Source, results: Mapping[str, Mapping[str, Any]]) -> Any:
        """Return the value of an argument of a step, given the results of the steps before it."""
        match source:
            case Constant(value):
                return value
            case Variable(name):
                return self.variables[name]
            case Run(fact):
                return {"reference_datetime": self.reference_datetime, "kind": self.kind, "id": None}[fact]
            case Result(step, key):
                return results[step][key]


def run(request: Request, settings: Settings, progress: Callable[[str], AbstractContextManager[None]]) -> Results:
    """Run the steps; return the result of each.

    Args:
        request: What to run.
        settings: Where things are.
        progress: Returns a context in which the step of that name runs.
    """
    results: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        if step.tunes and not request.argument(TUNE, results):
            continue
        arguments = {name: request.argument(source, results) for name, source in step.arguments.items()}
        with progress(step.name):
            results[step.name] = call(step.function, {**arguments, "settings": settings})
    return cast("Results", results)


def progress() -> Callable[[str], AbstractContextManager[None]]:
    """Return a context for steps that shows on stderr which one runs, and a line with its seconds when it is done.

    While a step runs, a terminal shows what it logged last. Elsewhere that is a line, at most every ten seconds.
    """
    console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begun = perf_counter()
        with console.status(name) as status:

            def show(text: str) -> None:
                if console.is_terminal:
                    status.update(Text(f"{name}: {text}"))
                else:
                    console.print(Text(f"  … {text}"), soft_wrap=True)

            with logged(show, seconds=0 if console.is_terminal else SECONDS_BETWEEN_LINES):
                yield
        console.print(f"  {perf_counter() - begun:6.1f} s  {name}")

    return step


def summary(results: Results) -> Group:
    """Return what came of a run: ingest, model and its skill, forecasts."""
    features, forecasts = results["run_feature_pipeline"], results["batch_predict"]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("Ingested", _ingested(features))
    for warning in features["warnings"]:
        facts.add_row("", Text(f"note: {warning}", style="dim"))
    facts.add_row("Model", _model(results["create_feature_view"], results["train_from_best_config"]))
    facts.add_row("Monitored", _monitored(results["compute_monitoring"]))
    quality = ", ".join(f"{count:,} {name}" for name, count in forecasts["quality"].items())
    hours = f"{forecasts['first_hour']} to {forecasts['last_hour']} UTC"
    facts.add_row("Forecasts", f"{forecasts['rows']:,} of {forecasts['series']} series ({quality}), {hours}")
    first = forecasts["sample"][0]
    facts.add_row("Look at one", f"energy forecast {first['area']} {first['consumer_type']}")
    return Group("", facts)


def _ingested(features: "RunResult") -> str:
    window = f"{features['export_datetime_utc_start']} to {features['export_datetime_utc_end']} UTC"
    counts = f"{features['new']:,} new, {features['revised']:,} revised, {features['missing_hours']:,} missing"
    return (
        f"{features['rows']:,} hourly values of {features['series']} series from {features['url']}, {window}: {counts}"
    )


def _model(view: "Created", model: "TrainingResult") -> str:
    trained_on = f"training dataset {view['training_dataset_version']} of feature view {view['feature_view_version']}"
    facts = f"version {model['model_version']} on {trained_on}, configuration: {model['config_source']}"
    metrics = model["metrics"]
    if metrics["wape"] is None:
        return f"{facts}; the history is too short to compare it with the seasonal naive forecast"
    return f"{facts}; WAPE {metrics['wape']:.4f}, seasonal naive {metrics['naive_wape']:.4f}"


def _monitored(monitoring: "Monitored") -> str:
    if not monitoring["scored"]:
        return str(monitoring["note"])
    return f"{monitoring['scored']:,} forecast hours against what was observed since"
