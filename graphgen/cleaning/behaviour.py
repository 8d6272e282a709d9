"""How fast, how repetitive and how regular users are: measures that tell bots from people."""

from __future__ import annotations

import numpy as np

__all__ = ["gap_entropy", "repetition", "trailing_counts"]

BINS_PER_OCTAVE = 4
# Above the bins of a gap of 2^63 milliseconds.
MOST_BINS = 64 * BINS_PER_OCTAVE


def trailing_counts(users: np.ndarray, times: np.ndarray, window: float) -> np.ndarray:
    """Return int64 [n], the interactions of each row's user in the window that ends with the row.

    Parameters
    ----------
    users
        Codes, int [n].
    times
        Milliseconds, int64 [n].
    window
        Seconds. O(n log n).

    Examples
    --------
    >>> users, times = np.array([0, 1, 0, 0]), np.array([0, 0, 59_000, 61_000])
    >>> trailing_counts(users, times, 60.0).tolist()
    [1, 1, 2, 2]
    """
    if not len(users):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((times, users))
    length = max(1, round(window))
    seconds = (times[order] - times.min()) // 1000
    # One number line: the users one after the other, further apart than a window.
    place = users[order].astype(np.int64) * (int(seconds.max()) + length + 1) + seconds
    first = np.searchsorted(place, place - length, side="right")
    counts = np.empty(len(users), dtype=np.int64)
    counts[order] = np.arange(len(users)) - first + 1
    return counts


def repetition(users: np.ndarray, pairs: np.ndarray, n_users: int) -> np.ndarray:
    """Return float [n_users], the share of a user's rows that repeat a pair of theirs.

    Examples
    --------
    >>> repetition(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 9]), 2).round(2).tolist()
    [0.33, 0.0]
    """
    _, first = np.unique(pairs, return_index=True)
    rows = np.bincount(users, minlength=n_users)
    return 1 - np.bincount(users[first], minlength=n_users) / np.maximum(rows, 1)


def gap_entropy(users: np.ndarray, times: np.ndarray, n_users: int, least: int) -> np.ndarray:
    """Return float [n_users], the entropy in bits of the times between a user's interactions.

    Gaps are counted in bins of a quarter of an octave; those of 0 are left out, as rows of one
    visit often have one time. NaN for users with fewer than `least` gaps. O(n log n).

    Examples
    --------
    >>> users, times = np.repeat([0, 1], 4), np.array([0, 10, 20, 30, 0, 1, 100, 9000])
    >>> gap_entropy(users, times, 2, 3).round(2).tolist()
    [0.0, 1.58]
    """
    order = np.lexsort((times, users))
    user, gap = users[order], np.diff(times[order], prepend=times[:1])
    same = np.zeros(len(user), dtype=bool)
    same[1:] = user[1:] == user[:-1]
    rows = same & (gap > 0)
    user, gap = user[rows].astype(np.int64), gap[rows]
    bins = (np.log2(gap) * BINS_PER_OCTAVE).astype(np.int64)
    cell, count = np.unique(user * MOST_BINS + bins, return_counts=True)
    of = cell // MOST_BINS
    total = np.bincount(user, minlength=n_users)
    share = count / total[of]
    entropy = np.bincount(of, -share * np.log2(share), minlength=n_users)
    return np.where(total >= least, np.maximum(entropy, 0.0), np.nan)
