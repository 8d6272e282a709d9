"""What a scorer does with items that its training could not reach."""

from __future__ import annotations

import numpy as np

__all__ = ["cold_last"]


def cold_last(scores: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Give items without interactions the least score of the others in each row, in place.

    A model that learns a free vector for each item leaves those of cold items at their random
    start, while sampled negatives push unpopular warm items below zero; without this, noise would
    stand above them.

    Parameters
    ----------
    scores
        float32 [n, items].
    warm
        bool [items], whether the item has interactions.

    Examples
    --------
    >>> cold_last(np.array([[0.0, -2.0, -1.0]]), np.array([False, True, True])).tolist()
    [[-2.0, -2.0, -1.0]]
    """
    if warm.any() and not warm.all():
        scores[:, ~warm] = scores[:, warm].min(axis=1, keepdims=True)
    return scores
