"""Once a day: keep the tables small and fast, and remove what nothing needs any more.

Safe beside hourly runs and backfills. It runs by itself from the first deployment on, at an hour when also a machine
that is used by day is on, half an hour off ``ml_pipeline``; a day that was missed is made up for at the next start.
"""

import json
import logging
import time
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from pipeline_tasks import RETRIES, ROOT, pipeline_task
from task_environments import prune

UNUSED_AFTER = timedelta(hours=6)
"""No task is still at work in an environment of a deployment that was replaced so long ago; the longest may take two
hours, and a retry takes the newest."""


@dag(
    dag_id="ml_pipeline_maintenance",
    # A first run waits for its hour: it shall not slow the first start down.
    schedule=CronTriggerTimetable("30 11 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["maintenance"],
    doc_md=__doc__,
    default_args=RETRIES,
)
def ml_pipeline_maintenance() -> None:
    """Tables and environments; neither needs the other."""

    @task(task_id="prune_task_environments", execution_timeout=timedelta(minutes=10))
    def prune_task_environments() -> list[str]:
        variables = ROOT / "deployed" / "variables.json"
        if time.time() - variables.stat().st_mtime < UNUSED_AFTER.total_seconds():
            return []
        deployed = json.loads(variables.read_text(encoding="utf-8"))["python_virtualenv_operator_cache_key"]
        removed = prune(ROOT / "task-environments", deployed=deployed)
        logging.getLogger(__name__).info("removed %d task environments: %s", len(removed), ", ".join(removed))
        return removed

    pipeline_task(
        "maintain_tables",
        "feature-pipeline",
        "feature_pipeline.maintenance:run",
        {"keep_days": 7},
        limit=timedelta(minutes=120),
    )
    prune_task_environments()


ml_pipeline_maintenance()
