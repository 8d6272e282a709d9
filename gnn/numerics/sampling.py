"""Sampling of items that a user has not interacted with."""

from __future__ import annotations

import numpy as np

__all__ = ["NegativeSampler"]


class NegativeSampler:
    """Draws, for each positive, an item with interactions from the same domain, uniformly.

    As most published code does, it does not look whether the user knows the item: in a sparse log
    that is rare, and the draw stays O(1).

    Parameters
    ----------
    item_domain
        int64 [items], number of the domain of each item, rising.
    warm
        bool [items], whether the item has interactions.
    """

    def __init__(self, item_domain: np.ndarray, warm: np.ndarray) -> None:
        self._domain = item_domain
        self._warm = np.flatnonzero(warm)  # Each domain is one stretch.
        self._count = np.bincount(item_domain[self._warm])
        self._start = np.cumsum(self._count) - self._count

    def draw(self, positives: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return int64 [len(positives)], joint indices of the negatives."""
        domain = self._domain[positives]
        offset = (generator.random(len(positives)) * self._count[domain]).astype(np.int64)
        return self._warm[self._start[domain] + offset]
