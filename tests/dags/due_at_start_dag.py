"""A DAG that nobody paused, and of which a run is due whenever the scheduler starts."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task


@dag(
    dag_id="due_at_start",
    # A stack that is stopped and started again is away for longer.
    schedule=timedelta(seconds=20),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"retries": 2},
)
def due_at_start():
    """One task, which needs the API server as every task does."""

    @task
    def report():
        return "done"

    report()


due_at_start()
