"""The way back from one forecast: to its run, model, training dataset, view, observations, ingests, source and code."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, TypedDict

import polars as pl

from forecast_core import tracking
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.schema import KEY, OBSERVATIONS, UTC_HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.feature_store import FeatureStore, Ingest
from forecast_core.provenance.digests import of_frame
from forecast_core.provenance.find import as_text, find_hour, find_series
from forecast_core.provenance.origin import Origin, find_origin
from forecast_core.tracking import ModelVersion

LATEST: Final = 6
"""How many observations and ingests are shown one by one, the latest first."""

Facts = dict[str, Any]
"""A record as it was kept, plain JSON: its keys are those of the table or of the tags that it comes from."""


class Source(TypedDict):
    """How many of the observations came from one URL."""

    url: str
    values: int


class Observations(TypedDict):
    """The observations of the forecast's series as known then; ``sha256`` is of ``digests.of_frame``.

    ``latest`` are the last hours, each with ``energy_consumption`` in kWh and the time at which it became known.
    """

    count: int
    first_hour: str | None
    last_hour: str | None
    sha256: str
    latest: list[Facts]


class Ingests(TypedDict):
    """The ingests that the observations came from: that of the run's own reference time, and the latest of all."""

    count: int
    sources: list[Source]
    of_run: Facts | None
    latest: list[Facts]


class Trace(TypedDict):
    """What one forecast came from. Times are text in UTC; energy is in kWh.

    ``run`` is a row of ``archive.RUNS``, ``feature_view`` the view's definition with its version and hash.
    """

    forecast: Facts
    run: Facts
    model: Facts
    configuration: Facts
    training_dataset: Facts
    feature_view: Facts
    observations: Observations
    ingests: Ingests


def trace(
    settings: Settings,
    *,
    area: str,
    consumer_type: str,
    datetime_utc: datetime | str,
    reference_datetime: datetime | str,
    feature_view_version: int | str | None = None,
) -> Trace:
    """Return everything that one archived forecast came from, by the records that were kept when it was made.

    Args:
        settings: Where the stores and the tracking database are.
        area: Price area of the forecast's series.
        consumer_type: Consumer type of the forecast's series.
        datetime_utc: The hour that is forecast; naive is UTC, text is ISO.
        reference_datetime: The time at which it was made.
        feature_view_version: Needed only where more than one view has forecasts of that reference time.

    Returns:
        Plain JSON: ``forecast``, ``run``, ``model``, ``configuration``, ``training_dataset``, ``feature_view``,
        ``observations`` (of the forecast's series, as known then) and ``ingests`` (from which those came). Times are
        text in UTC; energy is in kWh.

    Raises:
        InvalidArgument: If an argument cannot be read, or the view has to be given.
        NotFoundError: If there is no such forecast, or what it came from is gone; the message says what there is.
        StorageError: If the stores cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    hour, reference = moment("datetime_utc", datetime_utc), moment("reference_datetime", reference_datetime)
    origin = find_origin(settings, reference_datetime=reference, feature_view_version=feature_view_version)
    forecast = _plain(find_hour(find_series(origin.forecasts, area, consumer_type), hour))
    observed = FeatureStore(settings).read(
        with_known_at=True,
        dataset=origin.view.dataset,
        feature_group_version=origin.view.feature_group_version,
        window=origin.window,
        reference_datetime=origin.reference_datetime,
        series=[(area, consumer_type)],
    )
    return {
        "forecast": forecast,
        "run": _run(origin),
        "model": _model(origin.model),
        "configuration": _configuration(settings, origin.model),
        "training_dataset": _training_dataset(origin),
        "feature_view": dict(origin.view.definition)
        | {"version": origin.view.version, "definition_hash": origin.view.definition_hash},
        "observations": _observations(observed),
        "ingests": _ingests(settings, origin, observed),
    }


def _run(origin: Origin) -> Facts:
    facts: Facts = {**origin.facts}
    made_by = json.loads(facts.pop("made_by"))
    return {
        **_plain(facts),
        # Whether the archived rows are those that the run recorded.
        "forecasts_are_as_recorded": of_frame(origin.forecasts) == facts["forecasts_hash"],
        "history_is_training_dataset": facts["history_hash"] == origin.dataset.content_hash,
        **made_by,
    }


def _model(model: ModelVersion) -> Facts:
    """Return what the registry keeps of a version; the tags that hold JSON are parsed."""
    parsed = {name: json.loads(model.tags[name]) for name in ("metrics", "files") if name in model.tags}
    made_by = json.loads(model.tags.get("made_by", '{"dag_run_id": null, "code": null}'))
    apart = {"metrics", "files", "made_by", "config", "config_source"}
    tags = {name: value for name, value in sorted(model.tags.items()) if name not in apart}
    return {"version": model.version, "run_id": model.run_id, "source": model.source, **parsed, "tags": tags, **made_by}


def _configuration(settings: Settings, model: ModelVersion) -> Facts:
    source = model.tags.get("config_source", "not recorded")
    found: Facts = {"source": source, "values": json.loads(model.tags.get("config", "null"))}
    if " sweep " in source:
        search = tracking.Searches(settings).found().get(source.split()[-1])
        result: Mapping[str, Any] = {} if search is None else tracking.search_as_json(search)
        found["sweep"] = {name: value for name, value in result.items() if name != "best_config"} or None
    return found


def _training_dataset(origin: Origin) -> Facts:
    dataset = origin.dataset
    window = {"window_start": as_text(dataset.window.start), "window_end": as_text(dataset.window.end)}
    facts = {name: value for name, value in asdict(dataset).items() if name != "window"}
    return {**_plain(facts), **window}


def _observations(observed: pl.DataFrame) -> Observations:
    """Return the count, hash and latest of one series' observations, each with the time at which it became known."""
    latest = observed.sort("datetime_utc", descending=True).head(LATEST)
    return {
        "count": observed.height,
        "first_hour": as_text(observed["datetime_utc"].min()),
        "last_hour": as_text(observed["datetime_utc"].max()),
        "sha256": of_frame(observed.select(OBSERVATIONS.names())),
        "latest": [_plain(row) for row in latest.select("datetime_utc", "energy_consumption", "known_at").to_dicts()],
    }


def _ingests(settings: Settings, origin: Origin, observed: pl.DataFrame) -> Ingests:
    """Return how many ingests the observations came from, and the facts of the run's own and of the latest others."""
    view = origin.view
    recorded = FeatureStore(settings).ingests(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        known_from=observed.select(pl.col("known_at").min()).item(),
        known_until=origin.reference_datetime,
    )
    counts = _values_by_ingest(observed, recorded)
    own = [
        ingest
        for ingest in recorded
        if ingest.known_at == origin.reference_datetime and ingest.window.start < origin.window.end <= ingest.window.end
    ]
    urls: dict[str, int] = {}
    for (_, number), count in counts.items():
        url = "not recorded" if number is None else recorded[number].url
        urls[url] = urls.get(url, 0) + count
    return {
        "count": len(counts),
        "sources": [{"url": url, "values": count} for url, count in sorted(urls.items())],
        "of_run": _ingest(own[-1]) | {"values": _given_by(own[-1], observed)} if own else None,
        "latest": [
            ({"known_at": as_text(known_at)} if number is None else _ingest(recorded[number])) | {"values": count}
            for (known_at, number), count in list(counts.items())[:LATEST]
        ],
    }


def _values_by_ingest(observed: pl.DataFrame, recorded: list[Ingest]) -> dict[tuple[datetime, int | None], int]:
    """Return how many values came from each ingest: by its time and its place in the list (None if not recorded)."""
    windows = pl.DataFrame(
        [(number, each.known_at, each.window.start, each.window.end) for number, each in enumerate(recorded)],
        schema={"number": pl.Int64(), **dict.fromkeys(("known_at", "start", "end"), UTC_HOUR)},
        orient="row",
    )
    asked = pl.col("datetime_utc").is_between("start", "end", closed="left")
    # Of ingests of one time that asked for the same hour, the one written last stands for all.
    found = observed.join(windows, on="known_at").filter(asked).group_by(KEY).agg(pl.col("number").max())
    counts = observed.join(found, on=KEY, how="left").group_by("known_at", "number").len()
    ordered = counts.sort("known_at", "number", descending=True, nulls_last=True)
    return {(known_at, number): count for known_at, number, count in ordered.iter_rows()}


def _given_by(ingest: Ingest, observed: pl.DataFrame) -> int:
    return observed.filter(pl.col("known_at") == ingest.known_at).height


def _ingest(ingest: Ingest) -> Facts:
    kept = ("validation_result", "warnings", "missing_hours", "series")
    return {
        "known_at": as_text(ingest.known_at),
        "dataset": ingest.dataset,
        "url": ingest.url,
        "window_start": as_text(ingest.window.start),
        "window_end": as_text(ingest.window.end),
        **asdict(ingest.counts),
        **{name: ingest.record.get(name) for name in kept},
        **{name: ingest.made_by.get(name) for name in ("dag_id", "dag_run_id", "code")},
    }


def _plain(row: Mapping[str, Any]) -> Facts:
    return {name: as_text(value) if isinstance(value, datetime) else value for name, value in row.items()}
