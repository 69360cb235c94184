"""What the DAGs share: tasks that run in an environment of the deployed wheels, and when those are tried again.

The DAG folder is on Airflow's path, so a DAG file imports this; only a task's own function is shipped to the other
environment, and it uses nothing from here. ``.airflowignore`` keeps this file from being read as a DAG.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Context, RetryDecision, RetryPolicy, task

ROOT = Path(os.environ.get("ML_PIPELINE_ROOT_DIR", ".energy")).absolute()

# What the pipelines say at the end of an error that running again cannot mend (load_forecaster.errors.InputError).
NOT_WORTH_A_RETRY = "running again will not help]"


class RetryUnlessInputIsWrong(RetryPolicy):
    """Fail at once on bad input; leave every other failure to the task's own retries."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by what the pipeline said of its error; its type does not leave the task's environment."""
        if NOT_WORTH_A_RETRY in str(exception):
            return RetryDecision.fail(reason="the input is wrong")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """There is nothing to keep."""
        return {}


def pipeline_task(distribution: str, function: Callable[..., Any], *, limit: timedelta, **options: Any) -> Any:
    """Make ``function`` a task that runs in the environment of ``distribution`` at the deployed version.

    Called as a function, not as a decorator: Airflow ships the function's source to the other environment and strips
    only its own decorators from it.
    """
    decorate = task.virtualenv(
        requirements=[f"{distribution}=={{{{ var.value.ml_pipeline_version }}}}"],
        # Every other package as locked. The lock's digest is the Variable python_virtualenv_operator_cache_key, so that
        # an environment is made anew when the version or the lock changes.
        pip_install_options=["--constraint", str(ROOT / "deployed" / "constraints.txt")],
        venv_cache_path=ROOT / "task-environments",
        system_site_packages=False,
        expect_airflow=False,
        execution_timeout=limit,
        **options,
    )
    return decorate(function)


RETRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RetryUnlessInputIsWrong(),
}
"""Default arguments of every DAG."""
