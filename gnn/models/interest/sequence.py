"""The order of events: visits counted back from the last, and items that follow each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch, known_order
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import entry_rows

__all__ = ["SequenceExpert", "following", "recent_history", "transitions", "visits_ago"]

# Below this weight an interaction of long ago is left out of a recent history.
MIN_WEIGHT = 1e-3
# Largest distance of two items in a history, and pairs that are looked at over all users.
MAX_LAG, MAX_PAIRS = 10, 40_000_000
# Visits over which the weight of a transition halves; chosen on the validation rows of two Amazon
# pairs (abxi), as the exponents, where directed pairs found half as much again as undirected ones.
GAP_HALF_LIFE, USER_EXPONENT, ITEM_EXPONENT = 2.0, 0.3, 0.3


def visits_ago(times: sp.csr_matrix) -> np.ndarray:
    """Return float32 [nnz], the number of later visits of the user after each interaction.

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
        As `UserBatch.order`.
    half_life
        In visits.
    """
    weight = np.exp2(-visits_ago(times) / half_life)
    kept = weight >= MIN_WEIGHT
    indptr = np.concatenate([[0], np.cumsum(kept)])[times.indptr]
    return sp.csr_matrix((weight[kept], times.indices[kept], indptr), shape=times.shape)


def following(
    times: sp.csr_matrix, *, half_life: float, user_exponent: float, item_exponent: float
) -> sp.csr_matrix:
    """Return float32 CSR [n_items, n_items], the rate at which item j follows item i in histories.

    Each user who met j after i, at most 10 places apart, counts by 2^(-visits between / half_life)
    over the length of the history to `user_exponent`; the sum is divided by the popularity of both
    items to `item_exponent`. Items of one visit stand in a random order, and follow each other. A
    first-order chain (Rendle et al., "Factorizing personalized Markov chains for next-basket
    recommendation", WWW 2010) without factors, with a decay in the place of its hard border between
    baskets.

    O(10 · nnz) time, 12 bytes for each different pair, of at most 40 million (or 80, where most are
    of one visit); in longer logs fewer places are looked back, but always one.
    """
    row = entry_rows(times)
    # By the order of the columns, those of large visits that are cut off would always be the same.
    shuffled = np.random.default_rng(0).random(len(row))
    order = np.lexsort((shuffled, times.data, row))
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
        weights = np.concatenate([weight, weight[together]])
        source = np.concatenate([before, after[together]])
        target = np.concatenate([after, before[together]])
        linked = linked + sp.csr_matrix((weights, (source, target)), shape=linked.shape)
    popularity = np.bincount(item, minlength=n_items)
    scale = sp.diags(inverse_power(popularity, item_exponent))
    return sp.csr_matrix(scale @ linked @ scale, dtype=np.float32)


def transitions(data: TrainingData) -> dict[str, sp.csr_matrix]:
    """Return `following` by domain of the second item, CSR [n_items, items of the domain]."""
    links = following(
        known_order(data),
        half_life=GAP_HALF_LIFE,
        user_exponent=USER_EXPONENT,
        item_exponent=ITEM_EXPONENT,
    )
    return {domain: links[:, data.span(domain)] for domain in data.domains}


class SequenceExpert:
    """Items that follow the latest items of a history in the histories of other users.

    Parameters
    ----------
    links
        As `transitions` makes them.
    half_life
        Visits after which an interaction of the history counts half.
    """

    def __init__(self, links: Mapping[str, sp.csr_matrix], half_life: float) -> None:
        self._links = links
        self._half_life = half_life

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where nothing follows."""
        history = recent_history(known_order(users), self._half_life)
        return (history @ self._links[domain]).astype(np.float32, copy=False).tocsr()


def _visits(row: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return float32 [nnz], a number that rises by 1 at each new time of a user; sorted input."""
    new = np.zeros(len(row), dtype=np.float64)
    new[1:] = (row[1:] == row[:-1]) & (time[1:] != time[:-1])
    count = np.cumsum(new)
    start = np.flatnonzero(np.r_[True, row[1:] != row[:-1]][: len(row)])
    lengths = np.diff(np.r_[start, len(row)])
    return (count - np.repeat(count[start], lengths)).astype(np.float32)
