"""Experts that follow the order of events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch, known_histories
from gnn.models.interest.network import NetworkVectors
from gnn.numerics.order import recent_history
from gnn.numerics.scoring import inner_products, to_unit
from graphgen.builders.transitions import following

__all__ = [
    "RecentExpert",
    "SequenceExpert",
    "transitions",
]

# Visits over which the weight of a transition halves; chosen on the validation rows of two Amazon
# pairs (abxi), as the exponents, where directed pairs found half as much again as undirected ones.
GAP_HALF_LIFE, USER_EXPONENT, ITEM_EXPONENT = 2.0, 0.3, 0.3


def transitions(data: TrainingData) -> dict[str, sp.csr_matrix]:
    """Return `following` by domain of the second item, CSR [n_items, items of the domain]."""
    links = following(
        known_histories(data),
        half_life=GAP_HALF_LIFE,
        user_exponent=USER_EXPONENT,
        item_exponent=ITEM_EXPONENT,
    )
    return {domain: links[:, data.span(domain)] for domain in data.domains}


class SequenceExpert:
    """Items that follow the latest items of a history in the histories of other users.

    Parameters
    ----------
    data
        Training data.
    links
        As `transitions` makes them.
    half_life
        Visits after which an interaction of the history counts half.
    """

    def __init__(
        self, data: TrainingData, links: Mapping[str, sp.csr_matrix], half_life: float
    ) -> None:
        self._data = data
        self._links = links
        self._half_life = half_life

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where nothing follows."""
        history = _recent(self._data, users, domain, self._half_life)
        return (history @ self._links[domain]).astype(np.float32, copy=False).tocsr()


class RecentExpert:
    """The network's vectors of items against those of the latest events of a history.

    Parameters
    ----------
    data
        Training data.
    vectors
        Of the network.
    half_life
        Visits after which an interaction of the history counts half.
    """

    def __init__(self, data: TrainingData, vectors: NetworkVectors, half_life: float) -> None:
        self._data = data
        self._items = vectors.items
        self._half_life = half_life

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], cosines; O(interactions · dim + n · items · dim)."""
        history = _recent(self._data, users, domain, self._half_life)
        latest = to_unit(torch.from_numpy(history @ self._items.numpy()))
        return inner_products(latest, self._items[self._data.span(domain)])


def _recent(data: TrainingData, users: UserBatch, domain: str, half_life: float) -> sp.csr_matrix:
    """Return `recent_history` for what comes next in a domain, made once where that is the same."""
    key = "recent", half_life, domain if data.orders_apart else ""
    return users.once(key, lambda: recent_history(data.order_in(domain, users), half_life))
