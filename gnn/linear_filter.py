"""The closed-form filter: what people who share an item with you did next, in one product."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from gnn.propagation import inverse_power
from gnn.sparse import keep_largest

__all__ = ["LinearFilter", "cold_bridge"]

# Above this bound on its entries (16 bytes each while it is made) the item-item product is not
# kept; histories are then multiplied through the users, which needs no memory.
MAX_ENTRIES = 150_000_000


class LinearFilter:
    """Scores x_u D_i^-b Xᵀ D_u^-a X D_i^(c-b): two hops from a history, through its users.

    The linear graph filter of Shen et al., "How powerful is graph convolution for
    recommendation?" (GF-CF), CIKM 2021, with free exponents. Exact, sparse, and inductive: a
    history is enough.

    Parameters
    ----------
    matrix
        CSR [n_users, n_items] of training interactions over all domains.
    user_exponent, item_exponent, target_exponent
        a, b and c: how much active users, popular sources, and popular targets (c raises them)
        count.
    keep
        Make the item-item product at first use and keep it, where it is not too large: worth it
        for many histories.
    """

    def __init__(
        self,
        matrix: sp.csr_matrix,
        *,
        user_exponent: float = 0.6,
        item_exponent: float = 0.3,
        target_exponent: float = 0.3,
        keep: bool = True,
    ) -> None:
        activity = np.diff(matrix.indptr).astype(np.float64)
        popularity = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
        left = sp.diags(inverse_power(popularity, item_exponent)) @ matrix.T
        self._left = (left @ sp.diags(inverse_power(activity, user_exponent))).tocsr()
        self._right = sp.csr_matrix(
            matrix @ sp.diags(inverse_power(popularity, item_exponent - target_exponent))
        )
        self._activity = activity
        self._limit = MAX_ENTRIES if keep else 0
        self._columns: dict[tuple[int, int], sp.csr_matrix | None] = {}
        self._targets: dict[tuple[int, int], sp.csr_matrix] = {}

    def score(self, history: sp.csr_matrix, span: slice) -> sp.csr_matrix:
        """Return CSR [n, span] of scores; costs the two-hop neighbourhoods of the histories."""
        product = self._product(span)
        if product is not None:
            return (history @ product).tocsr()
        return ((history @ self._left) @ self._target(span)).tocsr()

    def product(self, span: slice) -> sp.csr_matrix | None:
        """Return CSR [n_items, span], what a history is multiplied by; None if it is too large."""
        right = self._right[:, span]
        if float(self._activity @ np.diff(right.indptr)) > self._limit:
            return None
        return (self._left @ right).tocsr().astype(np.float32)

    def _target(self, span: slice) -> sp.csr_matrix:
        key = (span.start, span.stop)
        if key not in self._targets:
            self._targets[key] = self._right[:, span]
        return self._targets[key]

    def _product(self, span: slice) -> sp.csr_matrix | None:
        key = (span.start, span.stop)
        if key not in self._columns:
            self._columns[key] = self.product(span)
        return self._columns[key]


def cold_bridge(
    similar: sp.csr_matrix, warm: np.ndarray, span: slice, neighbors: int
) -> sp.csr_matrix:
    """Return CSR [span, span] that hands scores of items with interactions to similar ones without.

    Column j of a cold item holds the weights, summing to 1, of its nearest warm items; the weight
    is the squared similarity. Columns of warm items are empty.

    Parameters
    ----------
    similar
        CSR [n_items, n_items] of similarities, row i holding the neighbours of item i.
    warm
        bool [n_items].
    span
        Items of one domain.
    neighbors
        How many neighbours to use.
    """
    block = similar[span, span].tocoo()
    inside = warm[span]
    chosen = ~inside[block.row] & inside[block.col] & (block.data > 0)
    weights = sp.csr_matrix(
        (block.data[chosen] ** 2, (block.row[chosen], block.col[chosen])), shape=block.shape
    )
    weights = keep_largest(weights, neighbors)
    total = np.asarray(weights.sum(axis=1)).ravel()
    return sp.csr_matrix((sp.diags(inverse_power(total, 1.0)) @ weights).T, dtype=np.float32)
