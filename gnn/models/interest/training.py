"""Training of the graph network: a sampled softmax over the items of each domain, with dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import TrainingData
from gnn.models.interest.config import TrainingSettings
from gnn.models.interest.network import InterestNetwork
from gnn.numerics.losses import SoftmaxChunk, sampled_softmax
from gnn.numerics.propagation import Propagator, inverse_power

__all__ = ["GraphDropout", "NetworkTrainer"]

# The embeddings of items learn at the full rate, the parameters that all share slower.
EMBEDDING = "item"


class GraphDropout:
    """Draws the edges that propagate in a step.

    Every edge is left out with probability `edge_dropout`, as in DropEdge (Rong et al., ICLR 2020).
    Of the users active in several domains a share `domain_dropout` loses all edges of one of them,
    drawn anew each step: their interactions there must follow from the other domains, as they must
    for users who are new to it.

    Parameters
    ----------
    data
        Training data.
    edge_dropout, domain_dropout
        Shares, in [0, 1).
    generator
        Source of randomness.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "a"], "item_id": ["x", "y"], "domain": ["b", "f"]})
    >>> data = TrainingData.from_graph(graphgen.build_graph(log, encoder="none"))
    >>> dropout = GraphDropout(
    ...     data, edge_dropout=0.0, domain_dropout=0.999, generator=np.random.default_rng(0)
    ... )
    >>> int(dropout.draw().sum())  # The user is cold in one of the two domains.
    1
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        edge_dropout: float,
        domain_dropout: float,
        generator: np.random.Generator,
    ) -> None:
        self.edge_dropout, self.domain_dropout = edge_dropout, domain_dropout
        self.generator = generator
        active = data.active()
        count = active.sum(axis=1)
        self._users = np.flatnonzero(count > 1)
        self._count = count[self._users]
        # The domains that each of them is active in come first.
        self._domains = np.argsort(~active[self._users], axis=1, kind="stable").astype(np.int16)
        self._user = np.repeat(np.arange(data.n_users, dtype=np.int32), np.diff(data.matrix.indptr))
        self._domain = data.item_domain[data.matrix.indices].astype(np.int16)
        self._n_users = data.n_users

    @property
    def drops(self) -> bool:
        """Whether there is anything to draw."""
        return self.edge_dropout > 0 or (self.domain_dropout > 0 and len(self._users) > 0)

    def draw(self) -> np.ndarray:
        """Return bool [nnz], the edges that propagate, in the order of the matrix; O(nnz)."""
        generator = self.generator
        place = (generator.random(len(self._users)) * self._count).astype(np.int64)
        chosen = generator.random(len(self._users)) < self.domain_dropout
        lost = np.full(self._n_users, -1, dtype=np.int16)
        lost[self._users[chosen]] = self._domains[chosen, place[chosen]]
        kept = self._domain != lost[self._user]
        if self.edge_dropout:
            kept &= generator.random(len(kept), dtype=np.float32) >= self.edge_dropout
        return kept


class NetworkTrainer:
    """One gradient step of the softmax over each domain's items.

    Every step propagates once over the whole training graph. A share of the items is trained as
    new: without ids and layers, so that their text learns to stand alone. A share of the edges does
    not propagate, and a share of the users is cold in one domain (`GraphDropout`). Training
    interactions both propagate, where not dropped, and are predicted; held-out rows do neither.

    A step costs O(4 · num_layers · nnz · dim + 6 · users · negatives · dim).

    Parameters
    ----------
    data
        Training data.
    network
        What is trained.
    adjacency
        A of the training graph.
    settings
        Settings.
    generator
        Source of all randomness.
    """

    def __init__(
        self,
        data: TrainingData,
        network: InterestNetwork,
        adjacency: Propagator,
        settings: TrainingSettings,
        generator: np.random.Generator,
    ) -> None:
        self.network = network
        self.settings = settings
        self.generator = generator
        self.optimizer = torch.optim.Adam(
            [
                {
                    "params": [parameter],
                    "lr": settings.learning_rate * (1 if name == EMBEDDING else settings.text_rate),
                }
                for name, parameter in network.named_parameters()
            ]
        )
        self._adjacency = adjacency
        self._dropout = GraphDropout(
            data,
            edge_dropout=settings.edge_dropout,
            domain_dropout=settings.domain_dropout,
            generator=generator,
        )
        self._n_items, self._total = data.n_items, max(1, data.matrix.nnz)
        self._targets = [_Target.of(data, domain, generator) for domain in data.domains]
        self._positives = Propagator(_positives(data))

    def step(self) -> float:
        """Do one step and return the loss per interaction."""
        dropped = torch.from_numpy(self.generator.random(self._n_items) < self.settings.id_dropout)
        adjacency = self._adjacency
        if self._dropout.drops:
            adjacency = adjacency.masked(self._dropout.draw())
        users, items = self.network(adjacency, dropped)
        size = self.settings.chunk_users
        chunks = [
            SoftmaxChunk(who, weight, torch.from_numpy(self._negatives(target.warm)))
            for target in self._targets
            for who, weight in zip(target.users.split(size), target.weight.split(size), strict=True)
        ]
        loss = sampled_softmax(
            users, items, self._positives, chunks, temperature=self.settings.temperature
        )
        loss = loss / self._total
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def _negatives(self, candidates: np.ndarray) -> np.ndarray:
        if len(candidates) <= self.settings.num_negatives:
            return candidates  # The full softmax costs no more.
        return candidates[self.generator.integers(0, len(candidates), self.settings.num_negatives)]


@dataclass(frozen=True)
class _Target:
    """Users and candidates of one domain."""

    users: torch.Tensor
    """int64 [p], those with an interaction in the domain, in random order: neighbours in it share
    their negatives."""
    weight: torch.Tensor
    """float32 [p], n_u^½ of a user with n_u interactions in the domain."""
    warm: np.ndarray
    """Columns of the domain's items with interactions."""

    @classmethod
    def of(cls, data: TrainingData, domain: str, generator: np.random.Generator) -> _Target:
        span = data.span(domain)
        count = np.diff(data.matrix[:, span].indptr)
        users = generator.permutation(np.flatnonzero(count))
        return cls(
            users=torch.from_numpy(users),
            weight=torch.from_numpy(np.sqrt(count[users]).astype(np.float32)),
            warm=np.flatnonzero(data.warm[span]) + span.start,
        )


def _positives(data: TrainingData) -> sp.csr_matrix:
    """Return CSR [n_users, n_items], n_u^-½ at each interaction, n_u counted in its domain."""
    blocks = [data.matrix[:, data.span(domain)] for domain in data.domains]
    scale = [sp.diags(inverse_power(np.diff(block.indptr), 0.5)) for block in blocks]
    return sp.hstack([s @ (b > 0) for s, b in zip(scale, blocks, strict=True)], format="csr")
