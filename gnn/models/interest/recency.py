"""When people did what they did: visits counted back from the last one, and pairs in sequence."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import entry_rows

__all__ = ["following", "last_times", "recent_history", "visits_ago"]

# Below this weight an interaction of long ago is left out of a recent history.
MIN_WEIGHT = 1e-3
# How many places apart two items of a history may be, and pairs that are looked at over all people.
MAX_LAG, MAX_PAIRS = 10, 40_000_000


def visits_ago(times: sp.csr_matrix) -> np.ndarray:
    """Return float32 [nnz]: how many later visits a person made after each interaction.

    Interactions of one instant are one visit; those of the last visit have 0. O(nnz log nnz).

    Examples
    --------
    >>> visits_ago(sp.csr_matrix(np.array([[5, 9, 5, 7]]))).tolist()
    [2.0, 0.0, 2.0, 1.0]
    """
    row = entry_rows(times)
    order = np.lexsort((times.data, row))
    visit = np.empty(len(order), dtype=np.float32)
    visit[order] = _visits(row[order], times.data[order])
    last = np.zeros(times.shape[0], dtype=np.float32)
    np.maximum.at(last, row, visit)
    result: np.ndarray = last[row] - visit
    return result


def recent_history(times: sp.csr_matrix, half_life: float) -> sp.csr_matrix:
    """Return float32 CSR [n, n_items]: interactions, halved every `half_life` visits since.

    Parameters
    ----------
    times
        As `UserBatch.times`.
    half_life
        In visits.
    """
    weight = np.exp2(-visits_ago(times) / half_life)
    kept = weight >= MIN_WEIGHT
    indptr = np.concatenate([[0], np.cumsum(kept)])[times.indptr]
    return sp.csr_matrix((weight[kept], times.indices[kept], indptr), shape=times.shape)


def last_times(times: sp.csr_matrix) -> np.ndarray:
    """Return int64 [n], when each person was last seen; 0 for those who never were."""
    last = np.zeros(times.shape[0], dtype=np.int64)
    np.maximum.at(last, entry_rows(times), times.data)
    return last


def following(
    times: sp.csr_matrix, *, half_life: float, user_exponent: float, item_exponent: float
) -> sp.csr_matrix:
    """Return float32 CSR [n_items, n_items]: how much item j follows item i in histories.

    Each person who did j after i, at most 10 places apart, counts by 2^(-visits between /
    half_life) over the length of their history to `user_exponent`; the sum is divided by the
    popularity of both items to `item_exponent`. Items of one visit stand in a random order, and
    follow each other. A first-order chain (Rendle et al.,
    "Factorizing personalized Markov chains for next-basket recommendation", WWW 2010) without
    factors, with a decay in the place of its hard border between baskets.

    O(10 · nnz) time, 12 bytes for each different pair, of at most 40 million (or 80, where most are
    of one visit); in longer logs fewer places are looked back, but always one.
    """
    row = entry_rows(times)
    # By the order of the columns, those of large visits that are cut off would always be the same.
    mixed = np.random.default_rng(0).random(len(row))
    order = np.lexsort((mixed, times.data, row))
    row, item, time = row[order], times.indices[order], times.data[order]
    visit = _visits(row, time)
    length = np.diff(times.indptr)
    share = inverse_power(length, user_exponent)
    n_items = times.shape[1]
    linked = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    longest = int(length.max()) if len(row) else 0
    lags = min(MAX_LAG, longest - 1, max(1, MAX_PAIRS // max(1, len(row))))
    for lag in range(1, lags + 1):
        first = np.flatnonzero(row[:-lag] == row[lag:])
        gap = visit[first + lag] - visit[first]
        weight = (np.exp2(-gap / half_life) * share[row[first]]).astype(np.float32)
        before, after = item[first], item[first + lag]
        together = gap == 0
        linked = linked + sp.csr_matrix(
            (
                np.concatenate([weight, weight[together]]),
                (
                    np.concatenate([before, after[together]]),
                    np.concatenate([after, before[together]]),
                ),
            ),
            shape=linked.shape,
        )
    popularity = np.bincount(item, minlength=n_items)
    scale = sp.diags(inverse_power(popularity, item_exponent))
    return sp.csr_matrix(scale @ linked @ scale, dtype=np.float32)


def _visits(row: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return float32 [nnz], a number that rises by 1 at each new time of a person; sorted input."""
    new = np.zeros(len(row), dtype=np.float64)
    new[1:] = (row[1:] == row[:-1]) & (time[1:] != time[:-1])
    count = np.cumsum(new)
    start = np.flatnonzero(np.r_[True, row[1:] != row[:-1]][: len(row)])
    lengths = np.diff(np.r_[start, len(row)])
    return (count - np.repeat(count[start], lengths)).astype(np.float32)
