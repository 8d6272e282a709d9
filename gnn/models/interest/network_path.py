"""The graph network as a path of `InterestGNN`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.network_vectors import GraphVectors, NetworkVectors
from gnn.propagation import inverse_power
from gnn.scoring import inner_products

__all__ = ["NetworkPath"]


class NetworkPath:
    """Cosines between the vectors that the graph network gives to people and items.

    People with a history in a domain are seen in the graph of that domain by itself, and others in
    the joint one.

    Parameters
    ----------
    data
        Training data.
    vectors
        Of the network.
    exponents
        Of the users' and the items' degrees in the propagation.
    own_weight
        How much the own vectors of people count.
    joint_domains
        Where people with a history are seen in the joint graph too.
    """

    def __init__(
        self,
        data: TrainingData,
        vectors: NetworkVectors,
        exponents: tuple[float, float],
        own_weight: float,
        joint_domains: Collection[str] = (),
    ) -> None:
        self._data = data
        self._users = own_weight * vectors.users.numpy() if own_weight else None
        self._trained = np.diff(data.matrix.indptr) > 0
        self._user_exponent = exponents[0]
        scale = inverse_power(data.popularity, exponents[1])[:, None]
        self._joint = _Tables.of(vectors.joint, scale, own_weight)
        self._apart = None
        if vectors.apart is not None:
            self._apart = _Tables.of(vectors.apart, scale, own_weight)
        self._joint_domains = frozenset(joint_domains)

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; O(interactions · dim + n · items · dim)."""
        span = self._data.span(domain)
        if self._apart is None or domain in self._joint_domains:
            return self._cosines(self._joint, users.index, users.history, span)
        apart, own = self._apart.within(span), users.history[:, span]
        known = np.diff(own.indptr) > 0
        if known.all():
            return self._cosines(apart, users.index, own)
        scores = torch.empty(own.shape)
        scores[known] = self._cosines(apart, users.index[known], own[known])
        others = users.rows_of(~known)
        scores[~known] = self._cosines(self._joint, others.index, others.history, span)
        return scores

    def _cosines(
        self,
        tables: _Tables,
        index: np.ndarray,
        history: sp.csr_matrix,
        items: slice = slice(None),
    ) -> torch.Tensor:
        scale = inverse_power(np.diff(history.indptr), self._user_exponent)[:, None]
        people = scale * (history @ tables.history)
        if self._users is not None:
            known = (index >= 0) & self._trained[index]
            people[known] += self._users[index[known]]
            people[~known] += scale[~known] * (history[~known] @ tables.estimate)
        return inner_products(normalize(torch.from_numpy(people), dim=1), tables.items[items])


class _Tables(NamedTuple):
    """A graph's vectors, scaled for histories of ones."""

    items: torch.Tensor
    history: np.ndarray
    estimate: np.ndarray

    @classmethod
    def of(cls, vectors: GraphVectors, scale: np.ndarray, own_weight: float) -> Self:
        return cls(
            vectors.items,
            scale * vectors.history.numpy(),
            own_weight * scale * vectors.estimate.numpy(),
        )

    def within(self, span: slice) -> _Tables:
        return _Tables(self.items[span], self.history[span], self.estimate[span])
