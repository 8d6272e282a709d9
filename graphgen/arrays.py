"""Idioms on arrays that several modules share."""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = ["GOLDEN_GAMMA", "MIX_1", "mix_bits", "place_in_group", "visit_numbers"]

# Constants of the splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014).
GOLDEN_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
MIX_2: Final = np.uint64(0x94D049BB133111EB)


def mix_bits(state: np.ndarray) -> np.ndarray:
    """Spread each uint64 over all its bits (the finaliser of splitmix64); returns a new array."""
    mixed = state ^ (state >> np.uint64(30))
    mixed *= MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= MIX_2
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed)


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
