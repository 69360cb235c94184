"""The registry as a person wants to see it: versions and their skill, the champion, and how it came to be."""

import json
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import ModelVersion
from training_pipeline import promotion


def overview(settings: Settings, *, last: int) -> dict[str, Any]:
    """Return the newest versions, newest first, the champion (None: the shipped default) and all decisions; plain JSON.

    Raises:
        TrackingError: If the tracking database cannot be read now.
    """
    versions = tracking.find_model_versions(settings)
    shown = [_version(each) for each in reversed(versions[-last:])]
    newest = tracking.newest_model(settings)
    view = None if newest is None else newest.tags["feature_view_version"]
    history = None if view is None else promotion.promotions(view, settings=settings)
    champion, decisions = (None, []) if history is None else (history["champion"], history["decisions"])
    return {"count": len(versions), "versions": shown, "champion": champion, "decisions": decisions}


def _version(model: ModelVersion) -> dict[str, Any]:
    metrics = json.loads(model.tags.get("metrics", "{}"))
    return {
        "version": model.version,
        "reference_datetime": model.tags.get("reference_datetime"),
        "feature_view_version": int(model.tags["feature_view_version"]),
        "training_dataset_version": int(model.tags["training_dataset_version"]),
        "configuration": model.tags.get("config_source"),
        **{name: metrics.get(name) for name in ("wape", "naive_wape", "rmae24")},
    }


def drawn(facts: dict[str, Any]) -> Group:
    """Return a page of what ``overview`` returned."""
    if not facts["versions"]:
        return Group(Text("no model yet: `energy run` trains one", "yellow"))
    table = Table(
        "version", "reference (UTC)", "dataset", "configuration", box=box.SIMPLE, pad_edge=False, show_edge=False
    )
    for heading in ("WAPE", "naive", "rMAE24"):
        table.add_column(heading, justify="right")
    for each in facts["versions"]:
        skill = [each[name] for name in ("wape", "naive_wape", "rmae24")]
        texts = ["" if value is None else f"{value:.4f}" for value in skill]
        dataset = f"{each['training_dataset_version']}, view {each['feature_view_version']}"
        table.add_row(str(each["version"]), each["reference_datetime"], dataset, each["configuration"], *texts)
    lines = [Text.assemble(("Champion  ", "bold"), _champion(facts["champion"]))]
    lines += [Text(f"          {_decision(each)}", "dim") for each in facts["decisions"]]
    return Group(table, "", *lines)


def decided(decision: dict[str, Any]) -> Text:
    """Return one decision as a sentence, and what follows from it."""
    return Text(f"{_decision(decision)}\nchampion: {decision['source']}; the next run trains with its recipe")


def _champion(champion: dict[str, Any] | None) -> str:
    return "the shipped default" if champion is None else f"the recipe of {champion['source']}, since {champion['at']}"


def _decision(decision: dict[str, Any]) -> str:
    by = "by a person" if decision["by"] == "person" else "by a run"
    return f"{decision['at']} UTC  {decision['action']} {by}, to {decision['source']}: {decision['reason']}"
