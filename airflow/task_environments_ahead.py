"""Make the environments of the DAGs' tasks before the first run: ``python task_environments_ahead.py DAG_FILE…``.

Airflow's operator makes an environment when its first task runs, one after the other, while the machine's other core
is idle: 4 to 5 s for each of three. Airflow's Python runs this file, and the operator itself makes each environment, so
the tasks find what they would have made. If this fails, they make it.

It reads the Variables of the deployed version from the environment: AIRFLOW_VAR_ML_PIPELINE_VERSION and
AIRFLOW_VAR_PYTHON_VIRTUALENV_OPERATOR_CACHE_KEY.
"""

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow.providers.standard.operators.python import PythonVirtualenvOperator
from airflow.sdk import DAG

VERSION = "{{ var.value.ml_pipeline_version }}"


def operators(dag_file: Path) -> list[PythonVirtualenvOperator]:
    """Return the tasks of a DAG file that have a cached environment."""
    sys.path.insert(0, str(dag_file.parent))
    specification = importlib.util.spec_from_file_location(dag_file.stem, dag_file)
    assert specification is not None  # noqa: S101 - it is a Python file
    assert specification.loader is not None  # noqa: S101 - the same
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    dags = [value for value in vars(module).values() if isinstance(value, DAG)]
    tasks = [task for dag in dags for task in dag.tasks]
    return [task for task in tasks if isinstance(task, PythonVirtualenvOperator) and task.venv_cache_path]


def main(dag_files: list[str]) -> None:
    """Make every environment that is not there yet, side by side."""
    version = os.environ["AIRFLOW_VAR_ML_PIPELINE_VERSION"]
    by_requirements: dict[tuple[str, ...], PythonVirtualenvOperator] = {}
    for name in dag_files:
        for operator in operators(Path(name)):
            # What Airflow renders when the task runs.
            operator.requirements = [each.replace(VERSION, version) for each in operator.requirements]
            by_requirements.setdefault(tuple(operator.requirements), operator)
    with ThreadPoolExecutor() as pool:
        for made in pool.map(_make, by_requirements.values()):
            sys.stdout.write(f"{made}\n")


def _make(operator: PythonVirtualenvOperator) -> Path:
    return operator._ensure_venv_cache_exists(Path(str(operator.venv_cache_path)))


if __name__ == "__main__":
    main(sys.argv[1:])
