"""Metrics over interests, the categories of items that a user likes, is shown, and takes up.

An interest is the category of an item. Items without one are left out of the counts unless a
docstring says otherwise.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from eval.metrics.base import Array, ListMetric, RankedLists

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
    >>> lists = RankedLists.of([[0, 1], [0, 2]], [{0, 1, 2}] * 2, shelf,
    ...     relevant_categories=np.array([[0, 0], [0, 0], [0, 1], [1, 0], [1, 0], [1, 1]]))
    >>> AlphaNDCG()(lists, 2).round(3).tolist()
    [0.807, 1.0]
    """

    name, title, needs = "alpha-ndcg", "α-NDCG", ("categories", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        """Return a share in [0, 1]; float64 [users]."""
        n = len(lists.items)
        row, place = np.nonzero(lists.hits[:, :k])
        gain = _falling_gain(row, lists.kinds[row, place], place)
        found = np.bincount(row, weights=gain * lists.discounts[place], minlength=n)

        pairs = np.asarray(lists.relevant_categories)
        good = _falling_gain(pairs[:, 0], pairs[:, 1], np.arange(len(pairs)))
        order = np.lexsort((-good, pairs[:, 0]))
        owner = pairs[order, 0]
        position = np.arange(len(owner)) - np.searchsorted(owner, owner)
        used = position < k
        discount = 1.0 / np.log2(position[used] + 2.0)
        ideal = np.bincount(owner[used], weights=good[order][used] * discount, minlength=n)
        return found / ideal


def _falling_gain(row: Array, category: Array, place: Array) -> Array:
    """Return (1 - alpha) to the number of earlier entries of the same row and category."""
    # Entries without a category each get one of their own.
    kind = np.where(category < 0, -1 - np.arange(len(category)), category)
    order = np.lexsort((place, kind, row))
    r, c = row[order], kind[order]
    starts = np.ones(len(r), dtype=bool)
    starts[1:] = (r[1:] != r[:-1]) | (c[1:] != c[:-1])
    index = np.arange(len(r))
    earlier = np.empty(len(r), dtype=np.int64)
    earlier[order] = index - np.maximum.accumulate(np.where(starts, index, 0))
    return (1.0 - ALPHA) ** earlier


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
    >>> lists = RankedLists.of([[0, 1]], [{0, 1, 2}], shelf,
    ...     relevant_categories=np.array([[0, 0], [0, 0], [0, 1]]))
    >>> SubtopicRecall()(lists, 2).tolist()
    [0.5]
    """

    name, title = "subtopic-recall", "Subtopic recall"
    needs = ("categories", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        """Return a share in [0, 1]; float64 [users]."""
        n = len(lists.items)
        row, place = np.nonzero(lists.hits[:, :k])
        covered = _distinct(row, lists.kinds[row, place], n)
        pairs = np.asarray(lists.relevant_categories)
        there = _distinct(pairs[:, 0], pairs[:, 1], n)
        return np.divide(covered, there, out=np.full(n, np.nan), where=there > 0)


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
        """Return a count; float64 [users]."""
        row, place = np.nonzero(lists.items[:, :k] >= 0)
        return _distinct(row, lists.kinds[row, place], len(lists.items))


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
    >>> import scipy.sparse as sp
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
        """Return a divergence of at least 0; float64 [users]."""
        profile = lists.profile
        if profile is None:
            return np.full(len(lists.items), np.nan)
        n, n_kinds = profile.shape
        kinds = lists.kinds[:, :k]
        row, place = np.nonzero(kinds >= 0)
        shown, count = np.unique(row * n_kinds + kinds[row, place], return_counts=True)
        size = np.bincount(row, minlength=n)

        owner = np.repeat(np.arange(n), np.diff(profile.indptr))
        p = profile.data
        key = owner * n_kinds + profile.indices
        at = np.minimum(np.searchsorted(shown, key), max(len(shown) - 1, 0))
        found = shown[at] == key if len(shown) else np.zeros(len(key), dtype=bool)
        q = np.where(found, count[at] if len(shown) else 0, 0) / np.maximum(size[owner], 1)
        terms = p * np.log(p / ((1 - SMOOTHING) * q + SMOOTHING * p))
        divergence = np.bincount(owner, weights=terms, minlength=n)
        defined = (np.diff(profile.indptr) > 0) & (size > 0)
        return np.where(defined, np.maximum(divergence, 0.0), np.nan)


class ExpansionHitRate(ListMetric):
    """1 where the list holds an item of an interest that the user went on to take up.

    A new interest is a category in which the user has no training interaction in the domain.
    Counted are users with history in the domain and at least one relevant item of a new interest;
    the others have no value.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(2, categories=np.array([0, 1]), n_categories=2)
    >>> lists = RankedLists.of([[1], [0]], [{1}, {1}], shelf,
    ...     profile=sp.csr_matrix([[1.0, 0.0], [1.0, 0.0]]),
    ...     relevant_categories=np.array([[0, 1], [1, 1]]))
    >>> ExpansionHitRate()(lists, 1).tolist()
    [1.0, 0.0]
    """

    name, title = "expansion-hit-rate", "Expansion hit rate"
    needs = ("categories", "profile", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        """Return 0 or 1; float64 [users]."""
        hits = (lists.hits & lists.new_to_profile)[:, :k].any(axis=1)
        return np.where(_new_relevant(lists) > 0, hits.astype(np.float64), np.nan)


class ExpansionRecall(ListMetric):
    """Recall over the relevant items of interests that are new to the user.

    Counted users as in `ExpansionHitRate`.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from eval.metrics.base import Catalogue
    >>> shelf = Catalogue(3, categories=np.array([0, 1, 1]), n_categories=2)
    >>> lists = RankedLists.of([[1, 0]], [{0, 1, 2}], shelf,
    ...     profile=sp.csr_matrix([[1.0, 0.0]]),
    ...     relevant_categories=np.array([[0, 0], [0, 1], [0, 1]]))
    >>> ExpansionRecall()(lists, 2).tolist()
    [0.5]
    """

    name, title = "expansion-recall", "Expansion recall"
    needs = ("categories", "profile", "relevant_categories")

    def __call__(self, lists: RankedLists, k: int) -> Array:
        """Return a share in [0, 1]; float64 [users]."""
        hits = (lists.hits & lists.new_to_profile)[:, :k].sum(axis=1)
        there = _new_relevant(lists)
        return np.divide(hits, there, out=np.full(len(there), np.nan), where=there > 0)


def _new_relevant(lists: RankedLists) -> Array:
    """Count relevant items of new interests, for users with history; int64 [users]."""
    n = len(lists.items)
    pairs = np.asarray(lists.relevant_categories)
    if lists.profile is None:
        return np.zeros(n, dtype=np.int64)
    pairs = pairs[pairs[:, 1] >= 0]
    known = np.asarray(lists.profile[pairs[:, 0], pairs[:, 1]]).ravel() > 0
    count = np.bincount(pairs[~known, 0], minlength=n)
    return np.where(np.diff(lists.profile.indptr) > 0, count, 0)


def _distinct(row: Array, category: Array, n_rows: int) -> Array:
    """Count different known categories per row; float64 [rows]."""
    known = category >= 0
    width = int(category.max(initial=0)) + 1
    pairs = np.unique(row[known] * width + category[known])
    return np.bincount(pairs // width, minlength=n_rows).astype(np.float64)
