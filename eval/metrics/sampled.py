"""Sampled metrics: each relevant item among random negatives instead of the catalogue.

They exist to set results beside papers that report them. They are not estimates of the full
metrics and can order systems differently (Krichene and Rendle, "On sampled metrics for item
recommendation", KDD 2020), so they are computed on request only, from a fixed file of negatives,
and are named ``sampled-...``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from eval.metrics.base import Array, Metric, RankedLists
from graphgen.topk import tie_noise

__all__ = ["SampledHitRate", "SampledMRR", "SampledNDCG", "sampled_rank"]


class SampledMetric(Metric):
    """A metric of the rank of one relevant item among negatives; users average over theirs."""

    needs = ("pair_rank",)
    on_request = True
    has_k: ClassVar[bool] = True

    def columns(self, ks: tuple[int, ...]) -> list[str]:
        """Return one column per k, or one where k has no meaning."""
        return [self.column(self.name, k) for k in ks] if self.has_k else [self.name]

    def per_user(self, lists: RankedLists, ks: tuple[int, ...]) -> dict[str, Array]:
        """Average over the relevant items of each user."""
        rank = np.asarray(lists.pair_rank)
        return {
            column: lists.mean_over_pairs(self(rank, k))
            for column, k in zip(self.columns(ks), ks, strict=False)
        }

    @abstractmethod
    def __call__(self, rank: Array, k: int) -> Array:
        """Return the value of each rank (from 1); float64 [pairs]."""


class SampledHitRate(SampledMetric):
    """1 where the relevant item ranks among the first k of itself and its user's negatives.

    A user with several relevant items averages over them, each ranked apart from the others.

    Examples
    --------
    >>> import numpy as np
    >>> SampledHitRate()(np.array([1, 11]), 10).tolist()
    [1.0, 0.0]
    """

    name, title = "sampled-hit-rate", "Sampled hit rate"

    def __call__(self, rank: Array, k: int) -> Array:
        """Return 0 or 1 for each rank."""
        return (rank <= k).astype(np.float64)


class SampledNDCG(SampledMetric):
    """``1 / log2(1 + rank)`` where the rank is at most k, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> SampledNDCG()(np.array([1, 3, 11]), 10).tolist()
    [1.0, 0.5, 0.0]
    """

    name, title = "sampled-ndcg", "Sampled NDCG"

    def __call__(self, rank: Array, k: int) -> Array:
        """Return the discounted gain of each rank."""
        return np.where(rank <= k, 1.0 / np.log2(1.0 + rank), 0.0)


class SampledMRR(SampledMetric):
    """One over the rank among the negatives, without a cut.

    Examples
    --------
    >>> import numpy as np
    >>> SampledMRR()(np.array([1, 4]), 0).tolist()
    [1.0, 0.25]
    """

    name, title, has_k = "sampled-mrr", "Sampled MRR", False

    def __call__(self, rank: Array, k: int) -> Array:
        """Return the reciprocal of each rank."""
        return 1.0 / rank


def sampled_rank(
    scores: Array, rows: Array, columns: Array, negatives: Array, keys: Array, seed: int = 0
) -> Array:
    """Rank each relevant item among its user's negatives.

    Parameters
    ----------
    scores
        float32 [users, items].
    rows, columns
        int64 [pairs]: relevant items; column -1 ranks behind all negatives.
    negatives
        int64 [users, n]: columns of the negatives, -1 where a user has fewer.
    keys
        int64 [users]: a key of each user that holds beyond this call.
    seed
        Seed by which equal scores are ordered.

    Returns
    -------
    numpy.ndarray
        float64 [pairs], from 1; NaN for a user without negatives.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([[0.5, 0.9, 0.1, 0.3]])
    >>> sampled_rank(scores, np.array([0]), np.array([0]), np.array([[1, 2, 3]]), np.array([7]))
    array([2.])
    """
    there = negatives >= 0
    against = np.take_along_axis(scores, np.maximum(negatives, 0), axis=1)
    against[~there] = -np.inf
    count = there.sum(axis=1)[rows]
    own = np.where(columns >= 0, scores[rows, np.maximum(columns, 0)], -np.inf)[:, None]
    above = np.count_nonzero(against[rows] > own, axis=1)
    equal = np.count_nonzero((against[rows] == own) & there[rows], axis=1)
    draw = tie_noise(keys[rows], columns + 1, seed=seed) / np.float64(2**63)
    rank = 1.0 + above + np.floor(draw * (equal + 1.0))
    rank = np.where(columns >= 0, rank, count + 1.0)
    return np.where(count > 0, rank, np.nan)
