"""Metrics over interests, the categories of items that a user likes, is shown, and takes up.

An interest is the category of an item. Items without one are left out of the counts unless a
docstring says otherwise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp

from eval.metrics.base import Array, ListMetric, RankedLists, entries, ratio
from graphgen.arrays import place_among, place_in_group

__all__ = [
    "AlphaNDCG",
    "Breadth",
    "ExpansionHitRate",
    "ExpansionRecall",
    "Miscalibration",
    "SubtopicRecall",
]

# Clarke et al. and the TREC Web track use one half.
ALPHA: Final = 0.5
# Steck smooths the list's distribution with one per cent of the profile.
SMOOTHING: Final = 0.01


class AlphaNDCG(ListMetric):
    """NDCG in which a further hit of the same interest is worth half the one before.

    The gain of a hit is ``(1 - alpha) ** (earlier hits of its category)`` with alpha .5; a hit
    without a category is an interest of its own. The ideal list orders the user's relevant items
    so that gains fall, and is cut at k.

    References
    ----------
    Clarke et al., "Novelty and diversity in information retrieval evaluation", SIGIR 2008.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(3, categories=np.array([0, 0, 1]), n_categories=2)
    >>> lists = RankedLists.of([[0, 1], [0, 2]], [{0, 1, 2}] * 2, shelf)
    >>> AlphaNDCG()(lists, 2).round(3).tolist()
    [0.807, 1.0]
    """

    name, title, needs = "alpha-ndcg", "α-NDCG", ("categories", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        n = len(lists.items)
        row, place = np.nonzero(lists.hits[:, :k])
        gain = _falling_gain(row, lists.kinds[row, place])
        found = np.bincount(row, weights=gain * lists.discounts[place], minlength=n)

        owner, category = np.asarray(lists.relevant_categories).T
        good = _falling_gain(owner, category)
        order = np.lexsort((-good, owner))
        position = place_in_group(owner[order])
        used, discount = order[position < k], lists.discounts[position[position < k]]
        return found / np.bincount(owner[used], weights=good[used] * discount, minlength=n)


def _falling_gain(row: Array, category: Array) -> Array:
    """Return (1 - alpha) to the number of earlier entries of the same row and category."""
    # Entries without a category each get one of their own.
    kind = np.where(category < 0, -1 - np.arange(len(category)), category)
    kind -= kind.min(initial=0)
    key = row * (kind.max(initial=0) + 1) + kind
    gain: Array = (1.0 - ALPHA) ** place_among(key)
    return gain


class SubtopicRecall(ListMetric):
    """Share of the interests of the user's relevant items that the hits among the first k cover.

    A user without a relevant item of known category has no value.

    References
    ----------
    Zhai, Cohen and Lafferty, "Beyond independent relevance", SIGIR 2003.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(3, categories=np.array([0, 0, 1]), n_categories=2)
    >>> SubtopicRecall()(RankedLists.of([[0, 1]], [{0, 1, 2}], shelf), 2).tolist()
    [0.5]
    """

    name, title = "subtopic-recall", "Subtopic recall"
    needs = ("categories", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        row, place = np.nonzero(lists.hits[:, :k])
        covered = lists.count_categories(row, lists.kinds[row, place])
        there = lists.count_categories(*np.asarray(lists.relevant_categories).T)
        return ratio(np.diff(covered.indptr), np.diff(there.indptr))


class Breadth(ListMetric):
    """Number of different interests in the list.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(3, categories=np.array([0, 0, 1]), n_categories=2)
    >>> Breadth()(RankedLists.of([[0, 1, 2]], [{0}], shelf), 3).tolist()
    [2.0]
    """

    name, title, needs = "breadth", "Interests in the list", ("categories",)
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return np.diff(lists.categories_shown(k).indptr).astype(np.float64)


class Miscalibration(ListMetric):
    """How far the mix of interests in the list is from the user's own, in nats; lower is better.

    Kullback-Leibler divergence of the list's distribution over categories, smoothed with one per
    cent of the profile, from the distribution of the user's training interactions in the domain.
    A user without history in the domain, or whose list holds no known category, has no value.

    References
    ----------
    Steck, "Calibrated recommendations", RecSys 2018.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(2, categories=np.array([0, 1]), n_categories=2)
    >>> lists = RankedLists.of([[0, 1]], [{0}], shelf, profile=sp.csr_matrix([[0.5, 0.5]]))
    >>> Miscalibration()(lists, 2).round(9).tolist()
    [0.0]
    """

    name, title, needs = "miscalibration", "Miscalibration (nats)", ("categories", "profile")
    higher_is_better = False
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        profile, shown = sp.csr_matrix(lists.profile), lists.categories_shown(k)
        size = np.asarray(shown.sum(axis=1)).ravel()
        n_known = np.diff(profile.indptr)
        owner = np.repeat(np.arange(len(size)), n_known)
        p, q = profile.data, entries(shown, owner, profile.indices) / np.maximum(size[owner], 1)
        terms = p * np.log(p / ((1 - SMOOTHING) * q + SMOOTHING * p))
        divergence = np.bincount(owner, weights=terms, minlength=len(size))
        return np.where((n_known > 0) & (size > 0), np.maximum(divergence, 0.0), np.nan)


class ExpansionRecall(ListMetric):
    """Recall over the relevant items of interests that are new to the user.

    A new interest is a category in which the user has no training interaction in the domain.
    Counted are users with history in the domain and at least one relevant item of a new interest;
    the others have no value.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(3, categories=np.array([0, 1, 1]), n_categories=2)
    >>> profile = sp.csr_matrix([[1.0, 0.0]])
    >>> lists = RankedLists.of([[1, 0]], [{0, 1, 2}], shelf, profile=profile)
    >>> ExpansionRecall()(lists, 2).tolist()
    [0.5]
    """

    name, title = "expansion-recall", "Expansion recall"
    needs = ("categories", "profile", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        row, place = np.nonzero(lists.hits[:, :k])
        hits = _count_new(lists, row, lists.kinds[row, place])
        there = _count_new(lists, *np.asarray(lists.relevant_categories).T)
        has_history = np.diff(sp.csr_matrix(lists.profile).indptr) > 0
        return ratio(hits, np.where(has_history, there, 0))


class ExpansionHitRate(ExpansionRecall):
    """1 where the list holds an item of an interest that the user went on to take up.

    New interests and counted users as in `ExpansionRecall`.

    Examples
    --------
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(2, categories=np.array([0, 1]), n_categories=2)
    >>> profile = sp.csr_matrix([[1.0, 0.0], [1.0, 0.0]])
    >>> lists = RankedLists.of([[1], [0]], [{1}, {1}], shelf, profile=profile)
    >>> ExpansionHitRate()(lists, 1).tolist()
    [1.0, 0.0]
    """

    name, title = "expansion-hit-rate", "Expansion hit rate"

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return np.ceil(super().__call__(lists, k))


def _count_new(lists: RankedLists, row: Array, category: Array) -> Array:
    """Count the entries of each row in categories without history; int64 [users]."""
    row, category = row[category >= 0], category[category >= 0]
    new = entries(lists.profile, row, category) == 0
    return np.bincount(row[new], minlength=len(lists.items))
