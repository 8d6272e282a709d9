"""Filters of a log: one row of each pair, and the k-core. On codes, vectorised."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["combined_rows", "core_rows", "latest_rows"]


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
        Boolean. O(n log n).

    Examples
    --------
    >>> latest_rows(np.array([7, 7, 8]), np.array([1, 2, 1])).tolist()
    [False, True, True]
    """
    keep = np.ones(len(key), dtype=bool)
    ordered = np.sort(key)
    doubled = pd.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(doubled):
        return keep
    rows = np.flatnonzero(pd.Series(key).isin(doubled).to_numpy())
    if times is not None and rows.size:
        rows = rows[np.lexsort((rows, -times[rows]))]
    again = pd.Series(key[rows]).duplicated().to_numpy()
    keep[rows[again]] = False
    return keep


def combined_rows(
    key: np.ndarray, weight: np.ndarray, additive: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Combine the rows of the same user and item.

    Of rows that do not add up (ratings, weights, plain rows) the latest counts; of equal times, and
    without times, the first. It and the events are put in order of time: a dislike or a drop
    overrides all before it (without times, and at equal times, all beside it; a dislike before a
    drop), and later likes add up.

    Parameters
    ----------
    key
        int64 [n], equal for the rows of a pair.
    weight
        float [n], NaN for a drop.
    additive
        bool [n], events.
    times
        int64 [n], or None.

    Returns
    -------
    keep : numpy.ndarray
        Bool [n], one row of each pair at most: the latest that counts.
    weight : numpy.ndarray
        float [n], the combined weight at the rows to keep.

    Examples
    --------
    >>> weight = np.array([1.0, 0.3, np.nan, 0.3])  # like, play, refund, play
    >>> keep, total = combined_rows(np.zeros(4, int), weight, np.ones(4, bool), np.arange(4))
    >>> keep.tolist(), total[keep].tolist()
    ([False, False, False, True], [0.3])
    """
    n = len(key)
    if not n:
        return np.ones(0, dtype=bool), weight
    time = np.zeros(n, dtype=np.int64) if times is None else times
    # The first of equal times counts as the latest, as in `latest_rows`.
    order = np.lexsort((-np.arange(n), time, key))
    plain = order[~additive[order]]
    latest = np.ones(n, dtype=bool)
    superseded = plain[:-1][key[plain[1:]] == key[plain[:-1]]] if len(plain) else plain
    latest[superseded] = False
    order = order[latest[order]]
    value = weight[order]
    # Likes first, then drops, then dislikes: the last of equal times wins.
    rank = np.where(np.isnan(value), 1, np.where(value < 0, 2, 0))
    order = order[np.lexsort((rank, time[order], key[order]))]
    value, group = weight[order], key[order]
    overrides = np.isnan(value) | (value < 0)
    number = np.arange(len(order))
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))
    sizes = np.diff(starts, append=len(group))
    last = np.repeat(np.maximum.reduceat(np.where(overrides, number, -1), starts), sizes)
    like = (value >= 0) & (number > last)
    total = np.repeat(np.add.reduceat(np.where(like, value, 0.0), starts), sizes)
    # The row that stands for a pair: the latest like, else the latest seen, else the override.
    precedence = np.where(like & (value > 0), 2, np.where(like, 1, np.where(number == last, 0, -1)))
    best = np.lexsort((number, precedence, group))
    ends = np.ones(len(best), dtype=bool)
    ends[:-1] = group[best][1:] != group[best][:-1]
    chosen = best[ends]
    combined = np.where(precedence[chosen] > 0, total[chosen], value[chosen])
    keep, result = np.zeros(n, dtype=bool), weight.copy()
    rows, dropped = order[chosen], np.isnan(combined)
    keep[rows[~dropped]] = True
    result[rows] = combined
    return keep, result


def core_rows(
    users: np.ndarray, items: np.ndarray, k: int, k_items: int | None = None
) -> np.ndarray:
    """Mark the largest part in which every user has `k` rows or more, every item `k_items`.

    Rows of users and items below that are dropped, again and again, until none is left to drop
    (Seidman 1983, on the bipartite graph). O(n) for each round.

    Parameters
    ----------
    users, items
        Non-negative integer codes for each row.
    k, k_items
        Least numbers of rows; `k_items` is by default `k`.

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
    k_items = k if k_items is None else k_items
    while rows.size:
        user, item = users[rows], items[rows]
        enough = (np.bincount(user) >= k)[user] & (np.bincount(item) >= k_items)[item]
        if enough.all():
            break
        rows = rows[enough]
    keep = np.zeros(len(users), dtype=bool)
    keep[rows] = True
    return keep
