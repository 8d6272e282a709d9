"""Sampling of items that a person has not met."""

from __future__ import annotations

import numpy as np

from gnn.data import TrainingData

__all__ = ["NegativeSampler"]


class NegativeSampler:
    """Draws, for each positive, an item with interactions from the same domain, uniformly.

    As most published code does, it does not look whether the user knows the item: in a sparse log
    that is rare, and the draw stays O(1).

    Parameters
    ----------
    data
        What is trained on.
    """

    def __init__(self, data: TrainingData) -> None:
        self._domain = data.item_domain
        warm = np.flatnonzero(data.warm)
        self._warm = warm  # Joint indices rise with the domain, so each domain is one stretch.
        self._count = np.bincount(self._domain[warm], minlength=len(data.domains))
        self._start = np.cumsum(self._count) - self._count

    def draw(self, positives: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return int64 [len(positives)], joint indices of the negatives."""
        domain = self._domain[positives]
        offset = (generator.random(len(positives)) * self._count[domain]).astype(np.int64)
        return self._warm[self._start[domain] + offset]
