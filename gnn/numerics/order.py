"""The order of a user's interactions: visits counted back, sequences, items that follow others."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import entry_rows

__all__ = ["following", "recent_history", "sequences", "visits_ago"]

# Below this weight an interaction of long ago is left out of a recent history.
MIN_WEIGHT = 1e-3
# Largest distance of two items in a history, and pairs that are looked at over all users.
MAX_LAG, MAX_PAIRS = 10, 40_000_000


def visits_ago(order: sp.csr_matrix) -> np.ndarray:
    """Return float32 [nnz], the number of later visits of the user after each interaction.

    Interactions of one instant are one visit; those of the last visit have 0. O(nnz log nnz).

    Examples
    --------
    >>> visits_ago(sp.csr_matrix(np.array([[5, 9, 5, 7]]))).tolist()
    [2.0, 0.0, 2.0, 1.0]
    """
    row = entry_rows(order)
    sorting = np.lexsort((order.data, row))
    visit = np.empty(len(sorting), dtype=np.float32)
    visit[sorting] = _visits(row[sorting], order.data[sorting])
    last = np.zeros(order.shape[0], dtype=np.float32)
    np.maximum.at(last, row, visit)
    result: np.ndarray = last[row] - visit
    return result


def recent_history(order: sp.csr_matrix, half_life: float) -> sp.csr_matrix:
    """Return float32 CSR [n, n_items]: interactions, halved every `half_life` visits since.

    Parameters
    ----------
    order
        As `gnn.data.UserBatch` has it.
    half_life
        In visits.
    """
    weight = np.exp2(-visits_ago(order) / half_life)
    kept = weight >= MIN_WEIGHT
    indptr = np.concatenate([[0], np.cumsum(kept)])[order.indptr]
    return sp.csr_matrix((weight[kept], order.indices[kept], indptr), shape=order.shape)


def following(
    order: sp.csr_matrix,
    *,
    half_life: float,
    user_exponent: float,
    item_exponent: float,
    max_lag: int = MAX_LAG,
) -> sp.csr_matrix:
    """Return float32 CSR [n_items, n_items], the rate at which item j follows item i in histories.

    Each user who met j after i, at most `max_lag` places apart, counts by
    2^(-visits between / half_life) over the length of the history to `user_exponent`; the sum is
    divided by the popularity of both items to `item_exponent`. Items of one visit stand in a random
    order, and follow each other. A first-order chain (Rendle et al., "Factorizing personalized
    Markov chains for next-basket recommendation", WWW 2010) without factors, with a decay in the
    place of its hard border between baskets.

    O(max_lag · nnz) time, 12 bytes for each different pair, of at most 40 million (or 80, where
    most are of one visit); in longer logs fewer places are looked back, but always one.
    """
    row = entry_rows(order)
    # By the order of the columns, those of large visits that are cut off would always be the same.
    shuffled = np.random.default_rng(0).random(len(row))
    sorting = np.lexsort((shuffled, order.data, row))
    row, item, time = row[sorting], order.indices[sorting], order.data[sorting]
    visit = _visits(row, time)
    length = np.diff(order.indptr)
    share = inverse_power(length, user_exponent)
    n_items = order.shape[1]
    linked = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    longest = int(length.max()) if len(row) else 0
    lags = min(max_lag, longest - 1, max(1, MAX_PAIRS // max(1, len(row))))
    for lag in range(1, lags + 1):
        first = np.flatnonzero(row[:-lag] == row[lag:])
        gap = visit[first + lag] - visit[first]
        weight = (np.exp2(-gap / half_life) * share[row[first]]).astype(np.float32)
        before, after = item[first], item[first + lag]
        together = gap == 0
        weights = np.concatenate([weight, weight[together]])
        source = np.concatenate([before, after[together]])
        target = np.concatenate([after, before[together]])
        linked = linked + sp.csr_matrix((weights, (source, target)), shape=linked.shape)
    popularity = np.bincount(item, minlength=n_items)
    scale = sp.diags(inverse_power(popularity, item_exponent))
    return sp.csr_matrix(scale @ linked @ scale, dtype=np.float32)


def sequences(order: sp.csr_matrix, length: int) -> np.ndarray:
    """Return int64 [n, length], the latest items of each user, the oldest first, then -1.

    O(nnz log nnz). Items of one instant stand in the order of their numbers.

    Examples
    --------
    >>> sequences(sp.csr_matrix(np.array([[5, 9, 0, 7], [0, 3, 0, 0]])), 2).tolist()
    [[3, 1], [1, -1]]
    """
    row = entry_rows(order)
    sorting = np.lexsort((order.data, row))
    row, item = row[sorting], order.indices[sorting]
    count = np.diff(order.indptr)
    place = np.arange(len(row)) - order.indptr[row] - np.maximum(count - length, 0)[row]
    kept = place >= 0
    result = np.full((order.shape[0], length), -1, dtype=np.int64)
    result[row[kept], place[kept]] = item[kept]
    return result


def _visits(row: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return float32 [nnz], a number that rises by 1 at each new time of a user; sorted input."""
    new = np.zeros(len(row), dtype=np.float64)
    new[1:] = (row[1:] == row[:-1]) & (time[1:] != time[:-1])
    count = np.cumsum(new)
    start = np.flatnonzero(np.r_[True, row[1:] != row[:-1]][: len(row)])
    lengths = np.diff(np.r_[start, len(row)])
    return (count - np.repeat(count[start], lengths)).astype(np.float32)
