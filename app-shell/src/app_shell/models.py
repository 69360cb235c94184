"""Model versions with their backtests, the champion, and the decisions about it."""

import json
from datetime import datetime
from typing import TypedDict

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app_shell.terminal import Widest
from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.tracking import ModelVersion
from training_pipeline import promotion
from training_pipeline.promotion import Decision


class Version(TypedDict):
    """A model version with its backtest."""

    version: int
    reference_datetime: str | None
    feature_view_version: int
    training_dataset_version: int
    configuration: str | None
    wape: float | None
    naive_wape: float | None
    rmae24: float | None


class Overview(TypedDict):
    """The registry as plain JSON: how many versions there are and the newest of them, newest first; the champion.

    ``champion`` is the decision that made it, None for the shipped default; ``decisions`` are all, oldest first.
    """

    count: int
    versions: list[Version]
    champion: Decision | None
    decisions: list[Decision]


def overview(settings: Settings, *, last: int, now: datetime) -> Overview:
    """Return the ``last`` newest versions, the champion of the newest model's view, and the decisions about it.

    Models and decisions of reference times after ``now`` are not the newest.

    Raises:
        TrackingError: If the tracking database cannot be read now.
    """
    versions = tracking.find_model_versions(settings)
    shown = [_version(each) for each in reversed(versions[-last:])]
    newest = tracking.newest_model(settings, reference_datetime=now)
    view = None if newest is None else newest.tags["feature_view_version"]
    history = None if view is None else promotion.promotions(view, reference_datetime=now, settings=settings)
    champion, decisions = (None, []) if history is None else (history["champion"], history["decisions"])
    return {"count": len(versions), "versions": shown, "champion": champion, "decisions": decisions}


def _version(model: ModelVersion) -> Version:
    metrics = json.loads(model.tags.get("metrics", "{}"))
    return {
        "version": model.version,
        "reference_datetime": model.tags.get("reference_datetime"),
        "feature_view_version": int(model.tags["feature_view_version"]),
        "training_dataset_version": int(model.tags["training_dataset_version"]),
        "configuration": model.tags.get("config_source"),
        "wape": metrics.get("wape"),
        "naive_wape": metrics.get("naive_wape"),
        "rmae24": metrics.get("rmae24"),
    }


def drawn(facts: Overview) -> Group:
    """Return a page of what ``overview`` returned."""
    if not facts["versions"]:
        return Group(Text("no model yet: `energy run` trains one", "yellow"))
    table = Widest([_table(facts, wide=True), _table(facts, wide=False)])
    lines = [Text.assemble(("Champion  ", "bold"), _champion(facts["champion"]))]
    lines += [Text(f"          {_decision(each)}", "dim") for each in facts["decisions"]]
    return Group(table, "", *lines)


def _table(facts: Overview, *, wide: bool) -> Table:
    """Return the versions; in a narrow terminal without columns rather than with cut numbers."""
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for heading in ("version", "reference (UTC)", "dataset", "configuration") if wide else ("version",):
        table.add_column(heading, no_wrap=True)
    for heading in ("WAPE", "naive", "rMAE24"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in facts["versions"]:
        skill = [each["wape"], each["naive_wape"], each["rmae24"]]
        texts = ["" if value is None else f"{value:.4f}" for value in skill]
        dataset = f"{each['training_dataset_version']}, view {each['feature_view_version']}"
        more = [each["reference_datetime"], dataset, each["configuration"]] if wide else []
        table.add_row(str(each["version"]), *more, *texts)
    return table


def decided(decision: Decision) -> Text:
    """Return one decision as a sentence, and what follows from it."""
    view = decision["feature_view_version"]
    return Text(
        f"{_decision(decision)}\nchampion of feature view {view}: {decision['source']}; its next run trains with this "
        "configuration"
    )


def _champion(champion: Decision | None) -> str:
    return (
        "the shipped default"
        if champion is None
        else f"the configuration of {champion['source']}, since {champion['at']}"
    )


def _decision(decision: Decision) -> str:
    by = "by a person" if decision["by"] == "person" else "by a run"
    return f"{decision['at']} UTC  {decision['action']} {by}, to {decision['source']}: {decision['reason']}"
