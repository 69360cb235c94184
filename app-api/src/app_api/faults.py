"""Errors that a server must outlive, panics of native libraries included."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

_ENDS: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


def is_survivable(error: BaseException) -> bool:
    """Tell whether the server goes on after an error.

    A panic in polars or delta-rs is a BaseException, of another class in each library, so ``except Exception`` lets it
    pass and it ends the task or the connection. Only cancellation and the end of the process must get through.
    """
    return not isinstance(error, _ENDS)


def in_one_line(error: BaseException) -> str:
    r"""Return the class and the message of an error, without line breaks.

    >>> in_one_line(ValueError("no such\n  column"))
    'ValueError: no such column'
    """
    message = " ".join(str(error.args[0] if error.args else "").split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class FaultLog:
    """Logs each fault once when it begins, and once when it is over, however often it is met in between."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: dict[str, str] = {}

    def update(self, faults: Mapping[str, str]) -> None:
        """Take up the faults of now.

        Args:
            faults: What went wrong, as ``in_one_line`` says it, by the name of the part that it went wrong with.
        """
        for part, fault in faults.items():
            kind = fault.partition(":")[0]
            # The rest of a message may differ at every look, by a time or a number.
            if self._told.get(part) != kind:
                self._logger.error("%s cannot be read, so what was read before is still served: %s", part, fault)
                self._told[part] = kind
        for part in self._told.keys() - faults.keys():
            self._logger.warning("%s can be read again", part)
            del self._told[part]
