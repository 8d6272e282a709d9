"""Working on pieces of rows of a large matrix, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import torch
from threadpoolctl import threadpool_limits

__all__ = ["map_pieces", "over_rows"]

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Scores per piece of work of one thread: about 4 MB, which stays in the cache.
PIECE_SCORES: Final = 1_000_000


def over_rows(work: Callable[[int, int], None], rows: int, columns: int) -> None:
    """Call ``work(start, stop)`` for pieces of the rows, on as many threads as PyTorch uses.

    The work should spend its time in numpy calls that let other threads run.

    Examples
    --------
    >>> import numpy as np
    >>> sums = np.zeros(5)
    >>> over_rows(lambda start, stop: sums.__setitem__(slice(start, stop), stop - start), 5, 10**6)
    >>> sums.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    step = max(1, PIECE_SCORES // max(columns, 1))
    starts = range(0, rows, step)
    threads = min(torch.get_num_threads(), len(starts))
    if threads <= 1:
        for start in starts:
            work(start, min(start + step, rows))
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: work(start, min(start + step, rows)), starts))


def map_pieces(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """Yield ``work(piece)`` in the order of the pieces, several at once, each on one thread.

    Worth it where much of the work knows one thread only, as SciPy's sparse products do. The first
    piece is worked on alone, so that objects made at first use are made once.

    Examples
    --------
    >>> list(map_pieces(lambda n: n * n, range(4)))
    [0, 1, 4, 9]
    """
    threads = torch.get_num_threads()
    rest = iter(pieces)
    for first in rest:
        yield work(first)
        break
    if threads <= 1:
        yield from map(work, rest)
        return
    try:
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            yield from pool.map(work, rest)
    finally:
        torch.set_num_threads(threads)
