"""People to score: what is known of each, from the training graph and from what came later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch, joint_matrix
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID

__all__ = ["user_batch"]


def user_batch(data: TrainingData, ids: np.ndarray, history: InteractionLog | None) -> UserBatch:
    """Look people up; O(their interactions).

    Parameters
    ----------
    data
        What was trained on.
    ids
        External ids [n], known or not.
    history
        Interactions since training, or of people who arrived after it.
    """
    index = data.users.encode(ids, missing="mark")
    known = index >= 0
    everybody = data.batch(np.maximum(index, 0))
    rows = _only(known, everybody.history)
    times = None if everybody.times is None else _only(known, everybody.times)
    if history is not None and len(history):
        later, when = _history_matrices(data, ids, history)
        rows = rows.maximum(later)
        if times is not None and when is not None:
            times = times.maximum(when)
    keys = pd.util.hash_array(ids, categorize=False).view(np.int64)
    return UserBatch(index, rows, keys, times)


def _only(known: np.ndarray, matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return the matrix with the rows of people who are not known emptied."""
    if known.all():
        return matrix
    kept = np.repeat(known, np.diff(matrix.indptr))
    indptr = np.concatenate([[0], np.cumsum(np.diff(matrix.indptr) * known)])
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


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
    # Of rows that say the same the last one stands: a sum would say a time that never was.
    row, column, time = (np.concatenate(part) for part in (rows, columns, times))
    order = np.lexsort((time, column, row))
    row, column, time = row[order], column[order], time[order]
    last = np.ones(len(row), dtype=bool)
    last[:-1] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    return matrix, joint_matrix([row[last]], [column[last]], [time[last]], shape)


def _log_times(rows: pd.DataFrame, data: TrainingData) -> np.ndarray:
    """Return int64 [len(rows)], as `TrainingData.times`."""
    assert data.times is not None
    if TIMESTAMP not in rows:
        return np.full(len(rows), 1 + int(data.times.data.max()), dtype=np.int64)
    milliseconds = rows[TIMESTAMP].dt.tz_convert("UTC").dt.tz_localize(None)
    time = milliseconds.to_numpy("datetime64[ms]").astype(np.int64)
    return np.maximum(time, 1)
