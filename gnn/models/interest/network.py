"""The graph network of `InterestGNN`, and the expert that scores by its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn.functional import normalize

from gnn.data import TrainingData, UserBatch
from gnn.numerics.initial import spectral_vectors
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.numerics.scoring import inner_products
from gnn.numerics.sparse import keep_largest

__all__ = ["InterestNetwork", "NetworkExpert", "NetworkVectors"]

# Ridge of the map from text to spectral vectors that the projection starts from.
TEXT_RIDGE = 30.0
# Ridge of the map from histories to user embeddings, as a share of the mean squared feature.
FALLBACK_RIDGE = 0.003
# Interactions above which an item leans less on its semantic neighbours.
SPARSE_ITEM = 20.0


class InterestNetwork(nn.Module):
    """Vectors of items and users by propagation over the interactions of all domains.

    The base of an item is b = m·id + P·text, smoothed over semantic neighbours, b + λ S b, where m
    is 1 for items with interactions; items without text have one learned vector in place of P·text.
    The base of a user is an embedding. `num_layers` rounds of propagation, u_{l+1} = A i_l and
    i_{l+1} = Aᵀ u_l as in LightGCN (He et al., SIGIR 2020), give the layers; the vector of a user
    or an item is the normalised sum of its layers.

    Parameters
    ----------
    data
        Training data.
    dim
        Width of the vectors.
    num_layers
        Rounds of propagation.
    semantic_weight
        λ.
    semantic_neighbors
        Neighbours of an item in S, weighted by squared cosine.
    generator
        Source of randomness for the start.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        dim: int,
        num_layers: int,
        semantic_weight: float,
        semantic_neighbors: int,
        generator: np.random.Generator,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self._warm = torch.from_numpy(data.warm).float().unsqueeze(1)
        spectral = vectors = spectral_vectors(data.matrix, dim, generator) * self._warm
        self._text: torch.Tensor | None = None
        if data.features is not None:
            self._text = torch.from_numpy(data.features)
            has_text = (self._text != 0).any(dim=1)
            self._textless = (~has_text).float().unsqueeze(1)
            known = has_text & torch.from_numpy(data.warm)
            x, y = self._text[known], vectors[known]
            gram = x.T @ x + TEXT_RIDGE * torch.eye(x.shape[1])
            projection = torch.linalg.solve(gram, x.T @ y)
            vectors = (vectors - self._text @ projection) * self._warm
            self.projection = nn.Parameter(projection)
            self.textless = nn.Parameter(torch.zeros(1, dim))
        self.item = nn.Parameter(vectors)
        users = Propagator(normalized_adjacency(data.matrix)) @ spectral
        active = users.norm(dim=1) > 0
        self.user = nn.Parameter(users / users[active].norm(dim=1).mean().clamp(min=1e-12))
        self._semantic: Propagator | None = None
        if data.similar is not None and semantic_weight > 0:
            nearest = keep_largest(data.similar, semantic_neighbors)
            nearest.data = np.square(np.maximum(nearest.data, 0))
            total = np.asarray(nearest.sum(axis=1)).ravel()
            # An item with many interactions needs no help from similar texts.
            need = semantic_weight * np.minimum(1.0, SPARSE_ITEM / np.maximum(data.popularity, 1))
            self._semantic = Propagator(sp.diags(need * inverse_power(total, 1.0)) @ nearest)

    def base(self, dropped: torch.Tensor | None = None) -> torch.Tensor:
        """Return float32 [n_items, dim]; ids of `dropped` items (bool [n_items]) are left out."""
        identity = self._warm if dropped is None else self._warm * ~dropped.unsqueeze(1)
        vectors = self.item * identity
        if self._text is not None:
            vectors = vectors + self._text @ self.projection + self._textless * self.textless
        if self._semantic is not None:
            vectors = vectors + self._semantic @ vectors
        return vectors

    def forward(
        self, adjacency: Propagator, dropped: torch.Tensor, own: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the unit vectors of users and items; O(num_layers · nnz · dim).

        Parameters
        ----------
        adjacency
            A, [n_users, n_items].
        dropped
            bool [n_items], items without their ids and their layers.
        own
            float32 [n_users, 1] or [1], weight of the user embeddings.
        """
        known = (~dropped).float().unsqueeze(1)
        users: torch.Tensor = self.user
        items = self.base(dropped)
        user_sum, item_sum = own * users, items
        for _ in range(self.num_layers):
            users, items = adjacency @ items, adjacency.T @ users
            user_sum = user_sum + users
            item_sum = item_sum + known * items
        return normalize(user_sum, dim=1), normalize(item_sum, dim=1)

    @torch.no_grad()
    def vectors(self, adjacency: Propagator, item_scale: torch.Tensor) -> NetworkVectors:
        """Return the vectors that the network scores with.

        O(num_layers · nnz · dim + n_users · (num_layers · dim)²).

        Parameters
        ----------
        adjacency
            A, [n_users, n_items].
        item_scale
            float32 [n_items, 1], the part of the items' degrees in A.
        """
        users, items = [self.user.detach()], [self.base()]
        for _ in range(self.num_layers):
            users, items = [*users, adjacency @ items[-1]], [*items, adjacency.T @ users[-1]]
        # The layers of a user are linear in the history; the fallback is a regression on them.
        features = torch.cat(users[1:], dim=1)
        gram = features.T @ features
        gram.diagonal().add_(FALLBACK_RIDGE * gram.diagonal().mean() + 1e-6)
        regression = torch.linalg.solve(gram, features.T @ users[0])
        return NetworkVectors(
            users=users[0].clone(),
            items=normalize(sum(items[1:], items[0]), dim=1),
            history=item_scale * sum(items[1:-1], items[0]),
            fallback=item_scale * (torch.cat(items[:-1], dim=1) @ regression),
        )


@dataclass(frozen=True)
class NetworkVectors:
    """Vectors of a trained network; a score is the cosine of user embedding + history, and an item.

    Attributes
    ----------
    users
        float32 [n_users, dim], embeddings of the users trained on.
    items
        float32 [n_items, dim], normalised.
    history
        float32 [n_items, dim]; the sum over a history, times the user's degree factor, is the sum
        of the user's propagated layers.
    fallback
        float32 [n_items, dim]; the same sum estimates the embedding of a user who was not trained
        on: a ridge regression over the users who were.
    """

    users: torch.Tensor
    items: torch.Tensor
    history: torch.Tensor
    fallback: torch.Tensor

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """Make them from the tensors of `vars`."""
        return cls(**state)


class NetworkExpert:
    """Cosines between the vectors that the network gives to users and items.

    Parameters
    ----------
    data
        Training data.
    vectors
        Of the network.
    user_exponent
        Of the users' degrees in the propagation.
    """

    def __init__(self, data: TrainingData, vectors: NetworkVectors, user_exponent: float) -> None:
        self._data = data
        self._vectors = vectors
        self._user_exponent = user_exponent
        self._trained = np.diff(data.matrix.indptr) > 0

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; O(interactions · dim + n · items · dim)."""
        vectors = self.users(users)
        return inner_products(vectors, self._vectors.items[self._data.span(domain)])

    def users(self, users: UserBatch) -> torch.Tensor:
        """Return float32 [n, dim], unit vectors of users; O(interactions · dim)."""
        history, parts = users.history, self._vectors
        scale = inverse_power(np.diff(history.indptr), self._user_exponent)[:, None]
        vectors = scale * (history @ parts.history.numpy())
        known = (users.index >= 0) & self._trained[users.index]
        vectors[known] += parts.users.numpy()[users.index[known]]
        vectors[~known] += scale[~known] * (history[~known] @ parts.fallback.numpy())
        return normalize(torch.from_numpy(vectors), dim=1)
