"""Retraining policy: whether a run trains a model, or goes on with one that there is."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from forecast_core import tracking
from forecast_core.alarms import Alarms
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.errors import InvalidArgument
from forecast_core.contracts.schema import HOUR
from forecast_core.contracts.settings import Settings
from forecast_core.runs import TrainingRun
from forecast_core.tracking import ModelVersion
from training_pipeline import data
from training_pipeline.best_config import Choice

_EVERY = re.compile(r"every (\d+) hours?")


@dataclass(frozen=True)
class Policy:
    """Train in every run (``hours`` 0), when the model is ``hours`` old, or (None) when an alarm is open."""

    text: str
    hours: int | None


def policy(text: str) -> Policy:
    """Return the policy that a setting or an Airflow Variable names.

    >>> policy("every 24 hours").hours
    24

    Raises:
        InvalidArgument: If it is none.
    """
    words = text.strip().lower()
    if words == "every_run":
        return Policy(words, 0)
    if words == "on_alarm":
        return Policy(words, None)
    if found := _EVERY.fullmatch(words):
        return Policy(words, int(found[1]))
    raise InvalidArgument(f"retrain must be every_run, every N hours or on_alarm, not {text!r}", argument="retrain")


def kept(settings: Settings, run: TrainingRun, choice: Choice, policy: Policy) -> tuple[ModelVersion | None, str]:
    """Return the model that the policy goes on with, or None to train one, and why.

    Only a model of the same recipe (configuration and code) counts, for the same feature view, horizon and gap, and
    none of a later reference time.

    Raises:
        TrackingError: If the tracking database cannot be read now.
        StorageError: If the alarms cannot be read now.
    """
    if policy.hours == 0:
        return None, "a model is trained in every run"
    newest = _newest(settings, run, choice)
    if newest is None:
        return None, "there is no model of this recipe yet"
    age = run.reference_datetime - moment("reference_datetime", newest.tags["reference_datetime"])
    hours = age // HOUR
    if policy.hours is not None:
        due = age >= timedelta(hours=policy.hours)
        return (None if due else newest), f"model version {newest.version} is {hours} hours old"
    # What monitoring finds in this run comes after the training, also when the run is repeated.
    before = run.reference_datetime - timedelta(microseconds=1)
    found = Alarms(settings).read(feature_view_version=run.view.version, as_of=before, only_open=True)
    kinds = sorted({row["kind"] for row in found.iter_rows(named=True) if row["source"] == "monitoring"})
    if kinds:
        return None, f"alarms are open: {', '.join(kinds)}"
    return newest, f"no alarm is open; model version {newest.version} is {hours} hours old"


def _newest(settings: Settings, run: TrainingRun, choice: Choice) -> ModelVersion | None:
    wanted = {
        "feature_view_version": str(run.view.version),
        "fh": str(run.fh),
        "gap": str(run.gap),
        "code_version": data.code_version(),
        "config": choice.config_text(),
    }
    models = tracking.find_model_versions(settings, wanted)
    past = [each for each in models if _reference(each) <= run.reference_datetime]
    return max(past, key=lambda each: (_reference(each), each.version), default=None)


def _reference(model: ModelVersion) -> Any:
    return moment("reference_datetime", model.tags["reference_datetime"])
