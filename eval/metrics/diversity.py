"""Diversity, coverage and novelty of recommendations.

All items of a list count, relevant or not. Places that hold no item of the catalogue are
left out of means. Metrics of the whole catalogue have one value per domain and none per user.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch

from eval.metrics.base import (
    Array,
    Catalogue,
    CatalogueMetric,
    DomainTotals,
    ListMetric,
    RankedLists,
    ratio,
)

__all__ = [
    "AveragePopularity",
    "CategoryDistance",
    "Coverage",
    "Entropy",
    "Gini",
    "IntraListDistance",
    "Novelty",
    "Personalisation",
    "PopularityLift",
    "Serendipity",
    "TailShare",
]


class IntraListDistance(ListMetric):
    """Mean cosine distance in [0, 2] between two different items of the list, from item features.

    Items without features are left out; a list with fewer than two items with features has no
    value. Computed from the length of the sum of the vectors, in time linear in k.

    References
    ----------
    Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.

    Examples
    --------
    >>> shelf = Catalogue(3, features=np.eye(3, dtype=np.float32))
    >>> IntraListDistance()(RankedLists.of([[0, 1, 2]], [{0}], shelf), 3).tolist()
    [1.0]
    """

    name, title, needs = "ild", "Intra-list distance", ("features",)
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        vectors = np.asarray(lists.catalogue.features, dtype=np.float32)
        used = lists.known[:, :k]
        if lists.catalogue.has_features is not None:
            used = used & (lists.take(lists.catalogue.has_features, 0)[:, :k] > 0)
        sums = torch.nn.functional.embedding_bag(
            torch.from_numpy(np.where(used, lists.items[:, :k], 0)),
            torch.from_numpy(vectors),
            mode="sum",
            per_sample_weights=torch.from_numpy(used.astype(np.float32)),
        ).numpy()
        n = used.sum(axis=1)
        cosines = np.einsum("ud,ud->u", sums, sums, dtype=np.float64) - n
        return np.clip(1.0 - ratio(cosines, n * (n - 1.0)), 0.0, 2.0)


class CategoryDistance(ListMetric):
    """Share of pairs of items in the list that are of different categories.

    A list with fewer than two items of known category has no value.

    Examples
    --------
    >>> shelf = Catalogue(3, categories=np.array([0, 0, 1]), n_categories=2)
    >>> CategoryDistance()(RankedLists.of([[0, 1, 2]], [{0}], shelf), 3).round(3).tolist()
    [0.667]
    """

    name, title, needs = "ild-category", "Intra-list distance (categories)", ("categories",)
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        shown = lists.categories_shown(k)
        n = np.asarray(shown.sum(axis=1)).ravel()
        same = np.asarray(shown.power(2).sum(axis=1)).ravel() - n
        return 1.0 - ratio(same, n * (n - 1))


class ItemMean(ListMetric):
    """The mean over the list of a number that each item of the catalogue has."""

    needs = ("popularity",)
    higher_is_better = None
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.mean_of(self.of_items(lists.catalogue), k)

    @abstractmethod
    def of_items(self, catalogue: Catalogue) -> Array:
        """Return float64 [n_items]."""


class Novelty(ItemMean):
    """Mean self-information of the recommended items, in bits, at least 0.

    ``-log2(interactions of the item / users of the domain)`` in training; an item no user has
    touched counts as touched once, so that it is finite.

    References
    ----------
    Vargas and Castells, "Rank and relevance in novelty and diversity metrics", RecSys 2011.

    Examples
    --------
    >>> shelf = Catalogue(2, popularity=np.array([4.0, 1.0]), n_users=8)
    >>> Novelty()(RankedLists.of([[0, 1]], [{0}], shelf), 2).tolist()
    [2.0]
    """

    name, title = "novelty", "Novelty (bits)"

    def of_items(self, catalogue: Catalogue) -> Array:
        share = np.maximum(np.asarray(catalogue.popularity), 1.0) / max(catalogue.n_users, 1)
        return -np.log2(np.minimum(share, 1.0))


class AveragePopularity(ItemMean):
    """Mean, over the list, of the share of the domain's training users with the item.

    Examples
    --------
    >>> shelf = Catalogue(2, popularity=np.array([4.0, 2.0]), n_users=8)
    >>> AveragePopularity()(RankedLists.of([[0, 1]], [{0}], shelf), 2).tolist()
    [0.375]
    """

    name, title = "popularity", "Average popularity"

    def of_items(self, catalogue: Catalogue) -> Array:
        return np.asarray(catalogue.popularity) / max(catalogue.n_users, 1)


class TailShare(ItemMean):
    """Share of the list that lies outside the head of the catalogue.

    The head is the smallest set of most popular items that takes 80 % of training interactions.

    Examples
    --------
    >>> shelf = Catalogue(3, popularity=np.array([8.0, 1.0, 1.0]), n_users=10)
    >>> TailShare()(RankedLists.of([[0, 1]], [{0}], shelf), 2).tolist()
    [0.5]
    """

    name, title = "tail-share", "Long-tail share"

    def of_items(self, catalogue: Catalogue) -> Array:
        return np.asarray(catalogue.tail, dtype=np.float64)


class PopularityLift(ListMetric):
    """Relative difference in popularity between the list and the user's training items.

    ``(popularity of the list - popularity of the profile) / popularity of the profile``, each a
    mean over items; 0 where the list is as popular as the user's own taste. A user without history
    in the domain, or without a list, has no value. Compare it between user groups.

    References
    ----------
    Abdollahpouri et al., "The connection between popularity bias, calibration, and fairness in
    recommendation", RecSys 2020.

    Examples
    --------
    >>> shelf = Catalogue(2, popularity=np.array([6.0, 2.0]), n_users=8)
    >>> lists = RankedLists.of([[0, 1]], [{0}], shelf, profile_popularity=np.array([2.0]))
    >>> PopularityLift()(lists, 2).tolist()
    [1.0]
    """

    name, title, needs = "popularity-lift", "Popularity lift", ("profile_popularity",)
    higher_is_better = None
    uses_truth = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        own = np.asarray(lists.profile_popularity, dtype=np.float64)
        return ratio(lists.mean_of(np.asarray(lists.catalogue.popularity), k) - own, own)


class Serendipity(ListMetric):
    """Share of places that are relevant and that recommending the most popular would not fill.

    An item is expected if it is among the k items of the catalogue with most training
    interactions (ties by catalogue order).

    References
    ----------
    Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating recommender systems by
    coverage and serendipity", RecSys 2010.

    Examples
    --------
    >>> shelf = Catalogue(4, popularity=np.array([9.0, 8.0, 1.0, 1.0]), n_users=9)
    >>> Serendipity()(RankedLists.of([[0, 2]], [{0, 2}], shelf), 2).tolist()
    [0.5]
    """

    name, title, needs = "serendipity", "Serendipity", ("popularity",)

    def __call__(self, lists: RankedLists, k: int) -> Array:
        popularity = np.asarray(lists.catalogue.popularity)
        expected = np.zeros(len(popularity))
        expected[np.argsort(-popularity, kind="stable")[:k]] = 1.0
        surprising = lists.hits[:, :k] & (lists.take(expected, 0.0)[:, :k] == 0)
        return surprising.sum(axis=1) / k


class Coverage(CatalogueMetric):
    """Share of the catalogue that stands in at least one list.

    Examples
    --------
    >>> Coverage()(DomainTotals(Catalogue(4), {1: np.array([3, 0, 1, 0])}, n_lists=4), 1)
    0.5
    """

    name, title, needs = "coverage", "Catalogue coverage", ("complete",)

    def __call__(self, totals: DomainTotals, k: int) -> float:
        return float(np.count_nonzero(totals.exposure[k]) / totals.catalogue.n_items)


class Gini(CatalogueMetric):
    """Gini index in [0, 1] of how often the items of the catalogue are recommended.

    0 where every item appears equally often, towards 1 where one item takes every place; items
    never recommended count. NaN where nothing was recommended.

    Examples
    --------
    >>> Gini()(DomainTotals(Catalogue(2), {1: np.array([4, 0])}, n_lists=4), 1)
    0.5
    """

    name, title, needs = "gini", "Gini index of exposure", ("complete",)
    higher_is_better = False

    def __call__(self, totals: DomainTotals, k: int) -> float:
        ordered = np.sort(totals.exposure[k]).astype(np.float64)
        n, total = len(ordered), ordered.sum()
        if total == 0:
            return float("nan")
        return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


class Entropy(CatalogueMetric):
    """Shannon entropy of which item a recommended place holds, in bits: 0 to ``log2(n_items)``.

    NaN where nothing was recommended.

    Examples
    --------
    >>> Entropy()(DomainTotals(Catalogue(3), {1: np.array([2, 2, 0])}, n_lists=4), 1)
    1.0
    """

    name, title = "entropy", "Entropy of exposure (bits)"

    def __call__(self, totals: DomainTotals, k: int) -> float:
        exposure = totals.exposure[k]
        if exposure.sum() == 0:
            return float("nan")
        share = exposure[exposure > 0] / exposure.sum()
        return float(max(0.0, -(share * np.log2(share)).sum()))


class Personalisation(CatalogueMetric):
    """Share of a list that another user's list does not hold, averaged over pairs of users.

    1 where no two lists share an item, 0 where all are the same; NaN for fewer than two lists.
    Computed from how often each item is recommended, so in time linear in the users.

    Examples
    --------
    >>> Personalisation()(DomainTotals(Catalogue(3), {2: np.array([2, 1, 1])}, n_lists=2), 2)
    0.5
    """

    name, title = "personalisation", "Personalisation"

    def __call__(self, totals: DomainTotals, k: int) -> float:
        n = totals.n_lists
        if n < 2:
            return float("nan")
        counts = totals.exposure[k].astype(np.float64)
        return 1.0 - float((counts * (counts - 1)).sum()) / (n * (n - 1.0) * k)
