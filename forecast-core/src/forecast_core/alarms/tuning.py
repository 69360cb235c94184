"""Whether an alarm asks a run to tune."""

from datetime import datetime

from forecast_core.alarms.derivation import derive
from forecast_core.alarms.schema import INSTANT
from forecast_core.alarms.store import Alarms
from forecast_core.contracts.arguments import moment
from forecast_core.contracts.settings import Settings


def tuning_is_due(settings: Settings, *, feature_view_version: int, reference_datetime: datetime | str) -> bool:
    """Whether a run at a reference time is the first after an evaluation at which an alarm began to ask for tuning.

    The answer follows from the checks before the reference time alone: whatever is evaluated at that time or later, and
    in whatever order the checks were stored, it is the same. A run of a past hour whose earlier hours have not been
    evaluated yet cannot know their alarms; so a backfill does not ask (``feature_view.create``).

    Raises:
        InvalidArgument: If the time cannot be read.
        StorageError: If the store cannot be read now.
    """
    before = moment("reference_datetime", reference_datetime) - INSTANT
    checks = Alarms(settings).read_last_checks(feature_view_version=feature_view_version, as_of=before)
    # An alarm that asked for tuning at the last evaluation is open at it.
    last = checks["reference_datetime"].max()
    return last is not None and last in derive(checks)["tune_at"].to_list()
