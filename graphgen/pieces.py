"""Working on pieces of rows of a large matrix, several at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch

__all__ = ["over_rows"]

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
