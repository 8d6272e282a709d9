"""Experts over edges that a graph has on request: co-consumption, shared attributes, friends."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from gnn.numerics.propagation import inverse_power, normalized_adjacency
from gnn.numerics.sparse import dense_product, rows_or_empty
from graphgen.schema import CO_CONSUMED, FRIEND

__all__ = ["RELATED", "AttributeExpert", "SocialExpert", "related_matrices"]

# The experts; "co_consumed" is a `SemanticExpert` over its edges.
RELATED = ("co_consumed", "attributes", "social")

# Exponent of the number of an attribute's items, by which common attributes count less.
COMMON_EXPONENT = 0.5
# Share of the friends' items, the rest popularity, for users without interactions: the best of 0 to
# 1 for 300 users of lastfm2k, five times drawn, whose interactions are held out.
FRIENDS_SHARE = 0.9


def related_matrices(names: Iterable[str], data: TrainingData) -> dict[str, sp.csr_matrix]:
    """Return by expert the matrix that it scores with, float32 CSR; O(edges).

    ``co_consumed``: [n_items, n_items], cosines. ``attributes``: [n_items, attributes], those that
    many items share scaled down. ``social``: [n_users, n_users], rows that sum to 1.
    """
    links = data.links
    made = {
        "co_consumed": lambda: links[CO_CONSUMED],
        "attributes": lambda: _scaled(sp.hstack([links[name] for name in data.attributes])),
        "social": lambda: normalized_adjacency(links[FRIEND], 1.0, 0.0),
    }
    return {name: sp.csr_matrix(made[name](), dtype=np.float32) for name in names if name in made}


def _scaled(links: sp.spmatrix) -> sp.csr_matrix:
    number = np.asarray((links > 0).sum(axis=0)).ravel()
    return sp.csr_matrix(links @ sp.diags(inverse_power(number, COMMON_EXPONENT)))


class AttributeExpert:
    """Items that share attributes, such as an author or a period, with those of the history.

    Parameters
    ----------
    data
        Training data.
    links
        As `related_matrices` makes them.
    """

    def __init__(self, data: TrainingData, links: sp.csr_matrix) -> None:
        self._links = links
        self._back = {domain: sp.csr_matrix(links[data.span(domain)].T) for domain in data.domains}

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], 0 where nothing is shared."""
        return dense_product(sp.csr_matrix(users.history @ self._links), self._back[domain])


class SocialExpert:
    """Items that the friends of a user like.

    Parameters
    ----------
    data
        Training data.
    links
        As `related_matrices` makes them.
    """

    def __init__(self, data: TrainingData, links: sp.csr_matrix) -> None:
        self._data = data
        self._links = links

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where no friend likes the item."""
        # Users who came after training have no friends here.
        friends = rows_or_empty(self._links, users.index)
        liked = self._data.matrix[:, self._data.span(domain)]
        return sp.csr_matrix(friends @ liked, dtype=np.float32)

    def first(self, users: UserBatch, domain: str, popularity: np.ndarray) -> np.ndarray:
        """Return float32 [n, items] for users without interactions: items of friends, then popular.

        Parameters
        ----------
        users, domain
            As in `score`.
        popularity
            float32 [n or 1, items], of which users without friends get the scores.
        """
        liked = self.score(users, domain).toarray()
        total = liked.sum(axis=1, keepdims=True)
        shares = [
            part / np.maximum(part.sum(axis=1, keepdims=True), 1e-12)
            for part in (popularity, liked)
        ]
        mixed = (1 - FRIENDS_SHARE) * shares[0] + FRIENDS_SHARE * shares[1]
        return np.where(total > 0, mixed, popularity).astype(np.float32)
