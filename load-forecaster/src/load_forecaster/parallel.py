"""Several calls at once, in threads: NumPy and LightGBM compute without the interpreter's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], arguments: Iterable[T], *, threads: int) -> list[R]:
    """Return ``function`` of each argument, in their order, computed by up to ``threads`` threads.

    >>> each(abs, [-1, 2, -3], threads=2)
    [1, 2, 3]
    """
    if threads <= 1:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(function, arguments))
