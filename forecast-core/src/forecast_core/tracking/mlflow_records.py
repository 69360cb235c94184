"""Decisions and searches as version 1.0.0 kept them: in the tags of MLflow's runs."""

import json
from typing import Any

from forecast_core.contracts.arguments import moment
from forecast_core.contracts.settings import Settings
from forecast_core.tracking.runs import find_runs


def promotions(settings: Settings) -> list[dict[str, Any]]:
    """Return the fields of ``Promotion`` of each decision, in the order of their recording.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    runs = [run for run in find_runs(settings, {"artifact": "promotion"}) if run.status == "FINISHED"]
    found = []
    for run in runs:
        content = json.loads(run.tags["content"])
        scope = {name: int(run.tags[name]) for name in ("feature_view_version", "fh")}
        reference = moment("at", content.pop("at"))
        found.append({**content, **scope, "reference_datetime": reference})
    return found


def searches(settings: Settings) -> list[dict[str, Any]]:
    """Return the result of each search that has one, with ``uploaded``: whether it is a best configuration.

    A search that was uploaded comes twice: as it was found, and as it was uploaded.

    Raises:
        TrackingError: If the database is locked or does not answer.
    """
    found = [
        {"uploaded": False, **json.loads(run.tags["result"])}
        for run in find_runs(settings, {"artifact": "sweep"})
        if "result" in run.tags
    ]
    # Of several uploads of one search the one that was recorded last stands.
    uploads = {
        run.tags["sweep_id"]: {"uploaded": True, **json.loads(run.tags["result"])}
        for run in find_runs(settings, {"artifact": "best_config"})
        if run.status == "FINISHED"
    }
    return [*found, *uploads.values()]
