"""What a decision about the champion would change, in words."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from forecast_core import tracking
from forecast_core.contracts.settings import Settings
from forecast_core.contracts.window import DATETIME_FORMAT
from forecast_core.feature_store import FeatureStore
from forecast_core.tracking import Promotion
from load_forecaster import DEFAULT

_MOST_CHANGES: Final = 6
_DEFAULT: Final = "the shipped default"
Config = Mapping[str, Any] | None
"""A configuration of the forecaster; None is the shipped default."""


def of_promotion(settings: Settings, model_version: int, *, now: datetime) -> str:
    """Return what making the configuration of a model version the champion would change.

    Raises:
        NotFoundError: If the version is not registered.
        StorageError: If the store cannot be read now.
        TrackingError: If the tracking database cannot be read now.
    """
    model = tracking.model_version(settings, model_version)
    view, fh = int(model.tags["feature_view_version"]), int(model.tags.get("fh", 24))
    before = tracking.champion(settings, feature_view_version=view, fh=fh, reference_datetime=now)
    config: Config = json.loads(model.tags["config"]) if "config" in model.tags else None
    wanted = f"the configuration of model version {model_version}"
    return _change(_of_view(settings, view), wanted, config, before, now=now)


def of_rollback(settings: Settings, feature_view_version: int, *, now: datetime) -> str:
    """Return what making the champion before the present one the champion again would change.

    Raises:
        StorageError: If the store cannot be read now.
    """
    reign = tracking.reign_at(settings, feature_view_version=feature_view_version, reference_datetime=now)
    try:
        config, source = reign.before
    except LookupError:
        # The rollback itself says so.
        config, source = None, "default"
    wanted = _DEFAULT if source == "default" else f"the configuration of {source}"
    return _change(_of_view(settings, feature_view_version), wanted, config, reign.champion, now=now)


def _change(of_view: str, wanted: str, config: Config, before: Promotion | None, *, now: datetime) -> str:
    instead = _DEFAULT if before is None else f"the configuration of {before.source}"
    return (
        f"From {now:{DATETIME_FORMAT}} UTC on, runs of {of_view} train with {wanted} in place of {instead} "
        f"({_differences(None if before is None else before.config, config)})"
    )


def _of_view(settings: Settings, version: int) -> str:
    view = FeatureStore(settings).feature_view(version)
    return f"feature view {version} ({view.dataset}, feature group version {view.feature_group_version})"


def _differences(before: Config, after: Config) -> str:
    """Return what differs between two configurations.

    >>> _differences({**DEFAULT.to_dict(), "bags": 1}, {**DEFAULT.to_dict(), "bags": 2})
    'changes bags from 1 to 2'
    """
    old, new = (DEFAULT.to_dict() if each is None else each for each in (before, after))
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    named = [f"{name} from {old.get(name)} to {new.get(name)}" for name in changed[:_MOST_CHANGES]]
    more = f" and {len(changed) - _MOST_CHANGES} more" if len(changed) > _MOST_CHANGES else ""
    return f"changes {', '.join(named)}{more}" if changed else "the two are equal"
