"""Filters of a log: the latest row of each pair, and the k-core. On codes, vectorised."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["core_rows", "latest_rows"]


def latest_rows(key: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    """Mark one row for each key: the latest, of equal or unknown times the first.

    Parameters
    ----------
    key
        int64 for each row; equal where rows are about the same thing.
    times
        int64 for each row, or None.

    Returns
    -------
    numpy.ndarray
        Boolean. O(n), and a sort of the rows that have a double.

    Examples
    --------
    >>> latest_rows(np.array([7, 7, 8]), np.array([1, 2, 1])).tolist()
    [False, True, True]
    """
    keep = np.ones(len(key), dtype=bool)
    rows = np.flatnonzero(pd.Series(key).duplicated(keep=False).to_numpy())
    if times is not None and rows.size:
        rows = rows[np.lexsort((rows, -times[rows]))]
    again = pd.Series(key[rows]).duplicated().to_numpy()
    keep[rows[again]] = False
    return keep


def core_rows(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Mark the largest part in which every user and every item has `k` rows or more.

    Rows of users and items below `k` are dropped, again and again, until none is left to drop
    (Seidman 1983, on the bipartite graph). O(n) for each round.

    Parameters
    ----------
    users, items
        Non-negative integer codes for each row.
    k
        Least number of rows.

    Returns
    -------
    numpy.ndarray
        Boolean for each row.

    Examples
    --------
    >>> users, items = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1])
    >>> core_rows(users, items, 2).tolist()
    [True, True, True, True, False]
    """
    rows = np.arange(len(users))
    while rows.size:
        user, item = users[rows], items[rows]
        enough = (np.bincount(user) >= k)[user] & (np.bincount(item) >= k)[item]
        if enough.all():
            break
        rows = rows[enough]
    keep = np.zeros(len(users), dtype=bool)
    keep[rows] = True
    return keep
