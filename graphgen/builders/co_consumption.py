"""Items that the same users like more often than chance: ``(domain, co_consumed, domain)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp
from scipy.special import xlogy

from graphgen.arrays import place_in_group
from graphgen.builders.pairs import JointItems, add_item_edges, strongest
from graphgen.schema import CO_CONSUMED, INTERACTS, USER

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["add_co_consumption", "log_likelihood_ratio"]

# Least log-likelihood ratio of an edge: p = .001 of a chi-square with one degree of freedom.
MIN_RATIO: Final = 10.83
# Users who like both items: an edge never shows the likes of a single user.
MIN_USERS: Final = 2
# Likes of a user that are paired, drawn at random from longer histories.
MAX_HISTORY: Final = 500
# Pairs that are counted at once: 200 MB.
BLOCK_PAIRS: Final = 1 << 23


def log_likelihood_ratio(
    both: np.ndarray, first: np.ndarray, second: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Return Dunning's ratio G² of tables of two items; 0 where they are not positively associated.

    Dunning, "Accurate methods for the statistics of surprise and coincidence", Computational
    Linguistics 1993.

    Parameters
    ----------
    both, first, second, total
        float64 [pairs]: users who like both items, the first, the second, and all users.

    Examples
    --------
    >>> numbers = np.array([8.0]), np.array([10.0]), np.array([10.0]), np.array([100.0])
    >>> log_likelihood_ratio(*numbers).round(1).tolist()
    [35.8]
    """
    cells = (both, first - both, second - both, total - first - second + both)
    sums = (first, total - first, second, total - second)
    ratio = 2 * (sum(xlogy(n, n) for n in (*cells, total)) - sum(xlogy(n, n) for n in sums))
    return np.where(both * total > first * second, ratio, 0.0)


def add_co_consumption(data: HeteroData, *, k: int) -> None:
    """Link each item to the `k` most significantly co-consumed ones in its domain, and across.

    Adds ``(a, co_consumed, b)`` in both directions where at least two users like both items, and
    G² (`log_likelihood_ratio`) is at least 10.83 among the users active in both domains. The edges
    of an item are sorted by falling G²; ``weight`` is the cosine of the two sets of users.
    O(Σ h²) for histories of h items, of which at most 500 drawn at random count.

    Parameters
    ----------
    data
        Graph with its interactions.
    k
        As `co_consumed_k` of `graphgen.build.BuildConfig`; 0 for none.
    """
    if not k:
        return
    items = JointItems.of(data)
    likes = _likes(data, items)
    member = sp.csr_matrix((np.ones(len(items.owner)), (np.arange(len(items.owner)), items.owner)))
    active = (likes @ member).astype(bool).astype(np.float64)
    # Users of an item who are active in a domain; users who are active in two.
    users_in, overlap = sp.csr_matrix(likes.T @ active), (active.T @ active).toarray()
    popularity = np.bincount(likes.indices, minlength=likes.shape[1])
    parts = []
    for low, counts in _counts(likes):
        source, target, both = counts.row + low, counts.col, counts.data
        kept = (both >= MIN_USERS) & (source != target)
        source, target, both = source[kept], target[kept], both[kept]
        a, b = items.owner[source], items.owner[target]
        first, second = (np.asarray(users_in[ends]).ravel() for ends in ((source, b), (target, a)))
        ratio = log_likelihood_ratio(both, first, second, overlap[a, b])
        kept = np.flatnonzero(ratio >= MIN_RATIO)
        best = kept[strongest(source[kept], target[kept], ratio[kept], items.owner, k)]
        source, target = source[best].astype(np.int64), target[best].astype(np.int64)
        cosine = both[best] / np.sqrt(popularity[source] * popularity[target])
        parts.append((source, target, cosine))
    if parts:
        add_item_edges(data, CO_CONSUMED, items, *map(np.concatenate, zip(*parts, strict=True)))


def _likes(data: HeteroData, items: JointItems) -> sp.csr_matrix:
    """Return float64 CSR [users, items], 1 for each like, of long histories a part."""
    user, item = [], []
    for domain, start in zip(items.domains, items.starts, strict=False):
        index = data[USER, INTERACTS, domain].edge_index.numpy()
        user.append(index[0])
        item.append(index[1] + start)
    pairs = np.unique(np.concatenate(user) * items.starts[-1] + np.concatenate(item))
    row, column = np.divmod(pairs, items.starts[-1])
    chance = np.random.default_rng(0).random(len(row))
    drawn = np.lexsort((chance, row))
    drawn = drawn[place_in_group(row[drawn]) < MAX_HISTORY]
    shape = (data[USER].num_nodes, items.starts[-1])
    return sp.csr_matrix((np.ones(len(drawn)), (row[drawn], column[drawn])), shape=shape)


def _counts(likes: sp.csr_matrix) -> Iterator[tuple[int, sp.coo_matrix]]:
    """Yield the first item of a block, and the users that each of its items shares with others."""
    by_item = sp.csr_matrix(likes.T)
    cost = np.cumsum(by_item @ np.diff(likes.indptr))
    low = 0
    while low < len(cost):
        done = cost[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(cost, done + BLOCK_PAIRS, side="right")))
        yield low, sp.coo_matrix(by_item[low:high] @ likes)
        low = high
