"""Working on pieces of rows of a large matrix, several at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
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


def map_pieces(
    work: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    *,
    done: Callable[[Result], object] | None = None,
) -> list[Result]:
    """Return ``work(piece)`` in the order of the pieces, several at once, each on one thread.

    Worth it where much of the work knows one thread only, as SciPy's sparse products do, or where
    each piece takes a few ms: threads that meet after every small operation wait for the slowest
    whenever another process takes a core. The first piece is worked on alone, so that tables that
    are made at first use are made once; a single piece has all threads.

    Parameters
    ----------
    work
        What to do with a piece.
    pieces
        The pieces; all are taken before the second is done.
    done
        Called with each result in turn, in the calling thread, for a progress bar.

    Examples
    --------
    >>> map_pieces(lambda n: n * n, range(4))
    [0, 1, 4, 9]
    """
    results: list[Result] = []

    def take(some: Iterable[Result]) -> None:
        for result in some:
            results.append(result)
            if done is not None:
                done(result)

    rest = iter(pieces)
    first = list(itertools.islice(rest, 2))
    threads = torch.get_num_threads()
    if threads <= 1 or len(first) <= 1:
        take(map(work, itertools.chain(first, rest)))
        return results
    with (
        ONE_THREAD,
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        take(map(work, first[:1]))
        take(pool.map(work, itertools.chain(first[1:], rest)))
    return results


class _OneThread:
    """While it is entered, numpy and PyTorch work on one thread in each thread of ours.

    The limits hold for the whole process, so what was before is kept by the first of several
    threads that enter and restored by the last that leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._torch = torch.get_num_threads()
                self._blas = threadpool_limits(1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._blas.restore_original_limits()
                torch.set_num_threads(self._torch)


ONE_THREAD: Final = _OneThread()
