"""Users to score: looked up by id, with their histories in training and since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch, joint_matrix, latest
from gnn.numerics.sparse import without
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID, WEIGHT

__all__ = ["user_batch"]


def user_batch(
    data: TrainingData, ids: Sequence[str] | np.ndarray, history: InteractionLog | None
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
    if history is not None and len(history):
        liked = history.liked
        when = _history_order(data, history)
        refused, strength, _ = _history_matrices(data, ids, history.frame[~liked], when[~liked])
        refused.data[:] = np.where(strength.data < 0, strength.data, 1.0)
        later, strength, new = _history_matrices(data, ids, history.frame[liked], when[liked])
        if weights is not None or (strength.data != 1).any():
            weights = (rows if weights is None else weights) + strength
        rows = rows.maximum(later)
        if order is not None:
            order = order.maximum(new)
        if refused.nnz:
            # Refused since: no like any more.
            rows, order, weights = (
                None if m is None else without(m, refused) for m in (rows, order, weights)
            )
            rejected = refused if rejected is None else rejected + without(refused, rejected)
    keys = pd.util.hash_array(ids, categorize=False).view(np.int64)
    return UserBatch(index, rows, keys, order, weights, rejected, data.has_time)


def _history_order(data: TrainingData, history: InteractionLog) -> np.ndarray:
    """Return int64 [rows], as `TrainingData.order` has it.

    A history without it counts as later than all that was trained on, after training on positions
    in the order of its rows, and so does one with timestamps then, or the other way round, in its
    own order.
    """
    order = history.order
    if data.order is None or (order is not None and history.has_time == data.has_time):
        return np.ones(len(history), np.int64) if order is None else order + (not data.has_time)
    last = 1 + (data.order.data.max() if data.order.nnz else 0)
    if order is None:
        place = 0 if data.has_time else np.arange(len(history))
    else:
        place = np.unique(order, return_inverse=True)[1]
    return np.full(len(history), last, dtype=np.int64) + place


def _spread(matrix: sp.csr_matrix, known: np.ndarray) -> sp.csr_matrix:
    """Return CSR [len(known), columns]: the rows of known users, in order; others are empty."""
    lengths = np.zeros(len(known), dtype=np.int64)
    lengths[known] = np.diff(matrix.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape=(len(known), matrix.shape[1]))


def _history_matrices(
    data: TrainingData, ids: np.ndarray, frame: pd.DataFrame, order: np.ndarray
) -> tuple[sp.csr_matrix, sp.csr_matrix, sp.csr_matrix | None]:
    """Return CSR [len(ids), n_items] of the rows of a history: what, how strong, and when.

    Rows of unknown items are left out. The last is None where the training data has no order.
    """
    place = pd.Index(ids).get_indexer(frame[USER_ID])
    rows, columns, whens = ([np.empty(0, np.int64)] for _ in range(3))
    strength = [np.empty(0, np.float32)]
    for domain, part in frame.assign(place=place, order=order)[place >= 0].groupby(
        DOMAIN, observed=True
    ):
        if domain not in data.items:
            continue
        item = data.items[domain].encode(part[ITEM_ID], missing="mark")
        known = item >= 0
        rows.append(part["place"].to_numpy()[known])
        columns.append(item[known] + data.span(domain).start)
        weight = part[WEIGHT] if WEIGHT in part else pd.Series(1.0, part.index)
        strength.append(weight.to_numpy(np.float32)[known])
        whens.append(part["order"].to_numpy()[known])
    shape = (len(ids), data.n_items)
    matrix = joint_matrix(rows, columns, None, shape)
    matrix.data[:] = 1.0
    when = None if data.order is None else latest(rows, columns, whens, shape)
    return matrix, joint_matrix(rows, columns, strength, shape), when
