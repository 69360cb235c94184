"""How good a configuration is: one number to search by, and the measures behind it."""

from typing import Any, Final

import polars as pl

from forecast_core import forecaster
from forecast_core.errors import WindowError
from forecast_core.forecaster import Evaluation, ForecasterConfig
from training_pipeline.data import Task

ORIGINS: Final = 5
"""Daily origins before the end of the training window that a configuration is measured on."""


def evaluate(history: pl.DataFrame, task: Task, config: ForecasterConfig, *, threads: int) -> Evaluation:
    """Replay the last days of the training window against the seasonal naive forecast; see ``forecaster.evaluate``."""
    end = task.dataset.window.end
    return forecaster.evaluate(
        history, end=end, fh=task.fh, gap=task.gap, config=config, threads=threads, origins=ORIGINS
    )


def objective(measures: dict[str, Any]) -> float:
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
