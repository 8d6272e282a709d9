"""Shared by all metrics: one hit matrix per block of users, and the facts of a catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
import scipy.sparse as sp

__all__ = [
    "Array",
    "Catalogue",
    "CatalogueMetric",
    "DomainTotals",
    "ListMetric",
    "Metric",
    "RankedLists",
    "entries",
    "ratio",
]

Array: TypeAlias = np.ndarray


def ratio(part: Array, whole: Array) -> Array:
    """Divide elementwise; NaN where `whole` is not above 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def entries(matrix: Any, row: Array, column: Array) -> Array:
    """Look up entries of a CSR matrix; [pairs] (for no pair scipy itself gives a sparse matrix)."""
    return np.asarray(matrix[row, column]).ravel() if len(row) else np.empty(0)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Facts about the items of one domain, and about its training interactions.

    Attributes
    ----------
    n_items
        Number of items that could have been recommended.
    popularity
        float64 [n_items]: training interactions of each item, or None.
    n_users
        Number of users with a training interaction in the domain (0 if unknown).
    features
        float32 [n_items, dim], rows of length one, or None.
    has_features
        bool [n_items]: rows of `features` that mean something; None: all.
    categories
        int64 [n_items], below `n_categories`, -1 where unknown; or None.
    complete
        True where `n_items` counts every item that could have been recommended; None where only
        those that occur are known.
    """

    n_items: int
    popularity: Array | None = None
    n_users: int = 0
    features: Array | None = None
    has_features: Array | None = None
    categories: Array | None = None
    n_categories: int = 0
    complete: bool | None = True

    @cached_property
    def tail(self) -> Array | None:
        """Bool [n_items]: outside the most popular items that make up 80 % of interactions."""
        if self.popularity is None:
            return None
        order = np.argsort(-self.popularity, kind="stable")
        before = np.cumsum(self.popularity[order]) - self.popularity[order]
        tail = np.empty(self.n_items, dtype=bool)
        tail[order] = before >= 0.8 * self.popularity.sum()
        return tail


@dataclass(frozen=True, eq=False)
class RankedLists:
    """The best items of a block of users in one domain, and which of them are relevant.

    Attributes
    ----------
    items
        int64 [users, length], best first; -1 where a list is shorter than `length`.
        Numbers at or above ``catalogue.n_items`` are items the catalogue does not hold.
    hits
        bool [users, length]: the item is relevant.
    n_relevant
        int64 [users]: relevant items of the user, recommended or not; at least 1.
    catalogue
        Facts about the items.
    profile
        CSR float64 [users, n_categories]: how the user's training interactions in the domain
        spread over categories (rows sum to 1, or to 0 without history), or None.
    profile_popularity
        float64 [users]: mean popularity of the user's training items in the domain (NaN without
        history), or None.
    relevant_categories
        int64 [pairs, 2]: (row, category) of every relevant item, category -1 where unknown, or
        None.
    pair_row
        int64 [pairs]: row of every relevant item, or None.
    pair_auc
        float64 [pairs]: what `pair_auc` gives for every relevant item, or None without scores.
    pair_rank
        float64 [pairs]: rank of every relevant item among fixed negatives, or None.
    pair_probability
        float64 [pairs]: the probability that a system gives to every relevant item, or None.
    hit_grades, pair_grades
        float64 [users, length], the grade of the item at each place, 0 without a hit; float64
        [pairs], that of every relevant item. None where relevance is binary.

    Examples
    --------
    >>> lists = RankedLists.of([[4, 2, 7]], [{2, 9}])
    >>> lists.hits.tolist(), lists.n_relevant.tolist()
    ([[False, True, False]], [2])
    """

    items: Array
    hits: Array
    n_relevant: Array
    catalogue: Catalogue
    profile: sp.csr_matrix | None = None
    profile_popularity: Array | None = None
    relevant_categories: Array | None = None
    pair_row: Array | None = None
    pair_auc: Array | None = None
    pair_rank: Array | None = None
    pair_probability: Array | None = None
    hit_grades: Array | None = None
    pair_grades: Array | None = None

    @classmethod
    def of(
        cls, items: Any, relevant: Any, catalogue: Catalogue | None = None, **known: Any
    ) -> RankedLists:
        """Build from plain lists, for trying a metric out (loops over users: small input only).

        Parameters
        ----------
        items
            One list of item numbers per user, of equal length (pad with -1).
        relevant
            One set of item numbers per user.
        catalogue
            Facts about the items; default: their number only. Its categories, if there are any,
            give `relevant_categories`.
        **known
            Further attributes, such as `profile`.
        """
        ranked = np.asarray(items, dtype=np.int64)
        hits = np.array(
            [[item in good for item in row] for row, good in zip(ranked, relevant, strict=True)]
        )
        size = max(int(ranked.max(initial=0)), *(max(good, default=0) for good in relevant)) + 1
        if catalogue is not None and catalogue.categories is not None:
            pairs = [
                (row, catalogue.categories[item])
                for row, good in enumerate(relevant)
                for item in sorted(good)
            ]
            known["relevant_categories"] = np.array(pairs)
        return cls(
            items=ranked,
            hits=hits.reshape(ranked.shape) & (ranked >= 0),
            n_relevant=np.array([len(good) for good in relevant], dtype=np.int64),
            catalogue=catalogue or Catalogue(n_items=size),
            **known,
        )

    @property
    def length(self) -> int:
        """Number of places in a list."""
        return int(self.items.shape[1])

    @cached_property
    def hit_counts(self) -> Array:
        """float64 [users, length]: relevant items up to and including each place."""
        return np.cumsum(self.hits, axis=1, dtype=np.float64)

    @cached_property
    def gains(self) -> Array:
        """float64 [users, length]: discounted gain up to and including each place."""
        return np.cumsum(self.hits * self.discounts, axis=1)

    @cached_property
    def discounts(self) -> Array:
        """float64 [length]: ``1 / log2(1 + place)``."""
        return 1.0 / np.log2(np.arange(2, self.length + 2))

    @cached_property
    def first_hit(self) -> Array:
        """int64 [users]: place of the first relevant item from 0; `length` where there is none."""
        first = self.hits.argmax(axis=1)
        return np.where(self.hits[np.arange(len(first)), first], first, self.length)

    @cached_property
    def sizes(self) -> Array:
        """int64 [users]: how many items each list really holds."""
        return np.count_nonzero(self.items >= 0, axis=1)

    @cached_property
    def known(self) -> Array:
        """Bool [users, length]: the place holds an item of the catalogue."""
        return (self.items >= 0) & (self.items < self.catalogue.n_items)

    def take(self, values: Array, fill: float) -> Array:
        """Look up a value per item of the catalogue; `fill` where the place holds none."""
        if not len(values):
            return np.full(self.items.shape, fill)
        return np.where(self.known, values[np.where(self.known, self.items, 0)], fill)

    @cached_property
    def kinds(self) -> Array:
        """Category of each place, int64 [users, length]; -1 where there is none."""
        return self.take(np.asarray(self.catalogue.categories), -1).astype(np.int64)

    def count_categories(self, row: Array, category: Array) -> sp.csr_matrix:
        """Count the entries of each row and known category; float64 [users, n_categories]."""
        known = category >= 0
        return sp.csr_matrix(
            (np.ones(int(known.sum())), (row[known], category[known])),
            shape=(len(self.items), self.catalogue.n_categories),
        )

    def categories_shown(self, k: int) -> sp.csr_matrix:
        """Count the first `k` places of each known category; float64 [users, n_categories]."""
        row, place = np.nonzero(self.kinds[:, :k] >= 0)
        return self.count_categories(row, self.kinds[row, place])

    def mean_of(self, values: Array, k: int) -> Array:
        """Average a value per item of the catalogue over the first `k` places; float64 [users]."""
        total = self.take(values, 0.0)[:, :k].sum(axis=1)
        return ratio(total, self.known[:, :k].sum(axis=1))

    def mean_over_pairs(self, values: Array) -> Array:
        """Average a value per relevant item over the items of each user; float64 [users]."""
        row, n_users = np.asarray(self.pair_row), len(self.n_relevant)
        return np.bincount(row, weights=values, minlength=n_users) / self.n_relevant


@dataclass(frozen=True, eq=False)
class DomainTotals:
    """All lists of a domain together, for the users of one slice.

    Attributes
    ----------
    catalogue
        Facts about the items.
    exposure
        By length of list, int64 [n_items]: number of lists that hold each item of the catalogue.
    n_lists
        Number of lists.
    histogram
        The scores of all links (`eval.metrics.links.ScoreHistogram`), for the slice of all users;
        None elsewhere and where there are no scores.
    """

    catalogue: Catalogue
    exposure: dict[int, Array]
    n_lists: int
    histogram: Any = None


class Metric(ABC):
    """A named number about recommendation lists; the docstring of each states its conventions.

    Attributes
    ----------
    name
        Key in tables, in kebab-case; the column is ``name@k``, or ``name`` where k has no meaning.
    title
        Name in reports.
    higher_is_better
        None where neither direction is better in itself.
    needs
        Attributes of `Catalogue`, `RankedLists` or `DomainTotals` without which it cannot be
        computed.
    uses_truth
        Whether it depends on the relevant items (else it is the same in every slice).
    on_request
        Whether it is computed only when it is named, because of its cost.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    higher_is_better: ClassVar[bool | None] = True
    needs: ClassVar[tuple[str, ...]] = ()
    uses_truth: ClassVar[bool] = True
    on_request: ClassVar[bool] = False

    def columns(self, ks: tuple[int, ...]) -> list[str]:
        """Return the columns of its values per user; none where it has no value per user."""
        return []

    def per_user(self, lists: RankedLists, ks: tuple[int, ...]) -> dict[str, Array]:
        """Return float64 [users] for each of `columns`."""
        return {}

    def per_domain(self, totals: DomainTotals) -> dict[str, float]:
        """Return its values of a domain as a whole, by column."""
        return {}

    def missing(self, known: RankedLists | DomainTotals) -> tuple[str, ...]:
        """Return those of `needs` that are not known."""
        return tuple(
            need
            for need in self.needs
            if getattr(known if hasattr(known, need) else known.catalogue, need) is None
        )


class ListMetric(Metric):
    """A metric with one value per user, and per k unless `has_k` is False."""

    has_k: ClassVar[bool] = True

    def columns(self, ks: tuple[int, ...]) -> list[str]:
        """Return one column per k, or one where k has no meaning."""
        return [f"{self.name}@{k}" for k in ks] if self.has_k else [self.name]

    def per_user(self, lists: RankedLists, ks: tuple[int, ...]) -> dict[str, Array]:
        """Return float64 [users] for each of `columns`."""
        return {c: self(lists, k) for c, k in zip(self.columns(ks), ks, strict=False)}

    @abstractmethod
    def __call__(self, lists: RankedLists, k: int) -> Array:
        """Return float64 [users]; NaN for a user for whom the metric has no meaning.

        Parameters
        ----------
        lists
            At least `k` places long.
        k
            How many places count.
        """


class CatalogueMetric(Metric):
    """A metric of all lists together, computed from how often each item was recommended."""

    uses_truth = False

    def per_domain(self, totals: DomainTotals) -> dict[str, float]:
        """Return one value per k."""
        return {f"{self.name}@{k}": self(totals, k) for k in totals.exposure}

    @abstractmethod
    def __call__(self, totals: DomainTotals, k: int) -> float:
        """Return the value for lists of length `k`; NaN where it has no meaning."""
