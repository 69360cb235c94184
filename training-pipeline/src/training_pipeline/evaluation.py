"""How good a configuration is: one number to search by, and the measures behind it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

import load_forecaster
from forecast_core.contracts.errors import WindowError
from forecast_core.contracts.window import Window
from load_forecaster import ForecasterConfig, Measures

ORIGINS: Final = 5
"""Daily origins before the end of the training window that a model is measured on when it is trained."""

HELD_OUT: Final = 7
"""The latest origins, one of each weekday, which the search leaves for comparing what it found with the champion."""

FOLDS: Final = 3
FOLD_ORIGINS: Final = 3
_ENOUGH_DAYS: Final = 10
"""Days without which no model is fitted: ``load_forecaster.training.LEAST_DAYS``."""


def held_out(window: Window, *, gap: int = 0) -> int:
    """Return how many of the latest daily origins a search does not look at: fewer in a short window.

    Args:
        window: The training window.
        gap: Hours between the last observation and the first forecast hour.
    """
    return max(0, min(HELD_OUT, ((window.hours - gap) // 24 - _ENOUGH_DAYS) // 3))


def folds(window: Window, *, gap: int = 0) -> list[datetime]:
    """Return the ends of the folds that a search measures on, newest first: at least one, more where days allow.

    A fold is ``FOLD_ORIGINS`` daily origins before its end, forecast by a model that is fitted on what was known before
    them. Folds do not overlap, and none reaches into the origins that are held out.
    """
    last = window.end - timedelta(days=held_out(window, gap=gap))
    ends = [last - timedelta(days=FOLD_ORIGINS * fold) for fold in range(FOLDS)]
    least = timedelta(days=FOLD_ORIGINS + _ENOUGH_DAYS, hours=gap)
    return [end for fold, end in enumerate(ends) if fold == 0 or end - window.start >= least]


def evaluate_fold(
    history: pl.DataFrame, *, end: datetime, fh: int, config: ForecasterConfig, threads: int, gap: int = 0
) -> Measures:
    """Return the measures of one fold; see ``load_forecaster.evaluate``.

    The member that learns from years stays out: nothing that is searched for changes it, and a fit of it costs more
    than all the others.
    """
    config = replace(config, years_weight=0.0)
    known = history.filter(pl.col("datetime_utc") < end)
    return load_forecaster.evaluate(
        known, end=end, fh=fh, gap=gap, config=config, threads=threads, origins=FOLD_ORIGINS
    ).metrics


def objective(measures: Measures) -> float:
    """Return what the search minimises: the mean of WAPE over that of the naive forecast, and of rMAE24.

    WAPE alone would be decided by the three largest series, rMAE24 alone counts the smallest as much as those.

    >>> objective({"wape_ratio": 0.6, "rmae24": 0.5})
    0.55

    Raises:
        WindowError: If the training window is too short to measure anything in it.
    """
    ratio, relative = measures["wape_ratio"], measures["rmae24"]
    if ratio is None or relative is None:
        raise WindowError(
            "the training window is too short to compare configurations in it: give it two weeks or more, or train "
            "with the default configuration",
            measures=measures,
        )
    return float(ratio + relative) / 2
