"""The graph network of `InterestGNN`, and the expert that scores by its vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.fusion import Fusion, ModalityFusion
from gnn.numerics.propagation import Propagator, inverse_power
from gnn.numerics.scoring import inner_products, to_unit
from gnn.numerics.sparse import keep_largest
from gnn.numerics.svd import spectral_vectors

__all__ = ["InterestNetwork", "NetworkExpert", "NetworkVectors"]

# Ridge of the map from features to spectral vectors that the projection starts from.
TEXT_RIDGE = 30.0
# Interactions above which an item leans less on its semantic neighbours.
SPARSE_ITEM = 20.0


class InterestNetwork(nn.Module):
    """Vectors of items and users by propagation over the interactions of all domains.

    The base of an item is i_0 = m·id + content, smoothed over semantic neighbours, + λ S i_0, where
    m is 1 for items with interactions and the content is P·text, or, of several modalities, that of
    `ModalityFusion`. A round of propagation goes to the users and back, u_{l+1} = A i_l and
    i_{l+1} = Aᵀ u_{l+1}, as in LightGCN (He et al., SIGIR 2020) without user embeddings: those were
    worth nothing on the validation rows of amazon4 and game_video, and without them every user is a
    function of a history. The vector of a user or an item is the normalised sum of its layers.

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
    fusion
        How the modalities of an item become its content.
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
        fusion: Fusion = "gate",
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self._warm = torch.from_numpy(data.warm).float().unsqueeze(1)
        vectors = spectral_vectors(data.matrix, dim, generator) * self._warm
        self.content: ModalityFusion | None = None
        if data.features is not None:
            self.content = ModalityFusion(data, vectors, kind=fusion, ridge=TEXT_RIDGE)
            start = self.content.features @ self.content.projection.detach()
            vectors = (vectors - start) * self._warm
        self.item = nn.Parameter(vectors)
        self._semantic: Propagator | None = None
        if data.similar is not None and semantic_weight > 0:
            nearest = keep_largest(data.similar, semantic_neighbors)
            nearest.data = np.square(np.maximum(nearest.data, 0))
            total = np.asarray(nearest.sum(axis=1)).ravel()
            # An item with many interactions needs no help from similar texts.
            need = semantic_weight * np.minimum(1.0, SPARSE_ITEM / np.maximum(data.popularity, 1))
            self._semantic = Propagator(sp.diags(need * inverse_power(total, 1.0)) @ nearest)

    def base(
        self, dropped: torch.Tensor | None = None, hidden: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return float32 [n_items, dim]; ids of `dropped` items (bool [n_items]) are left out.

        So are the modalities `hidden`, bool [n_items, modalities].
        """
        identity = self._warm if dropped is None else self._warm * ~dropped.unsqueeze(1)
        vectors = self.item * identity
        if self.content is not None:
            vectors = vectors + self.content(hidden)
        if self._semantic is not None:
            vectors = vectors + self._semantic @ vectors
        return vectors

    def forward(
        self, adjacency: Propagator, dropped: torch.Tensor, hidden: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the unit vectors of users and items; O(num_layers · nnz · dim).

        Parameters
        ----------
        adjacency
            A, [n_users, n_items].
        dropped
            bool [n_items], items without their ids and their layers.
        hidden
            bool [n_items, modalities], modalities that are left out.
        """
        base = items = self.base(dropped, hidden)
        user_sum, item_sum = torch.zeros(1), torch.zeros(1)
        for _ in range(self.num_layers):
            users = adjacency @ items
            items = adjacency.T @ users
            user_sum, item_sum = user_sum + users, item_sum + items
        known = (~dropped).float().unsqueeze(1)
        return to_unit(user_sum), to_unit(torch.addcmul(base, known, item_sum))

    @torch.no_grad()
    def vectors(self, adjacency: Propagator, item_scale: torch.Tensor) -> NetworkVectors:
        """Return the vectors that the network scores with; O(num_layers · nnz · dim).

        Parameters
        ----------
        adjacency
            A, [n_users, n_items].
        item_scale
            float32 [n_items, 1], the part of the items' degrees in A.
        """
        layers = [self.base()]
        for _ in range(self.num_layers):
            layers.append(adjacency.T @ (adjacency @ layers[-1]))
        return NetworkVectors(
            items=to_unit(sum(layers[1:], layers[0])),
            history=item_scale * sum(layers[1:-1], layers[0]),
        )


@dataclass(frozen=True)
class NetworkVectors:
    """Vectors of a trained network; a score is the cosine of a sum over a history, and an item.

    Attributes
    ----------
    items
        float32 [n_items, dim], normalised.
    history
        float32 [n_items, dim]; the sum over a history is the sum of the user's layers, but for the
        user's degree.
    """

    items: torch.Tensor
    history: torch.Tensor


class NetworkExpert:
    """Cosines between the vectors that the network gives to users and items.

    Parameters
    ----------
    data
        Training data.
    vectors
        Of the network.
    """

    def __init__(self, data: TrainingData, vectors: NetworkVectors) -> None:
        self._data = data
        self._vectors = vectors

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; O(interactions · dim + n · items · dim)."""
        return inner_products(self.users(users), self._vectors.items[self._data.span(domain)])

    def users(self, users: UserBatch) -> torch.Tensor:
        """Return float32 [n, dim], unit vectors of users; O(interactions · dim)."""
        return users.once(self, lambda: self.of_history(users.history))

    def of_history(self, history: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, dim] of the rows of CSR [n, n_items], as `users`."""
        return to_unit(torch.from_numpy(history @ self._vectors.history.numpy()))
