"""One value for a run, and the one resolver of it: what the arguments of every entry point stand for.

Entry points take versions and times, or None. Each None is resolved here once, so that everything below works with
definite versions. It stands for what the same DAG run got from the step before; where there is no such thing, as in a
shell, for what was written last (``run_defaults``). docs/from-the-course.md has the table of all defaults.
"""

from dataclasses import dataclass
from datetime import datetime

from forecast_core import run_defaults, tracking
from forecast_core.contracts.arguments import FORECAST_FROM, forecast_gap, moment, whole_number
from forecast_core.contracts.dag_run import DagRun
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window
from forecast_core.feature_store import FeatureStore, FeatureView, TrainingDataset
from forecast_core.tracking import ModelVersion

Time = datetime | str | None
"""A time as entry points take it: naive is UTC, text is ISO, None stands for that of the run's own ingest."""
Number = int | str | None
"""A version as entry points take it: a whole number or its digits; None stands for that of the run itself."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run sees: the observations of ``window`` as known at ``reference_datetime``.

    ``dataset`` and ``feature_group_version`` name the feature group.
    """

    reference_datetime: datetime
    window: Window
    dataset: str
    feature_group_version: int


@dataclass(frozen=True, kw_only=True)
class TrainingRun(Run):
    """A run that trains or tunes. Its ``fh`` hours to forecast begin ``gap`` hours after the end of the window."""

    view: FeatureView
    training_dataset: TrainingDataset
    fh: int
    gap: int


@dataclass(frozen=True, kw_only=True)
class ForecastRun(Run):
    """A run that forecasts. Its ``fh`` hours to forecast begin ``gap`` hours after the end of the window."""

    view: FeatureView
    model: ModelVersion
    fh: int
    gap: int


def resolve_run(
    settings: Settings,
    *,
    feature_group_version: int | str = 1,
    dataset: str | None = None,
    start_datetime: Time = None,
    end_datetime: Time = None,
    reference_datetime: Time = None,
    dag_run: DagRun | None = None,
) -> Run:
    """Return what a step sees that is given a feature group.

    What is None is that of the ingest of the DAG run into the feature group, or else of the ingest written last; if
    ``end_datetime`` is given, only ingests whose window ends there count; those of ``reference_datetime`` come first.

    Raises:
        InvalidArgument: If an argument cannot be read, or the window is empty or not of full hours.
        NotFoundError: If there is no such feature group, or no ingest to take the window from.
        StorageError: If the store cannot be read now.
    """
    store = FeatureStore(settings)
    version = whole_number("feature_group_version", feature_group_version, least=1)
    start, end = _time("start_datetime", start_datetime), _time("end_datetime", end_datetime)
    reference = _time("reference_datetime", reference_datetime)
    if dataset is not None and start is not None and end is not None and reference is not None:
        window = Window(start, end)
    else:
        ingest = run_defaults.ingest_meant(
            store, version, dataset=dataset, start=start, end=end, reference_datetime=reference, dag_run=dag_run
        )
        window = Window(start or ingest.window.start, end or ingest.window.end)
        dataset, reference = dataset or ingest.dataset, reference or ingest.known_at
    return Run(reference_datetime=reference, window=window, dataset=dataset, feature_group_version=version)


def resolve_training_run(
    settings: Settings,
    *,
    fh: int | str,
    feature_view_version: Number = None,
    training_dataset_version: Number = None,
    reference_datetime: Time = None,
    forecast_from: str = FORECAST_FROM[0],
    dag_run: DagRun | None = None,
) -> TrainingRun:
    """Return what a step trains or tunes on.

    The training dataset is by default the one that the DAG run created, or else the one created last, of the feature
    view if that is given. The reference time is by default the one for which that was asked: the same rows are the same
    training dataset at many reference times, and the one that was first says nothing about this run.

    Raises:
        InvalidArgument: If an argument cannot be read, or the training dataset is not of the feature view.
        NotFoundError: If a version does not exist; the message names those that do.
        StorageError: If the store cannot be read now.
    """
    horizon, store = whole_number("fh", fh, least=1), FeatureStore(settings)
    number = _number("feature_view_version", feature_view_version)
    given = None if number is None else store.feature_view(number)
    version = _number("training_dataset_version", training_dataset_version)
    asked = _time("reference_datetime", reference_datetime)
    dataset = (
        store.last_training_dataset(feature_view_version=number, reference_datetime=asked, dag_run=dag_run)
        if version is None
        else store.training_dataset(version)
    )
    if number not in (None, dataset.feature_view_version):
        raise InvalidArgument(
            f"training dataset {dataset.version} is of feature view {dataset.feature_view_version}, not of {number}: "
            "give the two versions that feature_view.create returned together",
            training_dataset_version=dataset.version,
            feature_view_version=number,
        )
    view = given or store.feature_view(dataset.feature_view_version)
    reference = asked or run_defaults.created_for(settings, dataset, dag_run=dag_run)
    return TrainingRun(
        reference_datetime=reference,
        window=dataset.window,
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        view=view,
        training_dataset=dataset,
        fh=horizon,
        gap=forecast_gap(forecast_from, window_end=dataset.window.end, reference=reference),
    )


def resolve_forecast_run(
    settings: Settings,
    *,
    fh: int | str,
    feature_view_version: Number = None,
    model_version: Number = None,
    start_datetime: Time = None,
    end_datetime: Time = None,
    reference_datetime: Time = None,
    forecast_from: str | None = None,
    dag_run: DagRun | None = None,
) -> ForecastRun:
    """Return what a step forecasts with.

    The model is by default the one that the DAG run trained, or else the one that training returned last, of the
    feature view if that is given; the view is that of the model. The window is by default that of the ingest of the DAG
    run, or else of the ingest written last; the reference time that of such an ingest whose window ends at
    ``end_datetime``, if there is one.

    Args:
        settings: Where the stores are.
        fh: Hours to forecast.
        feature_view_version: Of the feature view.
        model_version: Of the model.
        start_datetime: First hour of the history.
        end_datetime: The hour after the last of the history.
        reference_datetime: The history is as known at this time.
        forecast_from: As given to training (None); anything else is refused.
        dag_run: The run that asks; None from a shell.

    Raises:
        InvalidArgument: If an argument cannot be read, or versions do not belong together.
        NotFoundError: If a version does not exist or nothing was ever ingested; the message names what does exist.
        StorageError: If the store cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    horizon, store = whole_number("fh", fh, least=1), FeatureStore(settings)
    wanted = _number("feature_view_version", feature_view_version)
    if wanted is not None:
        store.feature_view(wanted)
    asked = _time("reference_datetime", reference_datetime)
    number = _number("model_version", model_version)
    model = (
        run_defaults.model_meant(settings, wanted, reference_datetime=asked, dag_run=dag_run)
        if number is None
        else _trained(settings, number, wanted)
    )
    view = store.feature_view(int(model.tags["feature_view_version"]))
    start, end = _time("start_datetime", start_datetime), _time("end_datetime", end_datetime)
    window = _history(store, view, start, end, reference_datetime=asked, dag_run=dag_run)
    reference = asked or run_defaults.known_at(store, view, window.end, dag_run=dag_run)
    gap = int(model.tags.get("gap", 0))
    _check_gap(gap, forecast_from, window, reference)
    return ForecastRun(
        reference_datetime=reference,
        window=window,
        dataset=view.dataset,
        feature_group_version=view.feature_group_version,
        view=view,
        model=model,
        fh=horizon,
        gap=gap,
    )


def _history(
    store: FeatureStore,
    view: FeatureView,
    start: datetime | None,
    end: datetime | None,
    *,
    reference_datetime: datetime | None,
    dag_run: DagRun | None,
) -> Window:
    """Return the hours to forecast from; a bound that is not given is that of the ingest that is meant."""
    if start is None or end is None:
        ingest = run_defaults.ingest_meant(
            store,
            view.feature_group_version,
            dataset=view.dataset,
            start=start,
            end=end,
            reference_datetime=reference_datetime,
            dag_run=dag_run,
        )
        start, end = start or ingest.window.start, end or ingest.window.end
    return Window(start, end)


def resolve_reference(
    settings: Settings, view: FeatureView, reference_datetime: Time, *, dag_run: DagRun | None = None
) -> datetime:
    """Return the reference time; by default that of ``run_defaults.last_ingest``.

    Raises:
        InvalidArgument: If the time cannot be read.
        NotFoundError: If none is given and nothing was ever ingested.
        StorageError: If the store cannot be read now.
    """
    given = _time("reference_datetime", reference_datetime)
    return given or run_defaults.last_ingest(FeatureStore(settings), view, dag_run=dag_run).known_at


def _time(name: str, value: Time) -> datetime | None:
    return None if value is None else moment(name, value)


def _number(name: str, value: Number) -> int | None:
    return None if value is None else whole_number(name, value, least=1)


def _trained(settings: Settings, version: int, feature_view_version: int | None) -> ModelVersion:
    """Return a model version.

    Raises:
        InvalidArgument: If it was trained with another feature view than the one that is given.
    """
    model = tracking.model_version(settings, version)
    trained_with = int(model.tags["feature_view_version"])
    if feature_view_version not in (None, trained_with):
        raise InvalidArgument(
            f"model version {model.version} was trained with feature view {trained_with}, not with "
            f"{feature_view_version}: give the versions that belong together",
            model_version=model.version,
            feature_view_version=feature_view_version,
        )
    return model


def _check_gap(gap: int, forecast_from: str | None, window: Window, reference: datetime) -> None:
    """Raise InvalidArgument if the model's forecasts begin at another hour than ``forecast_from`` asks for."""
    meant = forecast_from or FORECAST_FROM[1 if gap else 0]
    wanted = forecast_gap(meant, window_end=window.end, reference=reference)
    if gap != wanted:
        raise InvalidArgument(
            f"the model was trained to forecast from {gap} hours after the last observation on, but {meant} is "
            f"{wanted} hours after {window.end:{DATETIME_FORMAT}}: train with forecast_from={meant} for this reference "
            "time",
            argument="forecast_from",
            gap=gap,
            wanted=wanted,
        )
