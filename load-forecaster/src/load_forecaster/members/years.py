"""A member that learns from years: for each series a ridge regression on what has just happened, there and everywhere.

Tomorrow's weather is in no history of consumption, but today's is in that of every series, and it travels: what the
expected missed over the last day, at the series itself and along the main directions in which all series move together,
says much about tomorrow, and a year of days is enough to learn for each series how. Far ahead (``distant``) what counts
is how high the series stands, and the time of the year.

All products are made in tiles (``tiles``): the same bits whatever the number of threads.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from load_forecaster import distant
from load_forecaster.features import mean_known
from load_forecaster.gaussian import WINDOW_DAYS, Expected, expected
from load_forecaster.metrics import FloatArray
from load_forecaster.panel import IntArray, Panel
from load_forecaster.parallel import each
from load_forecaster.tiles import product, solve_lower_factor

LEAST_DAYS: Final = 365
"""Days of history without which nothing is fitted."""

LEAST_SHARE: Final = 0.7
"""A series is learnt if it was observed on so many of these days."""

DAY: Final = 24
STRIDE: Final = 20
"""Days between the windows that the Gaussian processes look at the history through."""

LARGEST: Final = 0.5
"""A miss of more than this share of the level counts as this."""

LATEST: Final = 3
PARTS: Final = 8
DIRECTIONS: Final = 64
"""Directions in which all series move together."""

ITERATIONS: Final = 12
HARMONICS: Final = 4
"""Waves of the year."""

YEAR_HOURS: Final = 24 * 365.2425
PENALTY: Final = 30.0
OWN_PENALTY: Final = 10.0
CALENDAR_PENALTY: Final = 7.5
ROUNDS: Final = 3
LEAST_ERROR: Final = 0.3
"""Days with less than this share of the usual error weigh alike: keeps the reweighting finite."""


@dataclass(frozen=True)
class Years:
    """Coefficients [series, term, lead] of the ``series`` that were learnt, and what makes the terms.

    Own terms are ``(own - centre) / spread`` [series, own]; of all own terms together, flattened, ``directions``
    [series x own, direction] makes the common ones. ``scale`` [series] turns the result into shares of the level.
    """

    series: tuple[tuple[str, str], ...]
    centre: FloatArray
    spread: FloatArray
    directions: FloatArray
    scale: FloatArray
    coefficients: FloatArray

    def predict(self, own: FloatArray, calendar: FloatArray, series: tuple[tuple[str, str], ...]) -> FloatArray:
        """Return what is to be added to the expected, relative to the level: [lead, series]; NaN for the unknown."""
        return np.asarray(sum(self.contributions(own, calendar, series).values()))

    def contributions(
        self, own: FloatArray, calendar: FloatArray, series: tuple[tuple[str, str], ...]
    ) -> dict[str, FloatArray]:
        """Return what each group of inputs adds to ``predict``, as [lead, series].

        Args:
            own: Own terms [series, own] at the origin, as ``own_terms`` or ``distant_terms`` makes them.
            calendar: Terms of the calendar, as ``calendar_terms`` makes them.
            series: Their keys.
        """
        position = {key: index for index, key in enumerate(series)}
        there = np.array([position.get(key, -1) for key in self.series])
        # One that is gone is as always.
        standard = np.where((there >= 0)[:, None], (own[there] - self.centre) / self.spread, 0.0)
        common = product(standard.reshape(1, -1), self.directions)[0]
        count = {"own": own.shape[1], "all": len(common)}
        terms = np.concatenate([standard, np.tile(np.concatenate([common, calendar]), (len(there), 1))], axis=1)
        each = terms[..., None] * self.coefficients * self.scale[:, None, None]
        found = {
            "errors of the day before" if count["all"] else "level": each[:, : count["own"]],
            "all series": each[:, count["own"] : count["own"] + count["all"]],
            "calendar": each[:, count["own"] + count["all"] :],
        }
        result = {}
        for name, part in found.items():
            result[name] = np.full((self.coefficients.shape[2], len(series)), np.nan)
            result[name][:, there[there >= 0]] = part.sum(axis=1)[there >= 0].T
        return result


def own_terms(missed: FloatArray) -> FloatArray:
    """Return the own terms [series, own] from what the expected ``missed[hour, series]`` over the last day."""
    within = np.clip(missed, -LARGEST, LARGEST)
    parts = within.reshape(PARTS, DAY // PARTS, -1).mean(axis=1)
    return np.concatenate([parts, within[-LATEST:]]).T


def distant_terms(filled: FloatArray, origin: int) -> FloatArray:
    """Return the own terms [series, own] at ``origin`` for hours far ahead: how high the series stands."""
    day, week, month = (
        np.log(np.maximum(np.nan_to_num(mean_known(filled[max(0, origin - hours) : origin])), 1e-9))
        for hours in (DAY, 7 * DAY, 28 * DAY)
    )
    return np.stack([week, week - month, day - week], axis=1)


def calendar_terms(panel: Panel, hour: int) -> FloatArray:
    """Return the terms of the calendar at an hour of the panel: time of the year, local weekday, one."""
    angle = 2 * np.pi * (panel.start.timestamp() / 3600 + hour) / YEAR_HOURS
    waves = [wave(angle * order) for order in range(1, HARMONICS + 1) for wave in (np.cos, np.sin)]
    return np.concatenate([waves, np.eye(7)[panel.local.weekday[hour]], [1.0]])


def fit(
    panel: Panel, *, truth: FloatArray, filled: FloatArray, fh: int, gap: int = 0, threads: int = 1
) -> Years | None:
    """Fit on the daily origins of the whole panel; None if there are too few.

    Args:
        panel: The history.
        truth: What was observed, NaN where nothing was; targets come from here.
        filled: The same with gaps bridged; terms come from here.
        fh: Hours to forecast.
        gap: Hours before them.
        threads: Threads to fit with; the result is the same for any number.
    """
    if panel.hours < DAY * LEAST_DAYS:
        return None
    near = gap + fh <= distant.FROM
    origins, bases, own = (
        _near_days(panel, filled, gap + fh, threads) if near else _distant_days(panel, filled, fh, gap)
    )
    level = np.stack([mean_known(filled[origin - 7 * DAY : origin]) for origin in origins.tolist()])
    first = 0 if near else gap
    target = np.stack([truth[origin + first : origin + first + bases.shape[1]] for origin in origins.tolist()])
    level = np.where(level > 0, level, np.nan)
    residual = np.clip((target - bases) / level[:, None], -LARGEST, LARGEST)
    known = np.asarray(~np.isnan(residual).any(axis=1))
    learnt = np.flatnonzero(known.sum(axis=0) >= LEAST_SHARE * LEAST_DAYS)
    if learnt.size == 0:
        return None
    calendar = np.stack([calendar_terms(panel, origin + first) for origin in origins.tolist()])
    series = tuple(panel.series[index] for index in learnt.tolist())
    return _fitted(
        series, own[:, learnt], calendar, np.nan_to_num(residual[:, :, learnt]), known[:, learnt], near, threads
    )


def _near_days(panel: Panel, filled: FloatArray, ahead: int, threads: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return origins, the expected [origin, lead, series] and own terms [origin, series, own], newest first."""

    def paths(end: int) -> Expected:
        values = filled[end - DAY * WINDOW_DAYS : end]
        return expected(panel.until(end, WINDOW_DAYS), values, fh=ahead, origins=STRIDE + 2)

    ends = range(panel.hours, DAY * WINDOW_DAYS - 1, -DAY * STRIDE)
    origins: list[int] = []
    bases, own = [], []
    for end, found in zip(ends, each(paths, ends, threads=threads), strict=True):
        for index, origin in enumerate(found.origins[:-1]):
            at = end - DAY * WINDOW_DAYS + origin
            if at + ahead > panel.hours or (origins and at >= origins[-1]):
                continue
            level = mean_known(filled[at - 7 * DAY : at])
            missed = filled[at - DAY : at] - found.values[index + 1][:DAY]
            origins.append(at)
            bases.append(found.values[index][:ahead].astype(np.float32))
            own.append(own_terms(np.nan_to_num(missed / np.where(level > 0, level, 1.0))))
    return np.array(origins), np.stack(bases), np.stack(own)


def _distant_days(panel: Panel, filled: FloatArray, fh: int, gap: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the same for hours far ahead, where the expected is the pattern of the last weeks."""
    origins = np.arange(panel.hours - gap - fh, DAY * WINDOW_DAYS, -DAY)
    bases = [distant.pattern(panel, filled, gap=gap, fh=fh, origin=origin) for origin in origins.tolist()]
    return origins, np.stack(bases), np.stack([distant_terms(filled, origin) for origin in origins.tolist()])


def _fitted(
    series: tuple[tuple[str, str], ...],
    own: FloatArray,
    calendar: FloatArray,
    residual: FloatArray,
    known: np.ndarray,
    near: bool,
    threads: int,
) -> Years:
    """Return the member of own terms and targets [origin, series, ...], terms of the calendar [origin, term]."""
    centre = own.mean(axis=0)
    # Misses of the hours of a day keep their proportions.
    spread = np.tile(own.std(axis=(0, 2))[:, None], (1, own.shape[2])) if near else own.std(axis=0)
    spread = spread + 1e-3
    scale = np.sqrt(np.mean(residual**2, axis=(0, 1))) + 1e-6
    standard = (own - centre) / spread
    flat = standard.reshape(len(own), -1)
    directions = main_directions(flat) if near else np.zeros((flat.shape[1], 0))
    common = np.concatenate([product(flat, directions), calendar], axis=1)
    counts = (own.shape[2], directions.shape[1], calendar.shape[1])
    penalty = np.repeat([OWN_PENALTY, PENALTY, CALENDAR_PENALTY], counts)

    def coefficients(index: int) -> FloatArray:
        terms = np.concatenate([standard[:, index], common], axis=1)
        return _ridge(terms, residual[:, :, index] / scale[index], known[:, index], penalty)

    learnt = np.stack(each(coefficients, range(len(series)), threads=threads))
    return Years(series, centre, spread, directions, scale, learnt)


def main_directions(rows: FloatArray) -> FloatArray:
    """Return the directions [column, direction] along which ``rows[row, column]`` vary most, by subspace iteration.

    Rows times directions have a mean square of one and are not correlated (Halko, Martinsson and Tropp 2011,
    doi:10.1137/090771806, algorithm 4.4).
    """
    count = min(DIRECTIONS, len(rows) // 8, rows.shape[1] // 4 + 1)
    gram = product(rows, np.ascontiguousarray(rows.T))
    basis = np.random.default_rng(0).standard_normal((len(rows), count))
    for _ in range(ITERATIONS):
        image = product(gram, basis)
        inner = product(np.ascontiguousarray(image.T), image)
        basis = solve_lower_factor(inner + 1e-12 * np.trace(inner) * np.eye(count), image.T).T
    within = product(np.ascontiguousarray(basis.T), product(gram, basis))
    weights = product(basis, np.linalg.inv(within + 1e-9 * np.trace(within) * np.eye(count)))
    return np.asarray(product(np.ascontiguousarray(rows.T), weights) * np.sqrt(len(rows)))


def _ridge(terms: FloatArray, y: FloatArray, known: np.ndarray, penalty: FloatArray) -> FloatArray:
    """Return coefficients [term, lead], reweighted towards least absolute errors of whole days."""
    weight = known.astype(np.float64)
    coefficients = np.zeros((terms.shape[1], y.shape[1]))
    for _ in range(ROUNDS):
        weighted = np.ascontiguousarray((terms * weight[:, None]).T)
        moments = product(weighted, terms) + np.diag(penalty)
        inverse = solve_lower_factor(moments, np.eye(len(moments)))
        coefficients = product(np.ascontiguousarray(inverse.T), product(inverse, product(weighted, y)))
        error = np.abs(y - product(terms, coefficients)).mean(axis=1)
        usual = max(float(np.median(error[known])), 1e-9)
        weight = known * usual / np.maximum(error, LEAST_ERROR * usual)
    return coefficients
