"""Retraining policy: up to which hour the model of a run has learnt.

A run trains on the window that the policy cuts out of its own, with values as known at its own reference time, unless
there is a model of the same rows, configuration and code. So which model a run forecasts with depends on the run's own
data, and not on which runs came before it; runs whose cut windows have the same rows share a model.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from forecast_core.alarms import Alarms, derive
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT, Window, floor_hour
from forecast_core.feature_store import FeatureStore
from forecast_core.runs import TrainingRun

_EVERY = re.compile(r"every (\d+) hours?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = timedelta(microseconds=1)

CALM_HOURS: Final = 168
"""Under ``on_alarm``, hours after which a model is made anew also without an alarm.

An older one could not be made from the data of a run alone.
"""


@dataclass(frozen=True)
class Policy:
    """How often a model is made anew.

    Attributes:
        text: The policy as users write it.
        hours: At the multiples of so many hours since 1970.
        on_alarm: In every run while an alarm of monitoring is open, too.
    """

    text: str
    hours: int
    on_alarm: bool = False


def policy(text: str) -> Policy:
    """Return the policy that a setting or an Airflow Variable names.

    >>> policy("every 24 hours").hours
    24

    Raises:
        InvalidArgument: If it is none.
    """
    words = text.strip().lower()
    if words == "every_run":
        return Policy(words, 1)
    if words == "on_alarm":
        return Policy(words, CALM_HOURS, on_alarm=True)
    if (found := _EVERY.fullmatch(words)) and int(found[1]):
        return Policy(words, int(found[1]))
    raise InvalidArgument(f"retrain must be every_run, every N hours or on_alarm, not {text!r}", argument="retrain")


def cut(settings: Settings, run: TrainingRun, policy: Policy) -> TrainingRun:
    """Return the run with the training dataset that its policy asks for.

    The window ends as many hours earlier as the run is later than the hour at which the policy last asks for a new
    model. It begins with the first hour that every run has which shares this model.

    Raises:
        InvalidArgument: If the window is shorter than twice the hours of the policy.
        StorageError: If the store cannot be read or written now.
    """
    if policy.hours == 1:
        return run
    if run.window.hours < 2 * policy.hours:
        raise InvalidArgument(
            f"retrain={policy.text} needs a window of {2 * policy.hours} hours or more, not of {run.window.hours}: "
            "export more days (days_export), or train more often",
            argument="retrain",
        )
    late = (floor_hour(run.reference_datetime) - _due(settings, run, policy)) // HOUR
    start = run.window.start + (policy.hours - 1 - late) * HOUR
    window = Window(start, run.window.end - late * HOUR)
    dataset = FeatureStore(settings).create_training_dataset(
        feature_view_version=run.view.version, window=window, reference_datetime=run.reference_datetime
    )
    return replace(run, window=window, training_dataset=dataset)


def _due(settings: Settings, run: TrainingRun, policy: Policy) -> datetime:
    """Return the latest hour, up to the reference time of a run, at which the policy asks for a new model."""
    period = policy.hours * HOUR
    multiple = _EPOCH + (run.reference_datetime - _EPOCH) // period * period
    if not policy.on_alarm:
        return multiple
    # What monitoring finds in this run comes after the training, also when the run is repeated.
    before = run.reference_datetime - _INSTANT
    checks = Alarms(settings).read_checks(
        feature_view_version=run.view.version, reference_from=multiple - period, as_of=before
    )
    alarms = derive(checks.filter(checks["source"] == "monitoring"))
    if alarms["cleared_at"].null_count():
        return floor_hour(run.reference_datetime)
    # The run that found the alarm cleared had trained before it looked.
    cleared = [floor_hour(each) for each in alarms["cleared_at"]]
    return max([multiple, *cleared])


def reason(run: TrainingRun, policy: Policy, *, trained: bool, version: int) -> str:
    """Return in words why a run trained a model, or why not; ``run`` is as ``cut`` returned it."""
    if trained:
        return f"{policy.text}: no model of this configuration was fitted on the hours up to " + (
            f"{run.window.end:{DATETIME_FORMAT}} yet"
        )
    return f"{policy.text}: model version {version} was fitted on just these hours, up to " + (
        f"{run.window.end:{DATETIME_FORMAT}}"
    )
