"""How a step of a pipeline behaves as a program: its log, its result, its errors, its exit code."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from forecast_core.contracts.errors import ForecastingError


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``name``, with messages from INFO up going to stderr where nobody has set logging up yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return logging.getLogger(name)


_OLDER_NAMES: Final = {"--reference-datetime": "--reference", "--export-end-reference-datetime": "--reference"}
"""Names that options had before, or have as arguments in Python; they are taken, and not shown."""


def with_hyphens(arguments: Sequence[str]) -> list[str]:
    """Return arguments with the names of options that the commands have: with hyphens, and one name for one thing.

    >>> with_hyphens(["--days_delay", "15", "--url=my_file.csv", "--reference-datetime=2024-03-31"])
    ['--days-delay', '15', '--url=my_file.csv', '--reference=2024-03-31']
    """
    spelt = []
    for each in arguments:
        name, equals, value = each.partition("=")
        spelled = name.replace("_", "-")
        spelt.append(f"{_OLDER_NAMES.get(spelled, spelled)}{equals}{value}" if name.startswith("--") else each)
    return spelt


def run_step(
    step: Callable[..., Any],
    arguments: dict[str, Any],
    *,
    show: Callable[[Any], str] | None = None,
    is_sound: Callable[[Any], bool] = lambda _: True,
) -> int:
    """Call ``step``; its result goes to stdout as JSON, an error as one line to stderr. Return the exit code.

    Args:
        step: What to call.
        arguments: Its arguments.
        show: Makes the text of the result, where that shall not be JSON.
        is_sound: Whether a result is one to be content with; the exit code is 1 otherwise.
    """
    get_logger(step.__module__)
    try:
        result = step(**arguments)
    except ForecastingError as error:
        return refused(error)
    sys.stdout.write(show(result) if show else json.dumps(result, indent=2) + "\n")
    return 0 if is_sound(result) else 1


def refused(error: ForecastingError) -> int:
    """Print an error as one line to stderr; return the exit code."""
    sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
    return 1
