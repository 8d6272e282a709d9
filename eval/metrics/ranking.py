"""Metrics of a ranked list against held-out items.

Conventions shared by all: every user with at least one relevant item counts once; a place that
holds no item (list shorter than k) is a miss; a relevant item that the system cannot recommend is
a miss; ties were broken at random, seeded, before the list was cut.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.base import Array, ListMetric, RankedLists
from graphgen.arrays import place_in_group

__all__ = ["F1", "MAP", "MRR", "NDCG", "HitRate", "Precision", "RPrecision", "Recall"]


class Recall(ListMetric):
    """Share of the user's relevant items among the first k.

    The denominator is the number of relevant items, also where it exceeds k (as in LightGCN), so a
    perfect list stays below 1 for a user with more than k relevant items.

    Examples
    --------
    >>> lists = RankedLists.of([[4, 2, 7]], [{2, 9}])
    >>> Recall()(lists, 2).tolist()
    [0.5]
    """

    name, title = "recall", "Recall"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.hit_counts[:, k - 1] / lists.n_relevant


class Precision(ListMetric):
    """Share of relevant items among the first k places; always divided by k.

    Examples
    --------
    >>> Precision()(RankedLists.of([[4, 2, 7, 1]], [{2, 9}]), 4).tolist()
    [0.25]
    """

    name, title = "precision", "Precision"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.hit_counts[:, k - 1] / k


class F1(ListMetric):
    """Harmonic mean of precision and recall at k, per user; 0 where both are 0.

    It is taken per user and then averaged, not computed from averages.

    Examples
    --------
    >>> F1()(RankedLists.of([[4, 2]], [{2, 9}]), 2).tolist()
    [0.5]
    """

    name, title = "f1", "F1"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        # 2 hits / (k + relevant) is the harmonic mean.
        return 2.0 * lists.hit_counts[:, k - 1] / (k + lists.n_relevant)


class HitRate(ListMetric):
    """1 where at least one relevant item stands among the first k.

    Examples
    --------
    >>> HitRate()(RankedLists.of([[4, 2], [4, 3]], [{2}, {1}]), 2).tolist()
    [1.0, 0.0]
    """

    name, title = "hit-rate", "Hit rate"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return (lists.first_hit < k).astype(np.float64)


class NDCG(ListMetric):
    """Normalised discounted cumulative gain.

    Gain ``grade / log2(1 + place)``, the grade 1 where relevance is binary and the rating itself
    (linear, not ``2^rating - 1``) where it is graded; the ideal list is cut at k as well: it holds
    the ``min(k, relevant)`` hits of the highest grades, so a perfect list of k scores 1.

    References
    ----------
    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.

    Examples
    --------
    >>> NDCG()(RankedLists.of([[4, 2]], [{2}]), 2).round(4).tolist()
    [0.6309]
    """

    name, title = "ndcg", "NDCG"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        if lists.hit_grades is not None:
            return self._graded(lists, k)
        ideal = np.cumsum(lists.discounts[:k])
        return lists.gains[:, k - 1] / ideal[np.minimum(lists.n_relevant, k) - 1]

    @staticmethod
    def _graded(lists: RankedLists, k: int) -> Array:
        row, grade = np.asarray(lists.pair_row), np.asarray(lists.pair_grades)
        order = np.lexsort((-grade, row))
        place = place_in_group(row[order])
        best = order[place < k]
        gain = grade[best] * lists.discounts[place[place < k]]
        ideal = np.bincount(row[best], weights=gain, minlength=len(lists.n_relevant))
        found: Array = np.asarray(lists.hit_grades)[:, :k] @ lists.discounts[:k] / ideal
        return found


class MRR(ListMetric):
    """One over the place of the first relevant item; 0 where none is among the first k.

    Examples
    --------
    >>> MRR()(RankedLists.of([[4, 2]], [{2}]), 2).tolist()
    [0.5]
    """

    name, title = "mrr", "MRR"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return np.where(lists.first_hit < k, 1.0 / (lists.first_hit + 1), 0.0)


class MAP(ListMetric):
    """Average precision at the places of the hits, over ``min(k, relevant)``.

    ``trec_eval`` divides by the number of relevant items instead; the two agree where a user has
    at most k of them.

    Examples
    --------
    >>> MAP()(RankedLists.of([[2, 4, 9]], [{2, 9}]), 3).round(4).tolist()
    [0.8333]
    """

    name, title = "map", "MAP"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        places = np.arange(1, k + 1)
        precision_at_hits = np.where(lists.hits[:, :k], lists.hit_counts[:, :k] / places, 0.0)
        return precision_at_hits.sum(axis=1) / np.minimum(lists.n_relevant, k)


class RPrecision(ListMetric):
    """Precision at as many places as the user has relevant items, at most k.

    Examples
    --------
    >>> RPrecision()(RankedLists.of([[2, 4, 9]], [{2, 9}]), 3).tolist()
    [0.5]
    """

    name, title = "r-precision", "R-precision"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        depth = np.minimum(lists.n_relevant, k)
        return lists.hit_counts[np.arange(len(depth)), depth - 1] / depth
