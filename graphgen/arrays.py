"""Idioms on arrays that several modules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "GOLDEN_GAMMA",
    "MIX_1",
    "dense_codes",
    "mix_bits",
    "place_among",
    "place_in_group",
    "sorted_rows",
    "sorted_texts",
    "visit_numbers",
]

# Constants of the splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014).
GOLDEN_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
MIX_2: Final = np.uint64(0x94D049BB133111EB)
# Texts up to this many bytes are sorted as numbers.
LONGEST_TEXT: Final = 64
# Keys are numbered through a table where it has at most so many places for each row.
SPARSE: Final = 8


def mix_bits(state: np.ndarray) -> np.ndarray:
    """Spread each uint64 over all its bits (the finaliser of splitmix64); returns a new array."""
    mixed = state ^ (state >> np.uint64(30))
    mixed *= MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= MIX_2
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed)


def dense_codes(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``np.unique(keys, return_inverse=True)`` turned round, for keys of at least 0.

    O(n + largest key) where there are at most a few keys below the largest for each row, else
    O(n log n).

    Examples
    --------
    >>> codes, keys = dense_codes(np.array([7, 3, 7]))
    >>> codes.tolist(), keys.tolist()
    ([1, 0, 1], [3, 7])
    """
    n_keys = int(keys.max(initial=-1)) + 1
    if n_keys > SPARSE * max(len(keys), 1):
        found, codes = np.unique(keys, return_inverse=True)
        return codes, found
    there = np.zeros(n_keys, dtype=bool)
    there[keys] = True
    return (np.cumsum(there) - 1)[keys], np.flatnonzero(there)


def place_in_group(group: np.ndarray) -> np.ndarray:
    """Number the entries within each run of equal values, from 0. O(n).

    Parameters
    ----------
    group
        One value for each entry; entries of one group stand together.

    Returns
    -------
    numpy.ndarray
        int64.

    Examples
    --------
    >>> place_in_group(np.array([3, 3, 3, 5, 7, 7])).tolist()
    [0, 1, 2, 0, 0, 1]
    """
    ends = np.flatnonzero(group[1:] != group[:-1]) + 1
    starts = np.append(0, ends)
    return np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))


def place_among(group: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """Number the entries of each group from 0, in the order of the keys, then as they come.

    O(n log n).

    Parameters
    ----------
    group
        One value for each entry, in any order.
    *keys
        As many values each, the most important first.

    Returns
    -------
    numpy.ndarray
        int64.

    Examples
    --------
    >>> place_among(np.array([7, 3, 7, 3]), np.array([2, 5, 1, 5])).tolist()
    [1, 0, 0, 1]
    """
    order = np.lexsort((*reversed(keys), group))
    place: np.ndarray = np.empty(len(group), dtype=np.int64)
    place[order] = place_in_group(group[order])
    return place


def visit_numbers(group: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Number the visits of each group from 0: float32, one more at each new time. O(n).

    Parameters
    ----------
    group, time
        One value for each entry, sorted by group, then time.

    Examples
    --------
    >>> visit_numbers(np.array([0, 0, 0, 4]), np.array([5, 5, 9, 7])).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    new = np.zeros(len(group), dtype=np.int64)
    new[1:] = (group[1:] == group[:-1]) & (time[1:] != time[:-1])
    count = np.cumsum(new)
    first = np.arange(len(group)) - place_in_group(group)
    return (count - count[first]).astype(np.float32)


def sorted_rows(
    major: np.ndarray, minor: np.ndarray | None = None, tie: np.ndarray | None = None
) -> np.ndarray:
    """Return ``np.lexsort((tie, minor, major))`` for integers, in a fraction of the time.

    Both keys are packed into one where they fit into 63 bits, and sorted without regard to ties;
    only ties are sorted again. O(n log n).

    Parameters
    ----------
    major, minor
        Integers [n]; `major` not negative.
    tie
        What orders rows of equal keys; their place, by default.

    Examples
    --------
    >>> sorted_rows(np.array([1, 0, 1, 1]), np.array([-5, 3, -9, -5])).tolist()
    [1, 2, 0, 3]
    """
    if minor is None and tie is None:
        return np.argsort(major, kind="stable")
    key = np.asarray(major, dtype=np.int64)
    if minor is not None and len(key):
        low, high = int(minor.min()), int(minor.max())
        if (int(key.max()) + 1) * (high - low + 1) >= 2**63:
            keys = (minor, key) if tie is None else (tie, minor, key)
            return np.lexsort(keys)
        key = key * (high - low + 1)
        key += minor
        key -= low
    if tie is None and bool((key[1:] >= key[:-1]).all()):
        return np.arange(len(key))
    return _with_ties(key, () if tie is None else (tie,))


def sorted_texts(texts: pa.Array) -> np.ndarray:
    """Return the order of texts without nulls, by code points, of equal texts by place.

    Arrow compares two texts at a time. Here the bytes that differ are put into integers. O(n log n)

    Parameters
    ----------
    texts
        Arrow large_string [n].

    Examples
    --------
    >>> sorted_texts(pa.array(["film-9", "film-10", "a"], pa.large_string())).tolist()
    [2, 1, 0]
    """
    letters = _letters(texts)
    if letters is None:
        return np.asarray(pc.sort_indices(texts).to_numpy(), dtype=np.int64)
    varying = letters[:, (letters != letters[:1]).any(axis=0)]
    words = np.zeros((len(letters), -(-max(1, varying.shape[1]) // 8) * 8), dtype=np.uint8)
    words[:, : varying.shape[1]] = varying
    first, *others = words.view(">u8").T.astype(np.uint64)
    return _with_ties(first, others[::-1])


def _with_ties(key: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``np.lexsort((*others, key))``; `others` are looked at where keys are equal only."""
    order = np.argsort(key)
    key = key[order]
    same = key[1:] == key[:-1]
    if same.any():
        tied = np.zeros(len(key), dtype=bool)
        tied[1:] = same
        tied[:-1] |= same
        place = np.flatnonzero(tied)
        rows = order[place]
        order[place] = rows[np.lexsort((rows, *(other[rows] for other in others), key[place]))]
    return order


def _letters(texts: pa.Array) -> np.ndarray | None:
    """Return the bytes of each text, uint8 [n, longest], with zeros behind; None if that is much.

    None, too, where a text holds a zero itself.
    """
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(bounds)
    longest = int(lengths.max(initial=0))
    if not longest or longest > LONGEST_TEXT:
        return None
    content = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    if lengths.min() == longest:
        letters = content.reshape(len(texts), longest)
    else:
        letters = np.zeros((len(texts), longest), dtype=np.uint8)
        letters[np.arange(longest) < lengths[:, None]] = content
    return letters if content.all() else None
