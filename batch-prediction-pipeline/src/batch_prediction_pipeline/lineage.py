"""Lineage: what one archived forecast was made from, as text, and whether computing it again gives the same."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NotRequired, cast

from forecast_core.contracts.settings import Settings
from forecast_core.provenance.recreate import Recreated
from forecast_core.provenance.recreate import recreate as make_again
from forecast_core.provenance.trace import Trace, trace


class Lineage(Trace):
    """What ``of_forecast`` returns: the parts of ``provenance.trace`` and, if asked for, of ``provenance.recreate``."""

    recreated: NotRequired[Recreated]


def of_forecast(
    area: str,
    consumer_type: str,
    datetime_utc: datetime | str,
    reference_datetime: datetime | str,
    feature_view_version: int | str | None = None,
    *,
    recreate: bool = False,
    settings: Settings | None = None,
) -> Lineage:
    """Return what ``provenance.trace`` says of a forecast and, under ``recreated``, how making it again compares.

    Args:
        area: Price area.
        consumer_type: Consumer type.
        datetime_utc: The hour that is forecast; naive is UTC, text is ISO.
        reference_datetime: The time at which it was made.
        feature_view_version: Needed only where more than one view has forecasts of that reference time.
        recreate: Whether to make its run again and compare.
        settings: Where things are; default from the environment.

    Raises:
        InvalidArgument: If an argument cannot be read, or the view has to be given.
        NotFoundError: If there is no such forecast, or what it came from is gone; the message says what there is.
        StorageError: If the stores cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    settings = settings or Settings()
    run: dict[str, Any] = {
        "reference_datetime": reference_datetime,
        "feature_view_version": feature_view_version,
    }
    found = trace(settings, area=area, consumer_type=consumer_type, datetime_utc=datetime_utc, **run)
    # A Trace is a Lineage without what may be absent.
    lineage = cast("Lineage", found)
    return {**lineage, "recreated": make_again(settings, **run)} if recreate else lineage


def is_same(lineage: Mapping[str, Any]) -> bool:
    """Whether nothing that was made again differs from what was kept."""
    return bool(lineage.get("recreated", {"same": True})["same"])


def as_text(lineage: Mapping[str, Any]) -> str:
    """Return a lineage as a tree of lines, from the forecast back to its source."""
    return "\n".join([*_forecast(lineage), *_model(lineage), *_observations(lineage), *_recreated(lineage)]) + "\n"


def _forecast(lineage: Mapping[str, Any]) -> Iterator[str]:
    forecast, run = lineage["forecast"], lineage["run"]
    yield f"forecast {forecast['area']}/{forecast['consumer_type']} of {forecast['datetime_utc']} UTC"
    interval = f"80 % interval {forecast['q10']:,.3f} to {forecast['q90']:,.3f}"
    yield f"|   {forecast['energy_consumption']:,.3f} kWh, {interval}, quality: {forecast['quality']}"
    yield f"+-- run at {run['reference_datetime']}, feature view {run['feature_view_version']}"
    yield f"|   DAG run      {_dag_run(run)}"
    yield f"|   history      {run['window_start']} to {run['window_end']}, as known at {run['reference_datetime']}"
    yield f"|                {run['history_rows']:,} values of {run['history_series']} series, {run['history_hash']}"
    if run["history_is_training_dataset"]:
        yield "|                the content of the training dataset"
    kept = "as archived" if run["forecasts_are_as_recorded"] else "NOT what is archived now"
    yield f"|   forecasts    {run['forecasts']:,} rows, {run['forecasts_hash']}, {kept}"
    yield from _code(run["code"])


def _dag_run(facts: Mapping[str, Any]) -> str:
    """Return the DAG and its run; version 1.0.0 did not record the DAG."""
    if not facts["dag_run_id"]:
        return "none: run from a shell"
    return " ".join(filter(None, (facts.get("dag_id"), facts["dag_run_id"])))


def _model(lineage: Mapping[str, Any]) -> Iterator[str]:
    model, configuration, dataset = (lineage[name] for name in ("model", "configuration", "training_dataset"))
    yield f"+-- model {model['version']}, MLflow run {model['run_id']}"
    yield f"|   DAG run      {_dag_run(model)}"
    yield f"|   files        {model['source']}"
    for name, digest in model.get("files", {}).items():
        yield f"|                {name} {digest}"
    if (metrics := model.get("metrics", {})).get("wape") is not None:
        yield f"|   skill        WAPE {metrics['wape']:.4f}, seasonal naive {metrics['naive_wape']:.4f}"
    yield from _code(model["code"])
    yield f"+-- configuration: {configuration['source']}"
    if sweep := configuration.get("sweep"):
        yield f"|   {sweep['trials']} trials on training dataset {sweep['training_dataset_version']}"
    yield f"+-- training dataset {dataset['version']}: {dataset['rows']:,} values of {dataset['series']} series"
    yield f"|   content      {dataset['content_hash']}"
    yield f"|   window       {dataset['window_start']} to {dataset['window_end']}, as known at {dataset['known_at']}"
    view = lineage["feature_view"]
    yield f"+-- feature view {view['version']} of {view['dataset']}, feature group {view['feature_group_version']}"
    yield f"|   definition   {view['definition_hash']}"


def _observations(lineage: Mapping[str, Any]) -> Iterator[str]:
    observations, ingests = lineage["observations"], lineage["ingests"]
    hours = f"{observations['first_hour']} to {observations['last_hour']}"
    yield f"+-- observations of the series: {observations['count']:,}, {hours}"
    yield f"|   values       {observations['sha256']}"
    for row in observations["latest"]:
        yield f"|   {row['datetime_utc']}  {row['energy_consumption']:>16,.3f} kWh  known at {row['known_at']}"
    yield f"+-- ingests that they came from: {ingests['count']}, the latest first"
    for ingest in ingests["latest"]:
        yield f"    {ingest['known_at']}  {ingest['values']:,} of these values  {ingest.get('url', 'not recorded')}"
        if ingest.get("url"):
            yield f"        window {ingest['window_start']} to {ingest['window_end']}: {ingest['rows']:,} values"
            yield f"        DAG run {_dag_run(ingest)}"
            yield f"        validation {ingest['validation_result'] or 'not recorded'}"


def _recreated(lineage: Mapping[str, Any]) -> Iterator[str]:
    if (again := lineage.get("recreated")) is None:
        return
    yield f"made again: {'identical, bit for bit' if again['same'] else 'DIFFERENT'}"
    dataset, model, forecasts = (again[name] for name in ("training_dataset", "model", "forecasts"))
    yield f"    training dataset  {_verdict(dataset)}: {dataset['recreated']}, file {dataset['file']}"
    for name, digests in model["files"].items():
        same = "identical" if len(set(digests.values())) == 1 else "DIFFERENT"
        yield f"    {name:<17} {same}: {digests['recreated']}"
    if not model["metrics_same"]:
        yield "    metrics           DIFFERENT"
    rows = f"{forecasts['rows']:,} rows, {forecasts['different_rows']:,} of them differ"
    yield f"    forecasts         {_verdict(forecasts)}: {forecasts['recreated']}, {rows}"
    for what, words in again["code"].items():
        for difference in words:
            yield f"    code of the {what}: {difference}"


def _verdict(step: Mapping[str, Any]) -> str:
    return "identical" if step["same"] else "DIFFERENT"


def _code(code: Mapping[str, Any] | None) -> Iterator[str]:
    if not code:
        yield "|   code         not recorded"
        return
    for name, facts in code["packages"].items():
        if facts:
            yield f"|   code         {name} {facts['version']}, {facts['sha256']}"
    yield f"|                {', '.join(f'{name} {version}' for name, version in code['libraries'].items())}"
