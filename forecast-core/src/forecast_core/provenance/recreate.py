"""Making a run again from nothing but what was recorded: training dataset, model, forecasts, compared bit for bit."""

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

import polars as pl

import load_forecaster
from forecast_core import tracking
from forecast_core.contracts.errors import FormatError, NotFoundError
from forecast_core.contracts.schema import KEY
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import Window
from forecast_core.feature_store import FeatureStore
from forecast_core.feature_store.training_datasets import content_hash
from forecast_core.provenance.code import differences
from forecast_core.provenance.digests import of_files, of_frame
from forecast_core.provenance.origin import Origin, find_origin
from forecast_core.provenance.runs import forecast_rows
from load_forecaster import ForecasterConfig


class Digests(TypedDict):
    """Three SHA-256 of one thing; None where it was not recorded, is not kept, or was not made."""

    recorded: str | None
    kept: str | None
    recreated: str | None


class DatasetAgain(TypedDict):
    """The training dataset read again: content hashes, what is wrong with its file, and rows that differ from it."""

    version: int
    recorded: str
    recreated: str
    file: str
    different_rows: int | None
    same: bool


class ModelAgain(TypedDict):
    """The model fitted again: digests of its files by name, and whether the metrics are those that were recorded."""

    version: int
    files: dict[str, Digests]
    metrics_same: bool
    same: bool


class ForecastsAgain(TypedDict):
    """The forecasts made again: digests of their rows, and whether the history is the one that was recorded."""

    rows: int
    history_same: bool
    recorded: str
    kept: str
    recreated: str
    different_rows: int
    same: bool


class CodeDifferences(TypedDict):
    """In words, where the installed code differs from the code that made the model and the forecasts."""

    model: list[str]
    forecasts: list[str]


class Recreated(TypedDict):
    """How a run that was made again compares with what was kept of it; ``same`` if everything is identical."""

    same: bool
    training_dataset: DatasetAgain
    model: ModelAgain
    forecasts: ForecastsAgain
    code: CodeDifferences


def recreate(
    settings: Settings, *, reference_datetime: datetime | str, feature_view_version: int | str | None = None
) -> Recreated:
    """Make one archived run again from the observations, and compare each step with what was kept of it.

    The training dataset is read again as known at its reference time; the model is fitted again on that, with the
    recorded configuration; the forecasts are made again with that model, from the history as known at the run's
    reference time. Nothing is written into the stores.

    Args:
        settings: Where the stores and the tracking database are; ``threads`` has no influence on the result.
        reference_datetime: Reference time of the run; naive is UTC, text is ISO.
        feature_view_version: Needed only where more than one view has forecasts of that reference time.

    Returns:
        Plain JSON: ``same``, whether everything is identical; ``training_dataset``, ``model`` and ``forecasts``, each
        with what was recorded, what is kept, what was made again, and ``same``; ``code``, in words where what is
        installed differs from what made the run.

    Raises:
        InvalidArgument: If an argument cannot be read, or the view has to be given.
        NotFoundError: If there is no such run, or a version that it names is gone.
        StorageError: If the stores cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    origin = find_origin(settings, reference_datetime=reference_datetime, feature_view_version=feature_view_version)
    training, dataset = _training_dataset(settings, origin)
    with tempfile.TemporaryDirectory() as folder:
        model = _model(settings, origin, training, Path(folder))
        forecasts = _forecasts(settings, origin, Path(folder))
    return {
        "same": dataset["same"] and model["same"] and forecasts["same"],
        "training_dataset": dataset,
        "model": model,
        "forecasts": forecasts,
        "code": {
            "model": differences(_made_by(origin.model.tags)["code"]),
            "forecasts": differences(_made_by(origin.facts)["code"]),
        },
    }


def _made_by(facts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(facts.get("made_by", '{"code": null}')))


def _known(settings: Settings, origin: Origin, window: Window, reference_datetime: datetime) -> pl.DataFrame:
    view, store = origin.view, FeatureStore(settings)
    return store.read(
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        window=window,
        reference_datetime=reference_datetime,
    )


def _training_dataset(settings: Settings, origin: Origin) -> tuple[pl.DataFrame, DatasetAgain]:
    """Return the observations as they were known, and how they compare with what was registered and with the file."""
    recorded = origin.dataset
    again = _known(settings, origin, recorded.window, recorded.known_at)
    made = content_hash(again, definition_hash=origin.view.definition_hash, window=recorded.window)
    try:
        different = _different_rows(FeatureStore(settings).read_training_dataset(recorded.version), again)
        file = "as registered"
    except (FormatError, NotFoundError) as error:
        different, file = None, str(error)
    return again, {
        "version": recorded.version,
        "recorded": recorded.content_hash,
        "recreated": made,
        "file": file,
        "different_rows": different,
        "same": made == recorded.content_hash and file == "as registered",
    }


def _model(settings: Settings, origin: Origin, training: pl.DataFrame, folder: Path) -> ModelAgain:
    """Fit into ``folder``; return how its files compare with those that are kept and those that were recorded."""
    tags = origin.model.tags
    if missing := sorted({"config", "files", "fh", "metrics", "origins"} - set(tags)):
        raise NotFoundError(
            f"model version {origin.model.version} was registered without {missing}, and cannot be made again from "
            "what was recorded: train again",
            missing=missing,
        )
    evaluation, fitted = load_forecaster.evaluate_and_fit(
        training,
        end=origin.dataset.window.end,
        fh=int(tags["fh"]),
        gap=int(tags.get("gap", 0)),
        config=ForecasterConfig.from_dict(json.loads(tags["config"])),
        threads=settings.threads,
        origins=int(tags["origins"]),
    )
    load_forecaster.save(fitted, folder)
    recorded, made = json.loads(tags["files"]), dict(of_files(folder))
    try:
        kept: dict[str, str] = dict(of_files(tracking.download_model(settings, origin.model)))
    except NotFoundError:
        kept = {}
    files: dict[str, Digests] = {
        name: {"recorded": recorded.get(name), "kept": kept.get(name), "recreated": made.get(name)}
        for name in sorted({*recorded, *kept, *made})
    }
    metrics = json.loads(tags["metrics"]) == evaluation.metrics
    return {
        "version": origin.model.version,
        "files": files,
        "metrics_same": metrics,
        "same": metrics and all(len(set(digests.values())) == 1 for digests in files.values()),
    }


def _forecasts(settings: Settings, origin: Origin, folder: Path) -> ForecastsAgain:
    """Forecast with the model in ``folder``; return how the rows compare with the archive and what was recorded."""
    facts = origin.facts
    history = _known(settings, origin, origin.window, origin.reference_datetime)
    predictions = load_forecaster.load(folder).predict(history, end=origin.window.end, fh=facts["fh"])
    again = forecast_rows(predictions, run=facts)
    history_hash = content_hash(history, definition_hash=origin.view.definition_hash, window=origin.window)
    recorded, kept, made = facts["forecasts_hash"], of_frame(origin.forecasts), of_frame(again)
    return {
        "rows": again.height,
        "history_same": history_hash == facts["history_hash"],
        "recorded": recorded,
        "kept": kept,
        "recreated": made,
        "different_rows": _different_rows(origin.forecasts, again),
        "same": recorded == kept == made and history_hash == facts["history_hash"],
    }


def _different_rows(kept: pl.DataFrame, again: pl.DataFrame) -> int:
    """Return how many keys have a row in one frame only, or rows that differ in any bit."""
    left, right = (frame.with_columns(pl.col(pl.Float64).reinterpret(dtype=pl.Int64)) for frame in (kept, again))
    equal = left.join(right, on=left.columns, how="semi").height
    return pl.concat([left.select(KEY), right.select(KEY)]).unique().height - equal
