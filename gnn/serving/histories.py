"""The history of one user with changes: what if."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import UserBatch
from gnn.numerics.sparse import without

__all__ = ["with_changes"]


def with_changes(
    users: UserBatch, order: sp.csr_matrix | None, new: np.ndarray, gone: np.ndarray
) -> UserBatch:
    """Return one user with further likes, as the latest, and without others."""

    def row(columns: np.ndarray, values: Any) -> sp.csr_matrix:
        cells = np.zeros(len(columns), np.int64), columns
        return sp.csr_matrix((values, cells), shape=users.history.shape)

    def changed(matrix: sp.csr_matrix | None, values: Any) -> sp.csr_matrix | None:
        if matrix is None:
            return None
        kept = without(matrix, row(gone, np.ones(len(gone), np.float32)))
        return sp.csr_matrix(kept.maximum(row(new, values).astype(matrix.dtype)))

    new = pd.unique(new[~np.isin(new, gone)])
    ones, when = np.ones(len(new), np.float32), np.ones(len(new), np.int64)
    if order is not None and order.nnz:
        when *= 1 + int(order.data.max())
        when += 0 if users.has_time else np.arange(len(new))
    weights = users.weights
    if weights is not None:
        weights = changed(weights, 0 * ones)
        weights = weights + row(new, ones)
    rejected = users.rejected
    if rejected is not None:
        rejected = without(rejected, row(new, ones))
    return UserBatch(
        users.index, changed(users.history, ones), users.keys, changed(users.order, when),
        weights, rejected, users.has_time,
    )  # fmt: skip
