"""Factorised covariances of the hours of one window, shared by all forecasts that look back on hours of that window.

The factor of the first hours of a window is a part of the factor of all its hours. So one factorisation for each kernel
serves the forecast from the whole window, the forecasts as of earlier origins, and windows that begin at the same hour
and end earlier (those of a rolling-origin evaluation). The results have the same bits as with a factorisation for each.
"""

from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import Final

import numpy as np

from load_forecaster.kernels import KERNELS, Calendar, Kernel, covariance
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import Panel
from load_forecaster.parallel import each
from load_forecaster.tiles import TILE, LowerFactor, product

DAY: Final = 24


class Factors:
    """The factors of all kernels for the hours of a window, each forecast reaching ``fh`` hours (24 at least)."""

    def __init__(self, window: Panel, *, fh: int, threads: int = 1) -> None:
        self.window, self.fh = _identity(window), max(fh, DAY)
        self.hours = window.hours
        calendar = Calendar.of(window, window.hours + self.fh)
        self.kernels = each(lambda kernel: _Factored(kernel, calendar, window.hours), KERNELS, threads=threads)

    def serve(self, window: Panel, *, fh: int) -> bool:
        """Whether a window begins at the same hour, has the same calendar, and is no longer."""
        return _identity(window) == self.window and window.hours <= self.hours and max(fh, DAY) == self.fh

    def paths(self, values: FloatArray, origins: Sequence[int]) -> FloatArray:
        """Return the forecasts [kernel, origin, lead, series], each from the values before its origin only.

        Args:
            values: [hour, series] from the first hour of the window on; no NaN.
            origins: Indices of the first hours to forecast, none larger than the number of values.
        """
        return np.stack([kernel.paths(values, origins, self.fh) for kernel in self.kernels])


def _identity(window: Panel) -> tuple[datetime, int, str]:
    """Return what the covariances of a window depend on: its first hour, the end of its calendar, and the zone."""
    return window.start, window.hours + window.ahead, window.timezone


class _Factored:
    """The covariance of one kernel [hour, hour and hour to come], its factor, and what was solved with it so far."""

    def __init__(self, kernel: Kernel, calendar: Calendar, hours: int) -> None:
        every = np.arange(len(calendar.hour))
        self._covariance = covariance(kernel, calendar, every[:hours], every)
        self._factor = LowerFactor(self._covariance[:, :hours])
        self._solved: dict[int, FloatArray] = {}
        self._lock = Lock()

    def paths(self, values: FloatArray, origins: Sequence[int], fh: int) -> FloatArray:
        """Return the forecast [origin, lead, series] of this kernel."""
        hours, series = values.shape
        # The last tile of the factor is that of the window's own hours, so what reaches into it is solved anew.
        full = hours - hours % TILE
        earlier = self._solutions([origin for origin in origins if origin <= full], fh)
        latest = [origin for origin in origins if origin > full]
        right = [values, *(self._covariance[:hours, origin : origin + fh] for origin in latest)]
        solved = self._factor.solve(np.concatenate(right, axis=1))
        last = solved[:, series:].reshape(hours, len(latest), fh).swapaxes(0, 1)
        found = {**earlier, **dict(zip(latest, last, strict=True))}
        rest = np.zeros((len(origins), fh, hours))
        for index, origin in enumerate(origins):
            rest[index, :, :origin] = found[origin][:origin].T
        return product(rest.reshape(-1, hours), solved[:, :series]).reshape(len(origins), fh, -1)

    def _solutions(self, origins: list[int], fh: int) -> dict[int, FloatArray]:
        """Return the solutions [hour, lead] for the covariances of some origins with the hours before them."""
        with self._lock:
            missing = [origin for origin in origins if origin not in self._solved]
            if missing:
                right = np.concatenate([self._covariance[:, origin : origin + fh] for origin in missing], axis=1)
                solved = self._factor.solve(right)
                for index, origin in enumerate(missing):
                    self._solved[origin] = solved[:origin, index * fh : (index + 1) * fh].copy()
            return {origin: self._solved[origin] for origin in origins}
