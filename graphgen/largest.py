"""The largest values of every row, found without a full sort."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch

from graphgen.arrays import place_in_group
from graphgen.pieces import over_rows

__all__ = ["largest"]

Array: TypeAlias = np.ndarray

# Columns that share one maximum, at least. More make the bound cheaper to find and looser.
GROUP: Final = 16
# Groups for each value asked for, at least: of 8, the bound lets in one candidate in 15 in vain.
GROUPS: Final = 8
# Rows with more candidates than this many times k are left to torch.topk.
MAX_CANDIDATES: Final = 2


def largest(block: torch.Tensor, count: int) -> tuple[Array, Array]:
    """Return the `count` largest values of every row and their columns, largest first.

    Which of several equal values at the end are returned, and their order, is left open.

    Parameters
    ----------
    block
        float32 [rows, columns].
    count
        At most the number of columns.

    Returns
    -------
    values, columns : numpy.ndarray
        float32 and int64 [rows, count]; NaN counts as larger than everything.

    Notes
    -----
    The count-th largest of the maxima of groups of columns bounds the count-th largest value from
    below, so only values that reach the bound are sorted: O(rows * columns) with a small constant,
    three to four times as fast as ``torch.topk`` on 8,000 to 18,000 columns.

    Examples
    --------
    >>> values, columns = largest(torch.tensor([[0.1, 0.9, 0.5]]), 2)
    >>> columns.tolist()
    [[1, 2]]
    """
    rows, width = block.shape
    group = max(GROUP, width // (GROUPS * count))
    groups = width // group
    if groups < 2 * count:
        best = torch.topk(block, count, dim=1)
        return best.values.numpy(), best.indices.numpy()
    scores = np.ascontiguousarray(block.numpy())
    values = np.empty((rows, count), dtype=np.float32)
    columns = np.empty((rows, count), dtype=np.int64)
    left = np.zeros(rows, dtype=bool)

    def work(start: int, stop: int) -> None:
        piece = scores[start:stop]
        maxima = np.maximum.reduce(
            piece[:, : group * groups].reshape(len(piece), group, groups), axis=1
        )
        maxima = np.partition(maxima, groups - count, axis=1)[:, groups - count :]
        flat = np.flatnonzero(piece >= maxima[:, :1])
        row = flat // width
        sizes = np.bincount(row, minlength=len(piece))
        # A NaN reaches no bound.
        missed = np.isnan(maxima).any(axis=1) | np.isnan(piece[:, group * groups :]).any(axis=1)
        odd = (sizes > MAX_CANDIDATES * count) | missed
        left[start:stop] = odd
        if odd.any():
            flat, row = flat[~odd[row]], row[~odd[row]]
            sizes = np.where(odd, 0, sizes)
        place = place_in_group(row)
        shape = (len(piece), max(count, int(sizes.max(initial=0))))
        found = np.full(shape, -np.inf, dtype=np.float32)
        where = np.zeros(shape, dtype=np.int64)
        found[row, place] = piece.ravel()[flat]
        where[row, place] = flat - row * width
        order = np.argsort(found, axis=1)[:, : -count - 1 : -1]
        values[start:stop] = np.take_along_axis(found, order, axis=1)
        columns[start:stop] = np.take_along_axis(where, order, axis=1)

    over_rows(work, rows, width)
    if left.any():
        rest = np.flatnonzero(left)
        best = torch.topk(block[torch.from_numpy(rest)], count, dim=1)
        values[rest], columns[rest] = best.values.numpy(), best.indices.numpy()
    return values, columns
