"""What the pipelines log while a step runs, for whoever waits for it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

PACKAGES: Final = (
    "feature_pipeline",
    "training_pipeline",
    "batch_prediction_pipeline",
    "forecast_core",
    "load_forecaster",
)
"""Whose log is progress."""

SECONDS_BETWEEN_LINES: Final = 10.0
"""A search logs a trial every 15 s, a page of a download comes every second: often enough to see that it goes on."""


class _Latest(logging.Handler):
    """Show messages from INFO up, at most one in ``seconds``."""

    def __init__(self, show: Callable[[str], None], seconds: float) -> None:
        super().__init__(logging.INFO)
        self._show = show
        self._seconds = seconds
        self._shown = monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message of a record, if the last one is old enough."""
        if record.levelno == logging.INFO and monotonic() - self._shown >= self._seconds:
            self._shown = monotonic()
            self._show(record.getMessage())


@contextmanager
def logged(show: Callable[[str], None], *, seconds: float = SECONDS_BETWEEN_LINES) -> Iterator[None]:
    """Call ``show`` with what the pipelines log at level INFO meanwhile, at most once in ``seconds``."""
    handler = _Latest(show, seconds)
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
