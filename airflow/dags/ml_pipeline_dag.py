"""The hourly machine-learning pipeline: features, view, optional tuning, training, monitoring, forecasts.

``ml_pipeline_steps.py`` says which function each task calls, and with which arguments. Every task runs in an
environment of its own, made once per deployed version from the private package index and kept. Nothing of a pipeline is
imported here. Variables are read when a task runs, not when this file is parsed. The ``conf`` of a triggered run takes
their place for that run: ``{"days_export": 60}`` instead of the Variable ``ml_pipeline_days_export``.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Context, Label, TriggerRule, chain, dag, task
from airflow.sdk.definitions.xcom_arg import PlainXComArg
from airflow.sdk.exceptions import AirflowFailException

from ml_pipeline_steps import STEPS, TUNE, VARIABLES, Constant, Result, Run, Source, Variable
from pipeline_alarms import tell
from pipeline_tasks import RETRIES, pipeline_task

RUN_TEMPLATES = {
    # A run triggered without a logical date takes the time at which it was allowed to start; both are UTC.
    "reference_datetime": "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d %H:%M') }}",
    "kind": "{{ dag_run.run_type }}",
    "id": "{{ run_id }}",
}
RUN_BRANCH, SKIP_BRANCH = "branch_run_hyperparameter_tuning", "branch_skip_hyperparameter_tuning"


def report_failure(context: Context) -> None:
    """Log which window and versions were at hand when a task failed for good, and send one alarm for runs in a row."""
    instance = context["ti"]
    sources = [source for step in STEPS for source in step.arguments.values()]
    upstream = dict.fromkeys(source.step for source in sources if isinstance(source, Result))
    at_hand = {name: value for name in upstream if (value := instance.xcom_pull(task_ids=name))}
    facts = {key: value for result in at_hand.values() for key, value in result.items() if key != "sample"}
    reference_datetime = context["dag_run"].logical_date or context["dag_run"].run_after
    logging.getLogger(__name__).error(
        "%s failed at reference %s: %s. At hand: %s",
        instance.task_id,
        reference_datetime,
        context.get("exception"),
        ", ".join(f"{key}={value}" for key, value in facts.items()) or "nothing, it is the first task",
    )
    before = instance.get_previous_dagrun()
    if before is None or before.state != "failed":
        error = str(context.get("exception")).strip().splitlines()
        reason = error[-1] if error else ""
        tell([f"alarm: {instance.task_id} of ml_pipeline failed at reference {reference_datetime}: {reason}"])


def refuse_unknown_conf(context: Context) -> None:
    """Fail a run whose ``conf`` has what no task reads: a key with a typing mistake must not be ignored in silence."""
    unknown = sorted(set(context["dag_run"].conf or {}) - set(VARIABLES))
    if unknown:
        raise AirflowFailException(
            f"conf of this run has {', '.join(map(repr, unknown))}, which ml_pipeline does not read; it reads "
            f"{', '.join(VARIABLES)}: trigger the run again"
        )


def argument(source: Source, results: dict[str, PlainXComArg]) -> Any:
    """Return what stands for an argument: a constant, a template, or a key of a result, which Airflow replaces."""
    match source:
        case Constant(value):
            return value
        case Variable(name):
            variable = f"var.value.get('ml_pipeline_{name}', '{VARIABLES[name]}')"
            return f"{{{{ (dag_run.conf or {{}}).get('{name}', {variable}) }}}}"
        case Run(fact):
            return RUN_TEMPLATES[fact]
        case Result(step, key):
            return results[step][key]


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
    """Make a task of each step; those that tune stand behind a branch."""
    first_tuning = next(place for place, step in enumerate(STEPS) if step.tunes)
    first_after = next(place for place, step in enumerate(STEPS) if place > first_tuning and not step.tunes)
    results: dict[str, PlainXComArg] = {}
    for place, step in enumerate(STEPS):
        results[step.name] = pipeline_task(
            step.name,
            step.distribution,
            step.function,
            {name: argument(source, results) for name, source in step.arguments.items()},
            limit=timedelta(minutes=step.minutes),
            # A skipped tuning lets the next step run; a failed one does not.
            rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS if place == first_after else TriggerRule.ALL_SUCCESS,
            before=refuse_unknown_conf if place == 0 else None,
        )

    @task.branch(task_id="if_run_hyperparameter_tuning_branching")
    def branch(tune: bool) -> str:
        return RUN_BRANCH if tune else SKIP_BRANCH

    tasks = list(results.values())
    decision = branch(argument(TUNE, results))
    run_branch, skip_branch = EmptyOperator(task_id=RUN_BRANCH), EmptyOperator(task_id=SKIP_BRANCH)
    chain(*tasks[:first_tuning], decision)
    chain(decision, Label("Run HPO"), run_branch, *tasks[first_tuning:])
    chain(decision, Label("Skip HPO"), skip_branch, tasks[first_after])


ml_pipeline()
