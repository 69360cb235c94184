"""What the member of years learns from further than a week ahead: the level of the series and the time of the year."""

import numpy as np

from load_forecaster import distant
from load_forecaster.features import mean_known
from load_forecaster.gaussian import WINDOW_DAYS
from load_forecaster.members.days import DAY, Days
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel


def own_features(filled: FloatArray, origin: int) -> FloatArray:
    """Return the own features [series, feature] at ``origin``: logarithms of the means of the last day, week and month.

    The week's is taken as it is; the month's and the day's relative to the week's.

    Args:
        filled: Values [hour, series] in kWh with gaps bridged.
        origin: Index of the first hour that is not known.
    """
    day, week, month = (
        np.log(np.maximum(np.nan_to_num(mean_known(filled[max(0, origin - hours) : origin])), 1e-9))
        for hours in (DAY, 7 * DAY, 28 * DAY)
    )
    return np.stack([week, week - month, day - week], axis=1)


def days(panel: Panel, filled: FloatArray, *, fh: int, gap: int) -> Days:
    """Return the days of a history, the baseline being ``distant.pattern`` as of each origin.

    Args:
        panel: The history.
        filled: Its values [hour, series] with gaps bridged.
        fh: Leads.
        gap: Hours between an origin and its lead 0.
    """
    origins = np.arange(panel.hours - gap - fh, DAY * WINDOW_DAYS, -DAY)
    baselines = [distant.pattern(panel, filled, gap=gap, fh=fh, origin=origin) for origin in origins.tolist()]
    own = [own_features(filled, origin) for origin in origins.tolist()]
    return Days(origins, np.stack(baselines), np.stack(own), first=gap, errors=False)
