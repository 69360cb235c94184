"""Two DAGs of users who come from the course, made from ``dags/course_dag.py``: each with a dataset of its own."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from feature_pipeline import demo
from forecast_core.contracts.window import Window

HOUR: Final = datetime(2024, 4, 20, 7, tzinfo=UTC)
"""The past hour at which both run."""
DATASETS: Final = {"course_demo": "demo-denmark", "course_industry": "ConsumptionDK3619IndustryHour"}
"""The dataset of each DAG."""


def write_dags(folder: Path) -> None:
    """Put a copy for each dataset in the place of the DAG; the second dataset is a file beside them."""
    original = folder / "course_dag.py"
    text = original.read_text()
    original.unlink()
    for dag_id, url in (("course_demo", "demo://denmark"), ("course_industry", str(_industry(folder.parent)))):
        changes = {
            'dag_id="course"': f'dag_id="{dag_id}"',
            # The scheduler would run the present hour, too, as soon as the DAG is unpaused.
            'schedule="@hourly"': "schedule=None",
            'python_version="3.11"': f'python_version="{sys.version_info.major}.{sys.version_info.minor}"',
            # Variables of its own: other tests set those of ml_pipeline meanwhile.
            '"ml_pipeline_': f'"{dag_id}_',
            'default_var="demo://denmark"': f'default_var="{url}"',
            'default_var="False"': 'default_var="True"',
        }
        copy = text
        for before, after in changes.items():
            assert before in copy, before
            copy = copy.replace(before, after)
        (folder / f"{dag_id}_dag.py").write_text(copy)


def _industry(folder: Path) -> Path:
    """Write three series of the demonstration in the columns of another dataset."""
    window = Window.before(HOUR, days_delay=15, days_export=30)
    frame = demo.observations(window.start - timedelta(days=1), window.end + timedelta(days=1), known_at=HOUR)
    path = folder / f"{DATASETS['course_industry']}.parquet"
    frame.filter(pl.col("area") == "DK1", pl.col("consumer_type").is_in(["111", "121", "215"])).select(
        pl.col("datetime_utc").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("TimeUTC"),
        pl.col("consumer_type").alias("DK36Code"),
        (pl.col("energy_consumption") / 1000).alias("Consumption_MWh"),
    ).write_parquet(path)
    return path
