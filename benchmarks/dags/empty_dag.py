"""A DAG of the shape of ``ml_pipeline`` with empty tasks in cached environments: Airflow's own share of a run."""

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import dag, task

ROOT = Path(os.environ.get("ML_PIPELINE_ROOT_DIR", ".energy")).absolute()


def _nothing(before: dict[str, int]) -> dict[str, int]:
    return {"before": len(before)}


@dag(dag_id="empty_pipeline", schedule=None, start_date=datetime(2020, 1, 1, tzinfo=UTC), max_active_runs=1)
def empty_pipeline() -> None:
    """Run five tasks in environments and a branch of the kind that ``ml_pipeline`` has, one after the other."""

    @task.branch(task_id="branch")
    def branch() -> str:
        return "task_2"

    tasks = [
        task.virtualenv(
            task_id=f"task_{number}",
            requirements=[],
            venv_cache_path=str(ROOT / "task-environments"),
            system_site_packages=False,
            expect_airflow=False,
        )(_nothing)({})
        for number in range(5)
    ]
    decision = branch()
    tasks[0] >> tasks[1] >> decision >> tasks[2] >> tasks[3] >> tasks[4]


empty_pipeline()
