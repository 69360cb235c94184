"""Counter-based random numbers: each is a hash of a stream's key and a counter.

A value depends on its key and hour alone, so any part of the data can be computed by itself. The hash is SplitMix64's
output function (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Hours = NDArray[np.int64]
Keys = NDArray[np.uint64]

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_IRWIN_HALL_SD: Final = 65536 / np.sqrt(3)
"""Standard deviation of the sum of four uniform 16-bit numbers."""


def keys(purpose: str, names: list[str]) -> Keys:
    """Return one key per name, shape (len(names),); another purpose gives other keys."""
    digests = (hashlib.blake2b(f"{purpose}:{name}".encode(), digest_size=8).digest() for name in names)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def bits(key: Keys, counter: Hours) -> Keys:
    """Return 64 random bits for each element of the broadcast arguments."""
    state = key + (counter.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN)
    for shift, factor in _MIX:
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(state ^ (state >> np.uint64(31)))


def uniform(key: Keys, counter: Hours) -> Floats:
    """Return numbers uniform in [0, 1)."""
    return (bits(key, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: Keys, counter: Hours) -> Floats:
    """Return nearly normal numbers of mean 0 and variance 1, within ±3.5 (Irwin-Hall of four 16-bit parts)."""
    random = bits(key, counter)
    parts = sum((random >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
    return np.asarray((np.asarray(parts, dtype=np.float64) - 2 * 65535) / _IRWIN_HALL_SD)


def smooth(key: Keys, hours: Hours, *, scale: int) -> Floats:
    """Return autocorrelated noise of mean 0 and variance 1, shape (len(key), len(hours)).

    Normal numbers at knots ``scale`` hours apart (each key has its own phase) are interpolated smoothly and rescaled to
    constant variance. Values more than 2 x ``scale`` hours apart are independent.
    """
    phase = (bits(key, np.array([-1])) % np.uint64(scale)).astype(np.int64)
    knot, offset = np.divmod(hours + phase[:, None], scale)
    first = int(knot.min())
    knots = normal(key[:, None], np.arange(first, int(knot.max()) + 2))
    share = offset / scale
    right = share * share * (3 - 2 * share)
    left = 1 - right
    blend = left * np.take_along_axis(knots, knot - first, axis=1)
    blend += right * np.take_along_axis(knots, knot - first + 1, axis=1)
    return blend / np.sqrt(left * left + right * right)
