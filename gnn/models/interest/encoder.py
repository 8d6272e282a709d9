"""The network inside `InterestGNN`: items from ids, text and graph; users from their items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from gnn.data import TrainingData
from gnn.initial import spectral_vectors
from gnn.losses import sampled_softmax
from gnn.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.sparse import keep_largest

__all__ = ["EncoderTrainer", "InterestEncoder"]

# Ridge of the map from text to spectral vectors that the projection starts from.
TEXT_RIDGE = 30.0
# Interactions above which an item leans less on its semantic neighbours.
SPARSE_ITEM = 20.0


class InterestEncoder:
    """Vectors of items and people.

    The base of an item is b = m·id + P·text + T e, smoothed over semantic neighbours, b + λ S b,
    where m is 1 for items with interactions and T e is the mean of the learned vectors of the
    topics it is about; items without text have one learned vector in place of P·text. `num_layers`
    rounds of propagation over the interactions of all domains give i_{l+1} = Aᵀ A i_l; an item is
    the normalised sum of its layers, a person the normalised sum of A i_l, so a person is a
    function of a history and needs no training.

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
        self.num_layers = num_layers
        self._warm = torch.from_numpy(data.warm).float().unsqueeze(1)
        vectors = spectral_vectors(data.matrix, dim, generator) * self._warm
        self.parameters: dict[str, torch.nn.Parameter] = {}
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
            self.parameters["projection"] = torch.nn.Parameter(projection)
            self.parameters["textless"] = torch.nn.Parameter(torch.zeros(1, dim))
        self.parameters["item"] = torch.nn.Parameter(vectors)
        self._topics: Propagator | None = None
        if data.topics is not None:
            total = np.asarray(data.topics.sum(axis=1)).ravel()
            self._topics = Propagator(sp.diags(inverse_power(total, 1.0)) @ data.topics)
            self.parameters["topic"] = torch.nn.Parameter(torch.zeros(data.topics.shape[1], dim))
        self._semantic: Propagator | None = None
        if data.similar is not None and semantic_weight > 0:
            nearest = keep_largest(data.similar, semantic_neighbors)
            nearest.data = np.square(np.maximum(nearest.data, 0))
            total = np.asarray(nearest.sum(axis=1)).ravel()
            # What many people say of an item needs no help from its text.
            need = semantic_weight * np.minimum(1.0, SPARSE_ITEM / np.maximum(data.popularity, 1))
            self._semantic = Propagator(sp.diags(need * inverse_power(total, 1.0)) @ nearest)

    def base(self, dropped: torch.Tensor | None = None) -> torch.Tensor:
        """Return float32 [n_items, dim]; ids of `dropped` items (bool [n_items]) are left out."""
        identity = self._warm if dropped is None else self._warm * ~dropped.unsqueeze(1)
        vectors = self.parameters["item"] * identity
        if self._text is not None:
            vectors = vectors + self._text @ self.parameters["projection"]
            vectors = vectors + self._textless * self.parameters["textless"]
        if self._topics is not None:
            vectors = vectors + self._topics @ self.parameters["topic"]
        if self._semantic is not None:
            vectors = vectors + self._semantic @ vectors
        return vectors

    def layers(self, adjacency: Propagator, base: torch.Tensor) -> list[torch.Tensor]:
        """Return num_layers + 1 item tensors; O(num_layers · nnz · dim)."""
        layers = [base]
        for _ in range(self.num_layers):
            layers.append(adjacency.T @ (adjacency @ layers[-1]))
        return layers

    @torch.no_grad()
    def export(self, adjacency: Propagator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what serving needs: [n_items, dim] that histories add up, and item vectors.

        A person is normalize(Σ over the history of rows of the first); a score is its dot product
        with a row of the second.
        """
        layers = self.layers(adjacency, self.base())
        return sum(layers[:-1], torch.zeros_like(layers[0])), normalize(
            sum(layers[1:], layers[0]), dim=1
        )


class EncoderTrainer:
    """One gradient step: hide a part of the interactions, propagate over the rest, predict it.

    No hidden interaction takes part in the propagation that predicts it. Every step propagates
    once over the whole graph; the loss runs over chunks of users and accumulates the gradients at
    the final vectors, which then flow back through the propagation once. A step costs
    O(4 · num_layers · nnz · dim + 6 · users · negatives · dim).
    """

    def __init__(
        self,
        data: TrainingData,
        encoder: InterestEncoder,
        optimizer: torch.optim.Optimizer,
        *,
        hold_out: float,
        id_dropout: float,
        temperature: float,
        num_negatives: int,
        chunk_users: int,
        user_exponent: float,
        item_exponent: float,
        generator: np.random.Generator,
    ) -> None:
        self.encoder = encoder
        self.optimizer = optimizer
        self.hold_out = hold_out
        self.id_dropout = id_dropout
        self.temperature = temperature
        self.num_negatives = num_negatives
        self.chunk_users = chunk_users
        self.exponents = (user_exponent, item_exponent)
        self.generator = generator
        edges = data.matrix.tocoo()
        self._row, self._column = edges.row, edges.col
        self._shape = data.matrix.shape
        self._edge_domain = data.item_domain[edges.col]
        warm = np.flatnonzero(data.warm)
        self._warm = [warm[data.item_domain[warm] == number] for number in range(len(data.domains))]

    def step(self) -> float:
        """Do one step and return the loss per held-out interaction."""
        generator = self.generator
        hidden = generator.random(len(self._row)) < self.hold_out
        visible = self._csr(~hidden)
        adjacency = Propagator(normalized_adjacency(visible, *self.exponents))
        dropped = torch.from_numpy(generator.random(self._shape[1]) < self.id_dropout)
        layers = self.encoder.layers(adjacency, self.encoder.base(dropped))
        items = normalize(sum(layers[1:], layers[0]), dim=1)
        users = normalize(adjacency @ sum(layers[1:-1], layers[0]), dim=1)
        gradients = torch.zeros_like(users), torch.zeros_like(items)
        reachable = np.diff(visible.indptr) > 0
        total = 0.0
        for number, candidates in enumerate(self._warm):
            rows = hidden & (self._edge_domain == number) & reachable[self._row]
            if rows.any():
                total += self._domain(rows, candidates, users.detach(), items.detach(), *gradients)
        scale = 1.0 / max(1, int(hidden.sum()))
        self.optimizer.zero_grad()
        torch.autograd.backward([users, items], [gradient * scale for gradient in gradients])
        self.optimizer.step()
        return total * scale

    def _csr(self, chosen: np.ndarray) -> sp.csr_matrix:
        return sp.csr_matrix(
            (np.ones(int(chosen.sum()), np.float32), (self._row[chosen], self._column[chosen])),
            shape=self._shape,
        )

    def _domain(
        self,
        chosen: np.ndarray,
        candidates: np.ndarray,
        users: torch.Tensor,
        items: torch.Tensor,
        user_gradient: torch.Tensor,
        item_gradient: torch.Tensor,
    ) -> float:
        """Add the gradients of one domain's held-out interactions, in place; return the loss."""
        truth = self._csr(chosen)
        people = self.generator.permutation(np.flatnonzero(np.diff(truth.indptr)))
        total = 0.0
        for low in range(0, len(people), self.chunk_users):
            rows = people[low : low + self.chunk_users]
            part = truth[rows]
            owner = torch.from_numpy(np.repeat(np.arange(len(rows)), np.diff(part.indptr)))
            positive = torch.from_numpy(part.indices.astype(np.int64))
            negative = torch.from_numpy(self._negatives(candidates))
            person = torch.from_numpy(rows)
            chunk = sampled_softmax(
                users[person],
                items[positive],
                items[negative],
                owner,
                temperature=self.temperature,
            )
            user_gradient[person] += chunk.users
            item_gradient.index_add_(0, positive, chunk.positives)
            item_gradient.index_add_(0, negative, chunk.negatives)
            total += chunk.loss
        return total

    def _negatives(self, candidates: np.ndarray) -> np.ndarray:
        if len(candidates) <= self.num_negatives:
            return candidates  # The full softmax costs no more.
        return candidates[self.generator.integers(0, len(candidates), self.num_negatives)]
