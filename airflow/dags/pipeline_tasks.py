"""What the DAGs share: tasks that run in an environment of the deployed wheels, and when those are tried again.

The DAG folder is on Airflow's path, so a DAG file imports this; only the function ``call`` is shipped to the other
environment. ``.airflowignore`` keeps this file from being read as a DAG.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Context, RetryDecision, RetryPolicy, TriggerRule, task
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from ml_pipeline_steps import call

ROOT = Path(os.environ.get("ML_PIPELINE_ROOT_DIR", ".energy")).absolute()

RAISED_INSIDE = "Process returned non-zero exit status"
"""How Airflow's operator begins its error when a function raised one with a text; the text follows."""

MAY_HEAL = "may succeed if run again]"
"""How the text of a ``forecast_core.contracts.errors.TransientError`` ends."""


class RetryWhatMayHeal(RetryPolicy):
    """Retry what a task's function raised only if its text says that it may heal.

    Running again mends neither a bug nor wrong input. What fails outside the function, such as the installation of its
    environment, a killed process or a missing API server, is left to the task's own retries.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the text of the error; its type does not leave the task's environment."""
        if not _is_raised_inside(exception) or str(exception).rstrip().endswith(MAY_HEAL):
            return RetryDecision.default()
        return RetryDecision.fail(reason="running again will not help")

    def serialize(self) -> dict[str, Any]:
        """There is nothing to keep."""
        return {}


def _is_raised_inside(exception: BaseException) -> bool:
    """Tell whether the function of a virtualenv task raised an error, rather than anything around it."""
    if isinstance(exception, subprocess.CalledProcessError):
        # An error without a text, such as a bare `assert`, or one that is no `Exception`, such as a panic of polars.
        # A negative status is a signal, so the process was killed.
        is_function = any(Path(str(part)).name == "script.py" for part in exception.cmd[1:2])
        return is_function and exception.returncode > 0
    return str(exception).startswith(RAISED_INSIDE)


def pipeline_task(
    name: str,
    distribution: str,
    function: str,
    arguments: Mapping[str, object],
    *,
    limit: timedelta,
    rule: TriggerRule = TriggerRule.ALL_SUCCESS,
    before: Callable[[Context], None] | None = None,
) -> PlainXComArg:
    """Make a task that calls ``function`` in an environment of ``distribution`` at the deployed version.

    Args:
        name: The task's id.
        distribution: The wheel that the environment has, with all that it needs.
        function: ``module:name``.
        arguments: Keyword arguments of the function: plain values, templates, or results of other tasks.
        limit: A task that runs longer fails.
        rule: When the task runs, by the states of those before it.
        before: Called with the task's context before the function; what it raises fails the task.

    Returns:
        The result of the task.
    """
    decorate = task.virtualenv(
        task_id=name,
        requirements=[f"{distribution}=={{{{ var.value.ml_pipeline_version }}}}"],
        # Every other package as locked. The lock's digest is the Variable python_virtualenv_operator_cache_key, so that
        # an environment is made anew when the version or the lock changes.
        pip_install_options=["--constraint", str(ROOT / "deployed" / "constraints.txt")],
        venv_cache_path=str(ROOT / "task-environments"),
        system_site_packages=False,
        expect_airflow=False,
        execution_timeout=limit,
        trigger_rule=rule,
        pre_execute=before,
    )
    # Called as a function, not as a decorator: Airflow ships the function's source to the other environment and strips
    # only its own decorators from it.
    result = decorate(call)(function=function, arguments=dict(arguments))
    assert isinstance(result, PlainXComArg)  # noqa: S101 - what a decorated function gives
    return result


RETRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RetryWhatMayHeal(),
}
"""Default arguments of every DAG."""
