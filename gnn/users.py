"""Users to score: looked up by id, with their histories in training and since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch
from gnn.joint_matrices import joint_matrix, latest
from gnn.numerics.sparse import without
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID, WEIGHT

__all__ = ["Later", "later_order", "user_batch"]


class Later(NamedTuple):
    """Interactions since training of users who are asked, one row for each user and item.

    Attributes
    ----------
    place
        int64 [m], number of the user among those asked.
    column
        int64 [m], item in the joint index.
    weight
        float32 [m], as in an `InteractionLog`.
    order
        int64 [m], as `TrainingData.order`.
    """

    place: np.ndarray
    column: np.ndarray
    weight: np.ndarray
    order: np.ndarray


def user_batch(
    data: TrainingData,
    ids: Sequence[str] | np.ndarray,
    history: InteractionLog | Later | None,
) -> UserBatch:
    """Look users up by external id, with their history in training and since; O(interactions).

    `history` has interactions since training, or of users who arrived after it.
    """
    ids = np.asarray(ids, dtype=object)
    index = data.users.encode(ids, missing="mark")
    known = index >= 0
    found = data.batch(index[known])
    rows: Any = _spread(found.history, known)
    parts = (found.order, found.weights, found.rejected)
    order, weights, rejected = (None if m is None else _spread(m, known) for m in parts)
    if history is not None and not isinstance(history, Later):
        history = _later(data, ids, history)
    if history is not None and len(history.place):
        likes = history.weight > 0
        later, new, strength = _matrices(data, len(ids), history, likes)
        if weights is not None or (strength.data != 1).any():
            weights = (rows if weights is None else weights) + strength
        rows = rows.maximum(later)
        if order is not None:
            order = order.maximum(new)
        if not likes.all():
            refused, _, strength = _matrices(data, len(ids), history, ~likes)
            refused.data[:] = np.where(strength.data < 0, strength.data, 1.0)
            # Refused since: no like any more.
            rows, order, weights = (
                None if m is None else without(m, refused) for m in (rows, order, weights)
            )
            rejected = refused if rejected is None else rejected + without(refused, rejected)
    keys = pd.util.hash_array(ids, categorize=False).view(np.int64)
    return UserBatch(index, rows, keys, order, weights, rejected, data.has_time)


def later_order(data: TrainingData, order: np.ndarray | None, has_time: bool, n: int) -> np.ndarray:
    """Return int64 [n], the order of rows of a history as `TrainingData.order` has it.

    A history without it counts as later than all that was trained on, after training on positions
    in the order of its rows, and so does one with timestamps then, or the other way round, in its
    own order.
    """
    if data.order is None or (order is not None and has_time == data.has_time):
        return np.ones(n, np.int64) if order is None else order + (not data.has_time)
    last = 1 + (data.order.data.max() if data.order.nnz else 0)
    if order is None:
        place = 0 if data.has_time else np.arange(n)
    else:
        place = np.unique(order, return_inverse=True)[1]
    return np.full(n, last, dtype=np.int64) + place


def _spread(matrix: sp.csr_matrix, known: np.ndarray) -> sp.csr_matrix:
    """Return CSR [len(known), columns]: the rows of known users, in order; others are empty."""
    lengths = np.zeros(len(known), dtype=np.int64)
    lengths[known] = np.diff(matrix.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape=(len(known), matrix.shape[1]))


def _later(data: TrainingData, ids: np.ndarray, history: InteractionLog) -> Later:
    """Return the rows of a history of users who are asked; those of unknown items are left out."""
    frame = history.frame
    place = pd.Index(ids).get_indexer(frame[USER_ID])
    column = np.full(len(frame), -1, np.int64)
    for domain, rows in frame.groupby(DOMAIN, observed=True).indices.items():
        if domain in data.items:
            item = data.items[domain].encode(frame[ITEM_ID].iloc[rows], missing="mark")
            column[rows] = np.where(item >= 0, item + data.span(domain).start, -1)
    weight = np.ones(len(frame), np.float32)
    if WEIGHT in frame:
        weight = frame[WEIGHT].to_numpy(np.float32)
    order = later_order(data, history.order, history.has_time, len(frame))
    use = (place >= 0) & (column >= 0)
    return Later(place[use], column[use], weight[use], order[use])


def _matrices(
    data: TrainingData, n_users: int, later: Later, use: np.ndarray
) -> tuple[sp.csr_matrix, sp.csr_matrix | None, sp.csr_matrix]:
    """Return CSR [n_users, n_items] of some rows of a history: what, when, and how strong.

    The second is None where the training data has no order.
    """
    shape = (n_users, data.n_items)
    rows, columns, strength, order = ([part[use]] for part in later)
    strong = joint_matrix(rows, columns, strength, shape)
    when = None if data.order is None else latest(rows, columns, order, shape)
    matrix = sp.csr_matrix((np.ones_like(strong.data), strong.indices, strong.indptr), shape)
    return matrix, when, strong
