"""When simulated values become known: hours that are never published, and values that are restated later."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from feature_pipeline.demo import noise
from feature_pipeline.demo.noise import Floats, Hours, Keys

DELAY_HOURS: Final = 1
"""Hours from the start of an hour to its publication: a value is published when its hour is over."""

MISSING_SHARE: Final = 0.001
_MISSING_BLOCK_HOURS: Final = 2

REVISED_SHARE: Final = 0.01
_REVISED_BLOCK_HOURS: Final = 6
_EARLIEST_RESTATEMENT_HOURS: Final = 16 * 24 + _REVISED_BLOCK_HOURS
_LATEST_RESTATEMENT_HOURS: Final = 40 * 24
_LEAST_DEVIATION: Final = 0.03
_MOST_DEVIATION: Final = 0.15


def is_published(names: list[str], hours: Hours) -> NDArray[np.bool_]:
    """Return whether each value is ever published, shape (series, hours)."""
    draw = noise.uniform(noise.keys("missing", names)[:, None], hours // _MISSING_BLOCK_HOURS)
    return draw >= MISSING_SHARE


def first_deviation(names: list[str], hours: Hours, *, known: int) -> Floats:
    """Return the ratio of the value known at hour ``known`` to the final value, shape (series, hours).

    It is 1, except in 1 % of the blocks of six hours: these are published 3 to 15 % too high or too low, and are
    restated together, once, 16 to 40 days later.
    """

    def draw(purpose: str) -> Floats:
        key: Keys = noise.keys(purpose, names)[:, None]
        return noise.uniform(key, block)

    block = hours // _REVISED_BLOCK_HOURS
    span = _LATEST_RESTATEMENT_HOURS - _EARLIEST_RESTATEMENT_HOURS
    restated = block * _REVISED_BLOCK_HOURS + _EARLIEST_RESTATEMENT_HOURS + np.floor(draw("restatement") * span)
    wrong = (draw("revised") < REVISED_SHARE) & (restated > known)
    size = _LEAST_DEVIATION + (_MOST_DEVIATION - _LEAST_DEVIATION) * draw("deviation")
    sign = np.where(draw("sign") < 0.5, -1.0, 1.0)
    return np.where(wrong, 1 + sign * size, 1.0)
