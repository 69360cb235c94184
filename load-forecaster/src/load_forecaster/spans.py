"""Spans of hours in which a flag is set."""

import numpy as np

from load_forecaster.usual import Mask


def runs(flags: Mask) -> list[tuple[int, int]]:
    """Return the runs [start, end) of true flags.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def episodes(flags: Mask, *, apart: int) -> list[tuple[int, int]]:
    """Return the runs [start, end) of true flags, those less than ``apart`` hours apart as one.

    >>> episodes(np.array([True, False, True]), apart=2)
    [(0, 3)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in runs(flags):
        first = merged.pop()[0] if merged and start - merged[-1][1] < apart else start
        merged.append((first, end))
    return merged
