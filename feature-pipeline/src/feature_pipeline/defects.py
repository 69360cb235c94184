"""Defects of this software, and of the libraries under it, as an error of the tree."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import polars as pl

from forecast_core.contracts.errors import ForecastingError

logger = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def named(step: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let ``step`` raise a ``ForecastingError`` where it would raise anything else; the cause is chained to it.

    A panic of polars is no ``Exception``: callers that catch those, as orchestrators do, would not see it.
    """

    @wraps(step)
    def wrapped(*arguments: _P.args, **options: _P.kwargs) -> _T:
        try:
            return step(*arguments, **options)
        except ForecastingError:
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            # The message is one line; whoever mends the defect needs the traceback.
            logger.exception("%s.%s", step.__module__, step.__name__)
            raise ForecastingError(
                f"{step.__module__}.{step.__name__} failed by a defect of this software, not of the data: "
                f"{type(error).__name__}: {str(error)[:200]}. Please report it; running again will not help",
                cause=type(error).__name__,
            ) from error

    return wrapped
