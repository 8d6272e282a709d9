"""The best k columns of every row of a score block, with ties broken at random."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch

from graphgen.arrays import GOLDEN_GAMMA, mix_bits, place_in_group
from graphgen.errors import InputError
from graphgen.pieces import over_rows

__all__ = ["largest", "tie_noise", "top_k"]

Array: TypeAlias = np.ndarray

# Extra columns fetched beyond k: short runs of ties at the boundary end within them.
LOOK_AHEAD: Final = 12
# Rows are re-ranked in blocks of about this many scores, so that extra memory stays flat.
BLOCK_SCORES: Final = 4_000_000
# Above one candidate in so many columns, noise is drawn for the whole row.
SPARSE_SHARE: Final = 16
# Columns that share one maximum, at least. More make the bound cheaper to find and looser.
GROUP: Final = 16
# Groups for each value asked for, at least: of 8, the bound lets in one candidate in 15 in vain.
GROUPS: Final = 8
# Rows with more candidates than this many times k are left to torch.topk.
MAX_CANDIDATES: Final = 2


def tie_noise(keys: Array, columns: Array, *, seed: int = 0) -> Array:
    """Return a random number for each (row key, column), the same wherever it is asked for.

    It is the output number `column` of a splitmix64 generator whose state is made from the key
    and the seed, without its lowest bit so that it fits a signed integer.

    Parameters
    ----------
    keys, columns
        int64 arrays that broadcast against each other.
    seed
        Any integer.

    Returns
    -------
    numpy.ndarray
        int64, not negative, of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> noise = tie_noise(np.array([[3], [4]]), np.arange(5))
    >>> bool((noise[1] == tie_noise(np.array([4]), np.arange(5))).all())
    True
    """
    start = mix_bits(np.array([seed % 2**64], dtype=np.uint64) + GOLDEN_GAMMA)
    states = mix_bits(np.asarray(keys, dtype=np.int64).view(np.uint64) + start)
    steps = (np.asarray(columns, dtype=np.int64).view(np.uint64) + np.uint64(1)) * GOLDEN_GAMMA
    return (mix_bits(np.asarray(states + steps)) >> np.uint64(1)).view(np.int64)


def top_k(
    scores: Array | torch.Tensor,
    k: int,
    *,
    keys: Array | None = None,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return the best `k` columns of every row, best first, ties broken at random.

    Equal scores are ordered by a random number that depends on the row's key, the column and the
    seed only: the same user gets the same list however the users are cut into chunks, and no
    column gains from its position.

    Parameters
    ----------
    scores
        float32, [rows, columns]; ``-inf`` means "not a candidate".
    k
        How many columns to return, at least 1; may exceed the number of columns.
    keys
        int64, [rows]: a key of each row that holds beyond this call (default: its position).
    seed
        Seed of the tie noise.

    Returns
    -------
    indices : numpy.ndarray
        int64, [rows, k]; -1 where a row has fewer than `k` candidates.
    values : numpy.ndarray
        float32, [rows, k]: their scores; ``-inf`` where the index is -1.

    Raises
    ------
    InputError
        If `k` is below 1, `scores` has not two dimensions, or a score is NaN.

    Notes
    -----
    One pass over the block (`largest`); only rows with equal scores among their best are
    ranked again, so O(rows * columns) whatever the ties.

    Examples
    --------
    >>> import numpy as np
    >>> indices, values = top_k(np.array([[0.1, 0.9, 0.5], [0.3, -np.inf, -np.inf]]), 2)
    >>> indices.tolist()
    [[1, 2], [0, -1]]
    """
    if k < 1:
        raise InputError(f"`k` must be at least 1; got {k}.")
    block = torch.as_tensor(scores).detach()
    if block.dim() != 2:
        raise InputError(f"`scores` must have the shape [rows, columns]; got {list(block.shape)}.")
    block = block.to(device="cpu", dtype=torch.float32)
    rows, columns = block.shape
    if rows == 0 or columns == 0:
        return np.full((rows, k), -1, np.int64), np.full((rows, k), -np.inf, np.float32)

    wanted = min(k, columns)
    fetched = min(k + LOOK_AHEAD, columns)
    values, indices = largest(block, fetched)
    not_numbers = np.isnan(values[:, 0])  # NaN comes first
    if not_numbers.any():
        raise InputError(
            f"`scores` holds NaN in {int(not_numbers.sum())} of {rows} rows (first: row "
            f"{int(not_numbers.argmax())}); use -inf for items that must not be recommended."
        )
    row_keys = np.arange(rows) if keys is None else np.asarray(keys)
    if row_keys.shape != (rows,):
        raise InputError(
            f"`keys` must hold one integer per row ({rows}); got shape {row_keys.shape}."
        )

    equal = (values[:, :-1] == values[:, 1:]) & (values[:, 1:] > -np.inf)
    tied = equal[:, :wanted].any(axis=1)
    # A run of ties that reaches the end of what was fetched may go on outside it.
    open_ended = np.zeros(rows, dtype=bool)
    if fetched < columns:
        open_ended = tied & (values[:, wanted - 1] == values[:, -1])
    closed = np.flatnonzero(tied & ~open_ended)
    if closed.size:
        noise = tie_noise(row_keys[closed, None], indices[closed], seed=seed)
        order = np.lexsort((noise, -values[closed]), axis=1)
        indices[closed] = np.take_along_axis(indices[closed], order, axis=1)
    values, indices = values[:, :wanted], indices[:, :wanted]
    step = max(1, BLOCK_SCORES // columns)
    remaining = np.flatnonzero(open_ended)
    for start in range(0, remaining.size, step):
        part = remaining[start : start + step]
        indices[part] = _rank_open_rows(
            block[torch.from_numpy(part)].numpy(), values[part], row_keys[part], seed
        )

    indices[values == -np.inf] = -1
    if wanted < k:
        padding = ((0, 0), (0, k - wanted))
        indices = np.pad(indices, padding, constant_values=-1)
        values = np.pad(values, padding, constant_values=-np.inf)
    return np.ascontiguousarray(indices), np.ascontiguousarray(values)


def _rank_open_rows(block: Array, values: Array, keys: Array, seed: int) -> Array:
    """Rank rows whose k-th value is shared by any number of columns; int64 [rows, k]."""
    threshold = values[:, -1:]
    candidates = block >= threshold
    many = np.count_nonzero(candidates, axis=1) > block.shape[1] // SPARSE_SHARE
    if many.any():
        # Most columns are equal: draw noise for all and keep only the k that it favours.
        noise = tie_noise(keys[many, None], np.arange(block.shape[1])[None, :], seed=seed)
        noise[block[many] > threshold[many]] = -1
        noise[~candidates[many]] = np.iinfo(np.int64).max
        kept = torch.topk(torch.from_numpy(noise), values.shape[1], dim=1, largest=False).indices
        candidates[many] = False
        candidates[np.flatnonzero(many)[:, None], kept.numpy()] = True
    rows, columns = np.nonzero(candidates)
    order = np.lexsort((tie_noise(keys[rows], columns, seed=seed), -block[rows, columns], rows))
    per_row = np.bincount(rows, minlength=len(block))
    starts = np.cumsum(per_row) - per_row
    return columns[order][starts[:, None] + np.arange(values.shape[1])]


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
