"""The network inside `InterestGNN`: items from ids, text and graph, people from ids and items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from gnn.data import TrainingData
from gnn.models.interest.aggregation import aggregate
from gnn.models.interest.hiding import Hiding
from gnn.models.interest.network_vectors import GraphVectors
from gnn.numerics.initial import spectral_vectors
from gnn.numerics.losses import softmax_pull, softmax_push
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency
from gnn.numerics.sparse import keep_largest

__all__ = ["EncoderTrainer", "InterestEncoder"]

# Ridge of the map from text to spectral vectors that the projection starts from.
TEXT_RIDGE = 30.0
# Ridge of the map from histories to people's own vectors, as a share of the mean squared feature.
OWN_RIDGE = 0.003
# Interactions above which an item leans less on its semantic neighbours.
SPARSE_ITEM = 20.0


class InterestEncoder:
    """Vectors of items and people.

    The base of an item is b = m·id + P·text + T e, smoothed over semantic neighbours, b + λ S b,
    where m is 1 for items with interactions and T e is the mean of the learned vectors of the
    topics it is about; items without text have one learned vector in place of P·text. The base of a
    person is a vector of their own. `num_layers` rounds of propagation over the interactions of all
    domains give u_{l+1} = A i_l and i_{l+1} = Aᵀ u_l; a person and an item are the normalised sums
    of their layers.

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
        spectral = vectors = spectral_vectors(data.matrix, dim, generator) * self._warm
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
        users = Propagator(normalized_adjacency(data.matrix)) @ spectral
        active = users.norm(dim=1) > 0
        users = users / users[active].norm(dim=1).mean().clamp(min=1e-12)
        self.parameters["user"] = torch.nn.Parameter(users)
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

    def layers(
        self, adjacency: Propagator, base: torch.Tensor, own: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return num_layers + 1 tensors of people and of items; O(num_layers · nnz · dim)."""
        users, items = [own], [base]
        for _ in range(self.num_layers):
            users, items = [*users, adjacency @ items[-1]], [*items, adjacency.T @ users[-1]]
        return users, items

    @torch.no_grad()
    def export(
        self, adjacency: Propagator, item_scale: torch.Tensor, people: np.ndarray | None = None
    ) -> GraphVectors:
        """Return what a graph makes of the items.

        O(num_layers · nnz · dim + people · (num_layers · dim)²).

        Parameters
        ----------
        adjacency
            A of the graph, [p, n_items].
        item_scale
            float32 [n_items, 1], the part of the items' degrees in A.
        people
            int64 [p], who its people are; None for all, in their order.
        """
        own = self.parameters["user"] if people is None else self.parameters["user"][people]
        users, items = self.layers(adjacency, self.base(), own)
        # What a person's layers are made of, each a feature of the history.
        features = torch.cat(users[1:], dim=1)
        gram = features.T @ features
        gram.diagonal().add_(OWN_RIDGE * gram.diagonal().mean() + 1e-6)
        regression = torch.linalg.solve(gram, features.T @ own)
        return GraphVectors(
            items=normalize(sum(items[1:], items[0]), dim=1),
            history=item_scale * sum(items[1:-1], items[0]),
            estimate=item_scale * (torch.cat(items[:-1], dim=1) @ regression),
        )


class EncoderTrainer:
    """One gradient step of the softmax over each domain's items.

    Every step propagates once over the whole training graph; the loss runs over chunks of users and
    accumulates the gradients at the final vectors, which then flow back through the propagation
    once. A share of the items plays new in a step: their ids and their layers are left out, so that
    what remains of them, their text and topics, learns to stand alone. A share of the edges does
    not propagate, and a share of the people plays cold in one domain (`Hiding`): they do without
    their own vectors. Training interactions both propagate, where not hidden, and are predicted;
    nothing that is held out for validation does either.

    A step costs O(4 · num_layers · nnz · dim + 6 · users · negatives · dim).
    """

    def __init__(
        self,
        data: TrainingData,
        encoder: InterestEncoder,
        adjacency: Propagator,
        optimizer: torch.optim.Optimizer,
        *,
        id_dropout: float,
        edge_dropout: float,
        domain_dropout: float,
        temperature: float,
        num_negatives: int,
        chunk_users: int,
        generator: np.random.Generator,
    ) -> None:
        self.encoder = encoder
        self.optimizer = optimizer
        self.id_dropout = id_dropout
        self.temperature = temperature
        self.num_negatives = num_negatives
        self.chunk_users = chunk_users
        self.generator = generator
        self._adjacency = adjacency
        self._hiding = Hiding(
            data, edge_dropout=edge_dropout, domain_dropout=domain_dropout, generator=generator
        )
        self._n_items, self._total = data.n_items, max(1, data.matrix.nnz)
        self._targets = [_Target.of(data, domain, generator) for domain in data.domains]

    def step(self) -> float:
        """Do one step and return the loss per interaction."""
        new = torch.from_numpy(self.generator.random(self._n_items) < self.id_dropout)
        adjacency, own = self._adjacency, torch.ones(1)
        if self._hiding.hides:
            kept, cold = self._hiding.draw()
            adjacency, own = adjacency.masked(kept), torch.from_numpy(~cold).float().unsqueeze(1)
        users, items = aggregate(
            self.encoder.parameters["user"],
            self.encoder.base(new),
            adjacency,
            num_layers=self.encoder.num_layers,
            own=own,
            known=(~new).float().unsqueeze(1),
        )
        gradients = torch.zeros_like(users), torch.zeros_like(items)
        total = sum(
            self._domain(target, users.detach(), items.detach(), *gradients)
            for target in self._targets
        )
        self.optimizer.zero_grad()
        torch.autograd.backward([users, items], [part.div_(self._total) for part in gradients])
        self.optimizer.step()
        return total / self._total

    def _domain(
        self,
        target: _Target,
        users: torch.Tensor,
        items: torch.Tensor,
        user_gradient: torch.Tensor,
        item_gradient: torch.Tensor,
    ) -> float:
        """Add the gradients of one domain's interactions, in place; return the loss."""
        span, own = target.span, users[target.people]
        total, to_own, pull_items = softmax_pull(
            own, items[span], target.positives, temperature=self.temperature
        )
        item_gradient[span] += pull_items
        for person, weight, to_person in zip(
            *(part.split(self.chunk_users) for part in (own, target.weight, to_own)), strict=True
        ):
            negative = torch.from_numpy(self._negatives(target.warm))
            loss, push_users, push_items = softmax_push(
                person, items[negative], weight, temperature=self.temperature
            )
            to_person += push_users
            item_gradient.index_add_(0, negative, push_items)
            total += loss
        user_gradient.index_add_(0, target.people, to_own)
        return total

    def _negatives(self, candidates: np.ndarray) -> np.ndarray:
        if len(candidates) <= self.num_negatives:
            return candidates  # The full softmax costs no more.
        return candidates[self.generator.integers(0, len(candidates), self.num_negatives)]


@dataclass(frozen=True)
class _Target:
    """What is predicted in one domain."""

    span: slice
    people: torch.Tensor
    """int64 [p], those with an interaction in the domain, in an order of chance: neighbours in it
    share their negatives."""
    positives: Propagator
    """[p, items of the domain], n_u^-½ at each interaction."""
    weight: torch.Tensor
    """float32 [p], n_u^½."""
    warm: np.ndarray
    """Columns of the domain's items with interactions."""

    @classmethod
    def of(cls, data: TrainingData, domain: str, generator: np.random.Generator) -> _Target:
        span = data.span(domain)
        block = data.matrix[:, span]
        people = generator.permutation(np.flatnonzero(np.diff(block.indptr)))
        block = sp.csr_matrix(block[people] > 0, dtype=np.float32)
        count = np.diff(block.indptr).astype(np.float32)
        return cls(
            span=span,
            people=torch.from_numpy(people),
            positives=Propagator(sp.diags(1 / np.sqrt(count)) @ block),
            weight=torch.from_numpy(np.sqrt(count)),
            warm=np.flatnonzero(data.warm[span]) + span.start,
        )
