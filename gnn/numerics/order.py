"""The order of a user's interactions: visits counted back, and sequences."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from gnn.numerics.sparse import entry_rows
from graphgen.arrays import visit_numbers

__all__ = ["recent_history", "sequences", "visits_ago"]

# Below this weight an interaction of long ago is left out of a recent history.
MIN_WEIGHT = 1e-3


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
    visit[sorting] = visit_numbers(row[sorting], order.data[sorting])
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
