"""The run of Airflow that a task belongs to, as Airflow tells it to every task."""

import os
from dataclasses import dataclass
from typing import Final

DAG_ID: Final = "AIRFLOW_CTX_DAG_ID"
RUN_ID: Final = "AIRFLOW_CTX_DAG_RUN_ID"
"""Airflow sets both environment variables for each task; a virtualenv task inherits them."""


@dataclass(frozen=True)
class DagRun:
    """One run of one DAG. ``run_id`` alone does not name it: two DAGs may each have a run of that id."""

    dag_id: str
    run_id: str


def this_dag_run(dag_run_id: str | None = None) -> DagRun | None:
    """Return the DAG run of this task, or None in a shell. Only entry points call it: it reads the environment.

    Args:
        dag_run_id: The run's id, if the caller gave one; it wins over the environment's.
    """
    run_id = dag_run_id or os.environ.get(RUN_ID)
    return DagRun(os.environ.get(DAG_ID, ""), run_id) if run_id else None
