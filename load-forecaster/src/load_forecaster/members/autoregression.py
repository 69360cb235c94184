"""A member that needs no fit: hour after hour, the change against the day before is regressed on past changes.

Changes are those of logarithms. One regression over all series by least absolute errors, and a ridge
correction for each series on what it leaves. The forecast of an hour is an input of the next ones.
"""

from typing import Final

import numpy as np

from load_forecaster.gaussian import relative
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel
from load_forecaster.tiles import moments

LAGS: Final = np.array([1, 2, 3, 4, 23, 24, 25, 26, 48, 49, 72, 96, 120, 144, 167, 168, 169])
LEAST_HOURS: Final = 72
"""Hours to learn from without which the forecast repeats the day before."""

LEAST_SHARE: Final = 0.05
"""Values below this share of the level count as that share: logarithms stay finite."""

ORIGIN_DECAY: Final = 0.95
PENALTY: Final = 0.01
SERIES_PENALTY: Final = 200.0
LEAST_ERROR: Final = 0.1
ROUNDS: Final = 5
SERIES_ROUNDS: Final = 3
SERIES_LEARNT_FROM: Final = 500
SERIES_AT_ONCE: Final = 250
DUMMIES: Final = 3


def forecast(panel: Panel, filled: FloatArray, *, fh: int) -> FloatArray:
    """Return the forecast [lead, series] in kWh from values with gaps bridged."""
    level, values = relative(filled, filled)
    logs = np.log(np.maximum(values, LEAST_SHARE))
    model = _Changes(panel, fh)
    change = model.changes(logs)
    size = np.maximum(np.abs(change).mean(axis=0), 0.005)
    first = 26 + int(LAGS.max())
    if panel.hours - first < LEAST_HOURS:
        return np.asarray(model.carried_on(logs, np.zeros((fh, len(level)))) * level)
    common = model.common(change)
    hours = np.arange(panel.hours - 1, first - 1, -1)
    age: FloatArray = np.power(ORIGIN_DECAY, (panel.hours - 1 - hours) // 24)[:, None]
    some = np.unique(np.linspace(0, len(level) - 1, min(len(level), SERIES_LEARNT_FROM)).astype(int))
    x = model.inputs(change[:, some], common, hours, size[some])
    y = change[hours][:, some] / size[some]
    scale = np.sqrt((x**2).mean(axis=(0, 1))) + 1e-9
    pooled = _pooled(x / scale, y, age)
    parts: list[FloatArray] = []
    for part in np.array_split(np.arange(len(level)), -(-len(level) // SERIES_AT_ONCE)):
        x = model.inputs(change[:, part], common, hours, size[part]) / scale
        parts.append(pooled + _corrections(x, change[hours][:, part] / size[part] - _times(x, pooled), age))
    coefficients = np.concatenate(parts) / scale
    return np.asarray(model.carried_on(logs, model.run(change, size, coefficients)) * level)


class _Changes:
    """The calendar of changes from day to day, at the same local hour."""

    def __init__(self, panel: Panel, fh: int) -> None:
        self.hours, self.fh = panel.hours, fh
        self.offset = panel.local.offset
        day_type = panel.local.day_type
        turned = day_type[24:] != day_type[:-24]
        self.turned = np.concatenate([np.zeros(24, dtype=bool), turned])
        self.day_type = day_type

    def earlier(self, hours: IntArray, lags: IntArray) -> IntArray:
        """Return the hours ``lags`` before, whole days counted in local hours: [..., lag]."""
        target = np.asarray(hours)[..., None]
        back = np.maximum(target - lags, 0)
        shift = np.where(lags >= 22, self.offset[target] - self.offset[back], 0)
        return np.asarray(np.clip(back + shift, 0, np.maximum(target - 1, 0)))

    def changes(self, logs: FloatArray) -> FloatArray:
        """Return the change of each hour against the same local hour of the day before; 0 for the first day."""
        hours = np.arange(self.hours)
        before = self.earlier(hours, np.array([24]))[:, 0]
        change = logs - logs[before]
        change[:26] = 0.0
        return np.asarray(change)

    def common(self, change: FloatArray) -> FloatArray:
        """Return the mean change over all series."""
        return np.asarray(change.mean(axis=1))

    def inputs(self, change: FloatArray, common: FloatArray, hours: IntArray, size: FloatArray) -> FloatArray:
        """Return the inputs [hour, series, term]: changes in units of each series' usual change, and indicators."""
        lagged = change[self.earlier(hours, LAGS)].swapaxes(1, 2)
        sums = np.concatenate([np.zeros((1, change.shape[1])), np.cumsum(change, axis=0)])
        means = [(sums[hours] - sums[hours - span]) / span for span in (24, 6)]
        day = np.concatenate([[0.0], np.cumsum(common)])
        shared = [common[hours - 1], (day[hours] - day[hours - 24]) / 24, common[hours - 24]]
        turned, yesterday = self.turned[hours][:, None], self.turned[hours - 24][:, None]
        week, before = lagged[..., -2], lagged[..., 5]
        numbers = [*means, *(np.broadcast_to(each[:, None], week.shape) for each in shared)]
        numbers += [week * turned, before * turned, before * yesterday]
        kinds = [self.turned[hours] & (self.day_type[hours] == kind) for kind in range(DUMMIES)]
        flags = [np.broadcast_to(each[:, None], week.shape) for each in kinds]
        relative_terms = np.concatenate([lagged, np.stack(numbers, axis=-1)], axis=-1) / size[:, None]
        return np.concatenate([relative_terms, np.stack(flags, axis=-1)], axis=-1)

    def run(self, change: FloatArray, size: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Return the changes [lead, series] of the hours to come, each from those before it."""
        whole = np.concatenate([change, np.zeros((self.fh, change.shape[1]))])
        common = np.concatenate([self.common(change), np.zeros(self.fh)])
        for hour in range(self.hours, self.hours + self.fh):
            x = self._inputs_at(whole, common, hour, size)
            whole[hour] = np.clip((x * coefficients).sum(axis=-1) * size, -1.0, 1.0)
            common[hour] = whole[hour].mean()
        return whole[self.hours :]

    def _inputs_at(self, change: FloatArray, common: FloatArray, hour: int, size: FloatArray) -> FloatArray:
        return np.asarray(self.inputs(change[: hour + 1], common[: hour + 1], np.array([hour]), size)[0])

    def carried_on(self, logs: FloatArray, change: FloatArray) -> FloatArray:
        """Return the values that follow when each hour changes by ``change`` against the day before."""
        whole = np.concatenate([logs, np.zeros(change.shape)])
        for hour in range(self.hours, self.hours + self.fh):
            before = int(self.earlier(np.array([hour]), np.array([24]))[0, 0])
            whole[hour] = whole[before] + change[hour - self.hours]
        return np.asarray(np.exp(whole[self.hours :]))


def _pooled(x: FloatArray, y: FloatArray, age: FloatArray) -> FloatArray:
    """Return one coefficient a term, over all series, by reweighted least squares."""
    terms = x.shape[-1]
    flat, error = x.reshape(-1, terms), np.ones_like(y)
    solution: FloatArray = np.zeros(terms)
    for _ in range(ROUNDS):
        weight = age / np.maximum(np.abs(error), LEAST_ERROR)
        weighted = flat * (weight / weight.sum()).ravel()[:, None]
        towards = moments(weighted, y.reshape(-1, 1))[:, 0]
        solution = np.asarray(
            np.linalg.solve(moments(weighted, flat) + PENALTY * np.eye(terms), towards), dtype=np.float64
        )
        error = y - _times(x, solution)
    return solution


def _times(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("tsk,k->ts", x, coefficients))


def _corrections(x: FloatArray, y: FloatArray, age: FloatArray) -> FloatArray:
    """Return what each series adds to the pooled coefficients: [series, term]."""
    error, terms = y, x.shape[-1]
    rows = np.ascontiguousarray(x.swapaxes(0, 1))
    solution: FloatArray = np.zeros((x.shape[1], terms))
    for _ in range(SERIES_ROUNDS):
        weight = (age / np.maximum(np.abs(error), LEAST_ERROR)).T[..., None]
        weighted = rows * weight
        towards = moments(weighted, y.T[..., None])
        systems = moments(weighted, rows) + SERIES_PENALTY * np.eye(terms)
        solution = np.asarray(np.linalg.solve(systems, towards)[..., 0], dtype=np.float64)
        error = y - np.einsum("tsk,sk->ts", x, solution)
    return solution
