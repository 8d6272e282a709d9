"""Items that follow each other in histories: counts, and the edges ``(domain, next, domain)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp

from graphgen.arrays import sorted_rows, visit_numbers
from graphgen.builders.pairs import JointItems, add_item_edges, strongest
from graphgen.schema import INTERACTS, NEXT, USER

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["add_transitions", "by_domain", "following", "start_anew"]

# Largest distance of two items in a history, and pairs that are looked at over all users.
MAX_LAG, MAX_PAIRS = 10, 40_000_000
# Largest distance of two items in a history that counts for an edge.
EDGE_LAG: Final = 3


def start_anew(order: sp.csr_matrix, owner: np.ndarray) -> bool:
    """Whether positions of a user start anew in each domain, so that they order no two domains.

    That is so where most users of several domains have equal first positions in two of them.
    O(nnz log nnz).

    Parameters
    ----------
    order
        int64 CSR [n_users, n_items], positions.
    owner
        int64 [n_items], the number of the item's domain.

    Examples
    --------
    >>> owner = np.array([0, 0, 1, 1])
    >>> start_anew(sp.csr_matrix(np.array([[1, 2, 1, 2]])), owner)
    True
    >>> start_anew(sp.csr_matrix(np.array([[1, 3, 2, 4]])), owner)
    False
    """
    apart = by_domain(order, owner)
    filled = np.flatnonzero(np.diff(apart.indptr))
    if not len(filled):
        return False
    first = np.minimum.reduceat(apart.data, apart.indptr[filled])
    user = filled // (apart.shape[0] // order.shape[0])
    pairs, times = np.unique(np.stack([user, first]), axis=1, return_counts=True)
    several = int((np.bincount(user) > 1).sum())
    return 2 * len(np.unique(pairs[0, times > 1])) > several


def by_domain(order: sp.csr_matrix, owner: np.ndarray) -> sp.csr_matrix:
    """Return the order with a row for each user in each domain, by user, then domain; O(nnz)."""
    n_users, n_domains = order.shape[0], int(owner.max(initial=0)) + 1
    row = np.repeat(np.arange(n_users), np.diff(order.indptr)) * n_domains + owner[order.indices]
    by_row = np.argsort(row, kind="stable")
    ends = np.cumsum([0, *np.bincount(row, minlength=n_users * n_domains)])
    parts = order.data[by_row], order.indices[by_row], ends
    return sp.csr_matrix(parts, shape=(n_users * n_domains, order.shape[1]))


def following(
    order: sp.csr_matrix,
    *,
    half_life: float = 1.0,
    user_exponent: float = 0.0,
    item_exponent: float = 0.0,
    max_lag: int = MAX_LAG,
    within_visits: bool = True,
) -> sp.csr_matrix:
    """Return float32 CSR [n_items, n_items], the rate at which item j follows item i in histories.

    Each user who met j after i, at most `max_lag` places apart, counts by
    2^(-visits between / half_life) over the length of the history to `user_exponent`; the sum is
    divided by the popularity of both items to `item_exponent`. Items of one visit stand in a random
    order, and follow each other if `within_visits`. A first-order chain (Rendle et al.,
    "Factorizing personalized Markov chains for next-basket recommendation", WWW 2010) without
    factors, with a decay in the place of its hard border between baskets.

    O(max_lag · nnz) time, 12 bytes for each different pair, of at most 40 million (or 80, where
    most are of one visit); in longer logs fewer places are looked back, but always one.

    Parameters
    ----------
    order
        int64 CSR [n_users, n_items], a number that rises with each visit of a user.
    half_life, user_exponent, item_exponent, max_lag, within_visits
        As above.

    Examples
    --------
    >>> following(sp.csr_matrix(np.array([[1, 2, 3], [0, 5, 9]]))).toarray().tolist()
    [[0.0, 0.5, 0.25], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    length = np.diff(order.indptr)
    row = np.repeat(np.arange(order.shape[0]), length)
    # By the order of the columns, those of large visits that are cut off would always be the same.
    shuffled = np.random.default_rng(0).random(len(row))
    sorting = np.lexsort((shuffled, order.data, row))
    row, item, time = row[sorting], order.indices[sorting], order.data[sorting]
    visit = visit_numbers(row, time)
    share = np.maximum(length, 1.0) ** -user_exponent
    n_items = order.shape[1]
    linked = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    longest = int(length.max()) if len(row) else 0
    for lag in range(1, n_lags(max_lag, longest, len(row)) + 1):
        first = np.flatnonzero(row[:-lag] == row[lag:])
        gap = visit[first + lag] - visit[first]
        if not within_visits:
            first, gap = first[gap > 0], gap[gap > 0]
        weight = (np.exp2(-gap / half_life) * share[row[first]]).astype(np.float32)
        before, after = item[first], item[first + lag]
        together = gap == 0
        weights = np.concatenate([weight, weight[together]])
        source = np.concatenate([before, after[together]])
        target = np.concatenate([after, before[together]])
        linked = linked + sp.csr_matrix((weights, (source, target)), shape=linked.shape)
    popularity = np.bincount(item, minlength=n_items)
    scale = sp.diags(np.maximum(popularity, 1.0) ** -item_exponent, dtype=np.float32)
    return sp.csr_matrix(scale @ linked @ scale, dtype=np.float32)


def n_lags(wanted: int, longest: int, n_rows: int) -> int:
    """Return how many places are looked back in histories of at most `longest` items."""
    return min(wanted, longest - 1, max(1, MAX_PAIRS // max(1, n_rows)))


def add_transitions(data: HeteroData, *, next_k: int = 20, next_weight: float = 1.0) -> None:
    """Link each item to those that follow it in histories.

    Adds ``(a, next, b)`` for a domain and itself and for every two, where items follow each other,
    with ``edge_index`` sorted by source, then falling ``weight``: each user who met b after a, at
    most three places apart, adds 1 if it was in the next visit, 1/2 in the one after, 1/4 in the
    third (`following`). The history of a user is that of all domains,
    or of each where positions start anew in each. Items of one visit do not
    follow each other. Nothing is added where interactions have no order. O(E log E).

    Parameters
    ----------
    data
        Graph with its interactions.
    next_k, next_weight
        As in `graphgen.build.BuildConfig`.
    """
    stores = {t[2]: data[t] for t in data.edge_types if t[1] == INTERACTS}
    names = [n for n in ("time", "position") if all(n in store for store in stores.values())]
    if not next_k or not names:
        return
    joint = JointItems.of(data)
    starts, owner = joint.starts, joint.owner
    ends = [store.edge_index.numpy() for store in stores.values()]
    # Of 32 bits: an array of all interactions is held several times.
    user = np.concatenate([index[0].astype(np.int32) for index in ends])
    item = np.concatenate(
        [(i[1] + start).astype(np.int32) for i, start in zip(ends, starts, strict=False)]
    )
    when = np.concatenate([store[names[0]].numpy() for store in stores.values()])
    by_user = np.argsort(user, kind="stable")
    user, item, when = user[by_user], item[by_user], when[by_user]
    del by_user
    if names[0] == "position":
        # Not by way of coordinates, which would add up the times of equal interactions.
        rows = np.cumsum([0, *np.bincount(user, minlength=data[USER].num_nodes)])
        if start_anew(sp.csr_matrix((when, item, rows), shape=(len(rows) - 1, starts[-1])), owner):
            user = user.astype(np.int64) * len(stores) + owner[item]
    source, target, weight = _steps(user, item, when, int(starts[-1]), next_weight)
    best = strongest(source, target, weight, owner, next_k)
    add_item_edges(data, NEXT, joint, source[best], target[best], weight[best])


def _steps(
    user: np.ndarray, item: np.ndarray, when: np.ndarray, n_items: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of different items, and their weights above `least`, sorted by pair.

    The same as twice ``following(..., max_lag=EDGE_LAG, within_visits=False)``, but pairs are
    counted by a sort of integers: no matrix holds those that few users have.
    """
    shuffled = np.random.default_rng(0).random(len(user))
    sorting = sorted_rows(user, when, shuffled)
    del shuffled
    user, item, when = user[sorting], item[sorting], when[sorting]
    del sorting
    visit = visit_numbers(user, when)
    longest = int(np.bincount(user).max(initial=0)) if len(user) else 0
    parts = [np.zeros(0, dtype=np.int64)]
    for lag in range(1, n_lags(EDGE_LAG, longest, len(user)) + 1):
        first = np.flatnonzero((user[:-lag] == user[lag:]) & (item[:-lag] != item[lag:]))
        gap = (visit[first + lag] - visit[first]).astype(np.int64)
        first, gap = first[gap > 0], gap[gap > 0]
        # The visits between are in the two lowest bits.
        pair = item[first].astype(np.int64) * n_items + item[first + lag]
        parts.append((pair << 2) + gap)
    keys = np.concatenate(parts)
    del parts
    keys.sort()
    pair = keys >> 2
    starts = np.flatnonzero(np.append(True, pair[1:] != pair[:-1])[: len(pair)])
    weight = np.add.reduceat(np.exp2(1 - (keys & 3)), starts) if len(keys) else np.zeros(0)
    kept = weight > least
    source, target = np.divmod(pair[starts[kept]], n_items)
    return source, target, weight[kept].astype(np.float32)
