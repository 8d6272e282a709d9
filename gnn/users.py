"""Users to score, with their history in the training graph and after it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch, joint_matrix, known_times, latest_times
from graphgen.builders.interactions import milliseconds
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID

__all__ = ["user_batch"]


def user_batch(data: TrainingData, ids: np.ndarray, history: InteractionLog | None) -> UserBatch:
    """Look users up; O(their interactions).

    Parameters
    ----------
    data
        Training data.
    ids
        External ids [n], known or not.
    history
        Interactions since training, or of users who arrived after it.
    """
    index = data.users.encode(ids, missing="mark")
    known = index >= 0
    found = data.batch(index[known])
    rows = _spread(found.history, known)
    times = None if found.times is None else _spread(found.times, known)
    if history is not None and len(history):
        later, when = _history_matrices(data, ids, history)
        rows = rows.maximum(later)
        if times is not None and when is not None:
            times = times.maximum(when)
    keys = pd.util.hash_array(ids, categorize=False).view(np.int64)
    return UserBatch(index, rows, keys, times)


def _spread(matrix: sp.csr_matrix, known: np.ndarray) -> sp.csr_matrix:
    """Return CSR [len(known), columns]: the rows of known users, in order; others are empty."""
    lengths = np.zeros(len(known), dtype=np.int64)
    lengths[known] = np.diff(matrix.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape=(len(known), matrix.shape[1]))


def _history_matrices(
    data: TrainingData, ids: np.ndarray, history: InteractionLog
) -> tuple[sp.csr_matrix, sp.csr_matrix | None]:
    """Return CSR [len(ids), n_items] of the rows of `history`: what, and when.

    Rows of unknown items are left out. The times are as `TrainingData.times`, None where that is; a
    history without times counts as later than all that was trained on.
    """
    frame = history.frame
    place = pd.Index(ids).get_indexer(frame[USER_ID])
    rows, columns, times = ([np.empty(0, np.int64)] for _ in range(3))
    for domain, part in frame.assign(place=place)[place >= 0].groupby(DOMAIN, observed=True):
        if domain not in data.items:
            continue
        item = data.items[domain].encode(part[ITEM_ID], missing="mark")
        known = item >= 0
        rows.append(part["place"].to_numpy()[known])
        columns.append(item[known] + data.span(domain).start)
        if data.times is not None:
            times.append(_log_times(part[known], data))
    shape = (len(ids), data.n_items)
    matrix = joint_matrix(rows, columns, None, shape)
    matrix.data[:] = 1.0
    if data.times is None:
        return matrix, None
    return matrix, latest_times(rows, columns, times, shape)


def _log_times(rows: pd.DataFrame, data: TrainingData) -> np.ndarray:
    """Return int64 [len(rows)], as `TrainingData.times`."""
    if TIMESTAMP in rows:
        return milliseconds(rows[TIMESTAMP])
    return np.full(len(rows), 1 + int(known_times(data).data.max()), dtype=np.int64)
