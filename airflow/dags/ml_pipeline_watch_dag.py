"""Every half hour: see whether runs, forecasts and data are there, and tell of every alarm once, until it clears.

It needs nothing of ``ml_pipeline`` but what that has stored and what Airflow says of its runs, so it works while that
DAG is paused, fails or hangs. A run of the future, which holds the DAG's only slot, is failed. The DAG runs by itself
from the first deployment on; pause it where nobody is to be called. Also what ``compute_monitoring`` finds is told from
here.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from pipeline_alarms import tell
from pipeline_runs import Observed, observe
from pipeline_tasks import RETRIES, ROOT, pipeline_task


@dag(
    dag_id="ml_pipeline_watch",
    # Twenty minutes after the hour, when the hour's run is over; the first time not at once, beside the first run.
    schedule=CronTriggerTimetable("20,50 * * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["monitoring"],
    doc_md=__doc__,
    default_args=RETRIES,
)
def ml_pipeline_watch() -> None:
    """Look, tell, and remember what was told; what could not be sent is tried again."""

    @task(task_id="look", execution_timeout=timedelta(minutes=5), multiple_outputs=False)
    def look(now: str) -> Observed | None:
        from airflow.configuration import conf

        api = conf.get("core", "execution_api_server_url", fallback="") or conf.get("api", "base_url")
        default = ROOT / "secrets" / "airflow-watch-password"
        password_file = Path(os.environ.get("ML_PIPELINE_AIRFLOW_WATCH_PASSWORD_FILE", default))
        present = datetime.strptime(now, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        return observe(api.rstrip("/").removesuffix("/execution"), password_file, present)

    @task(task_id="tell", execution_timeout=timedelta(minutes=5))
    def send(due: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not due:
            raise AirflowSkipException("there is nothing to send")
        tell([each["text"] for each in due])
        return due

    # The present time, to the minute, as Airflow counts it: the tasks below the DAG do not read the clock.
    now = "{{ dag_run.run_after.strftime('%Y-%m-%d %H:%M') }}"
    limit = timedelta(minutes=10)
    watch = "batch_prediction_pipeline.monitoring.watch"
    arguments = {"now": now, "dag": look(now)}
    check = pipeline_task("check", "batch-prediction-pipeline", f"{watch}:check", arguments, limit=limit)
    # Airflow replaces it by the value.
    due: Any = check["due"]
    sent = send(due)
    pipeline_task("record", "batch-prediction-pipeline", f"{watch}:told", {"due": sent, "now": now}, limit=limit)


ml_pipeline_watch()
