"""All pipelines, from source to monitoring, in one root folder; as a program, prints digests of all results.

``python -m tests.local_time FOLDER`` runs two days around the end of summer time.
"""

import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from batch_prediction_pipeline import batch, monitoring
from feature_pipeline import feature_view, pipeline
from forecast_core.archive import ForecastArchive
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.provenance.trace import trace
from training_pipeline import train

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
SERIES = (("DK1", "111"), ("DK2", "215"))
DAYS = 15
DELAY = 1


def consumption(hour: datetime, scale: int) -> float:
    """What people use in an hour: they get up, eat and sleep by local time, later on Saturdays and Sundays.

    Two per cent of it are chance, for a series without any is no series to learn from: what hardly varies weighs most.
    """
    local = hour.astimezone(COPENHAGEN)
    late = 2 if local.weekday() >= 5 else 0
    morning, evening = (np.exp(-(((local.hour - peak) / 2.5) ** 2)) for peak in (7 + late, 18))
    chance = 1 + 0.02 * np.random.default_rng([scale, int(hour.timestamp())]).standard_normal()
    return float(np.round(chance * scale * (3000 + 4000 * morning + 6000 * evening)))


def pattern(window: Window) -> pl.DataFrame:
    """Return OBSERVATIONS of a window, of each series, sorted by key."""
    hours = [window.start + lead * HOUR for lead in range(window.hours)]
    return pl.concat(
        pl.DataFrame(
            {
                "area": [area] * len(hours),
                "consumer_type": [kind] * len(hours),
                "datetime_utc": hours,
                "energy_consumption": [consumption(hour, scale) for hour in hours],
            },
            schema_overrides={"datetime_utc": pl.Datetime("us", "UTC")},
        )
        for scale, (area, kind) in enumerate(SERIES, start=1)
    )


def as_published(observations: pl.DataFrame, path: Path) -> str:
    """Write a CSV as the portal does: newest first, semicolons; Danish time beside UTC, which names one hour twice."""
    time = pl.col("datetime_utc")
    frame = observations.sort("datetime_utc", descending=True).select(
        time.dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourUTC"),
        time.dt.convert_time_zone("Europe/Copenhagen").dt.strftime("%Y-%m-%dT%H:%M:%S").alias("HourDK"),
        pl.col("area").alias("PriceArea"),
        pl.col("consumer_type").alias("ConsumerType_DE35"),
        pl.col("energy_consumption").cast(pl.Int64).alias("TotalCon"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, separator=";")
    return str(path)


def run(settings: Settings, reference: datetime, *, days: int = DAYS) -> dict[str, Any]:
    """Do what the DAG does at a reference time on the pattern; return what each task returns."""
    window = Window.before(reference, days_delay=DELAY, days_export=days)
    url = as_published(pattern(window), settings.root / "source.csv")
    features = pipeline.run(reference, DELAY, days, url, settings=settings)
    bounds: dict[str, Any] = {
        "start_datetime": features["export_datetime_utc_start"],
        "end_datetime": features["export_datetime_utc_end"],
    }
    at: dict[str, Any] = {"reference_datetime": features["reference_datetime"], "settings": settings}
    view = feature_view.create(1, **bounds, dataset=features["dataset"], **at)
    versions = (view["feature_view_version"], view["training_dataset_version"])
    model = train.from_best_config(24, *versions, **at)
    scores = monitoring.compute(view["feature_view_version"], **at)
    forecasts = batch.predict(24, view["feature_view_version"], model["model_version"], **bounds, **at)
    return {"features": features, "view": view, "model": model, "monitoring": scores, "forecasts": forecasts}


def digests(settings: Settings, references: list[datetime]) -> dict[str, Any]:
    """Return digests of what must not depend on the machine's time zone."""
    results = [run(settings, reference) for reference in references]
    archive, store = ForecastArchive(settings), FeatureStore(settings)
    window = Window.before(references[-1], days_delay=DELAY, days_export=DAYS)
    group: dict[str, Any] = {"dataset": "ConsumptionDE35Hour", "feature_group_version": 1, "window": window}
    forecasts = archive.read(feature_view_version=1)
    [last] = forecasts.tail(1).select("area", "consumer_type", "datetime_utc").to_dicts()
    found = trace(settings, **last, reference_datetime=references[-1])
    validated = sorted(settings.root.glob("validation/**/*.json"))
    return {
        "results": _digest([_portable(result, settings) for result in results]),
        "validation": _digest([_portable(json.loads(path.read_text()), settings) for path in validated]),
        "observations": _digest(
            store.read(with_known_at=True, **group, reference_datetime=references[-1]).write_json()
        ),
        "forecasts": _digest(forecasts.write_json()),
        "metrics": _digest(archive.read_metrics(feature_view_version=1).write_json()),
        "model": found["model"]["files"],
        "observed": found["observations"],
    }


def _portable(value: Any, settings: Settings) -> Any:
    """Remove folder names and random run numbers."""
    if isinstance(value, dict):
        return {key: _portable(item, settings) for key, item in value.items() if key not in {"run_id", "meta"}}
    if isinstance(value, list):
        return [_portable(item, settings) for item in value]
    return value.replace(str(settings.root), "ROOT") if isinstance(value, str) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    end = datetime(2024, 10, 28, 5, tzinfo=UTC)
    made = digests(Settings(root_dir=Path(sys.argv[1])), [end, end + timedelta(days=1)])
    sys.stdout.write(json.dumps(made, sort_keys=True, indent=1))
