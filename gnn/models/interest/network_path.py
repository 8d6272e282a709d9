"""The graph network as a path of `InterestGNN`."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.network_vectors import GraphVectors, NetworkVectors
from gnn.numerics.propagation import inverse_power
from gnn.numerics.scoring import inner_products

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
    user_exponent
        Of the users' degrees in the propagation.
    own_weight
        How much the own vectors of people count.
    joint_domains
        Where people with a history are seen in the joint graph too.
    """

    def __init__(
        self,
        data: TrainingData,
        vectors: NetworkVectors,
        user_exponent: float,
        own_weight: float,
        joint_domains: Collection[str] = (),
    ) -> None:
        self._data = data
        self._vectors = vectors
        self._user_exponent = user_exponent
        self._own_weight = own_weight
        self._trained = np.diff(data.matrix.indptr) > 0
        self._joint_domains = frozenset(joint_domains)

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; O(interactions · dim + n · items · dim)."""
        span, joint = self._data.span(domain), self._vectors.joint
        if self._vectors.apart is None or domain in self._joint_domains:
            return self._cosines(joint, users.index, users.history, span)
        apart, own = self._vectors.apart.within(span), users.history[:, span]
        known = np.diff(own.indptr) > 0
        if known.all():
            return self._cosines(apart, users.index, own)
        scores = torch.empty(own.shape)
        scores[known] = self._cosines(apart, users.index[known], own[known])
        others = users.rows_of(~known)
        scores[~known] = self._cosines(joint, others.index, others.history, span)
        return scores

    def _cosines(
        self,
        graph: GraphVectors,
        index: np.ndarray,
        history: sp.csr_matrix,
        items: slice = slice(None),
    ) -> torch.Tensor:
        scale = inverse_power(np.diff(history.indptr), self._user_exponent)[:, None]
        people = scale * (history @ graph.history.numpy())
        if self._own_weight:
            known = (index >= 0) & self._trained[index]
            own = np.empty_like(people)
            own[known] = self._vectors.users.numpy()[index[known]]
            own[~known] = scale[~known] * (history[~known] @ graph.estimate.numpy())
            people += self._own_weight * own
        return inner_products(normalize(torch.from_numpy(people), dim=1), graph.items[items])
