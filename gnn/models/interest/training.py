"""Training of the graph network: a sampled softmax over the items of each domain."""

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

__all__ = ["NetworkTrainer"]

# The embeddings of items learn at the full rate, the parameters that all share slower.
EMBEDDING = "item"


class NetworkTrainer:
    """One gradient step of the softmax over each domain's items.

    Every step propagates once over the whole training graph. A share of the items is trained as
    new: without ids and layers, so that their text learns to stand alone. Training interactions
    both propagate and are predicted, as in LightGCN; held-out rows do neither. Edge dropout and
    users who are made cold in one domain for a step were worth nothing on the validation rows of
    amazon4, game_video and ciao.

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
    users
        bool [n_users], those to train on; None for all.
    """

    def __init__(
        self,
        data: TrainingData,
        network: InterestNetwork,
        adjacency: Propagator,
        settings: TrainingSettings,
        generator: np.random.Generator,
        users: np.ndarray | None = None,
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
        learned = data.matrix if users is None else data.matrix[users]
        self._n_items, self._total = data.n_items, max(1, learned.nnz)
        self._targets = [_Target.of(data, domain, generator, users) for domain in data.domains]
        self._positives = Propagator(_positives(data))

    def step(self) -> float:
        """Do one step and return the loss per interaction."""
        dropped = torch.from_numpy(self.generator.random(self._n_items) < self.settings.id_dropout)
        users, items = self.network(self._adjacency, dropped, self._hidden())
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

    def _hidden(self) -> torch.Tensor | None:
        """Return the modalities that this step hides, bool [n_items, modalities]."""
        content, share = self.network.content, self.settings.modality_dropout
        if content is None or content.present.shape[1] == 1 or not share:
            return None
        return torch.from_numpy(self.generator.random(content.present.shape) < share)

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
    def of(
        cls,
        data: TrainingData,
        domain: str,
        generator: np.random.Generator,
        wanted: np.ndarray | None,
    ) -> _Target:
        span = data.span(domain)
        count = np.diff(data.matrix[:, span].indptr)
        if wanted is not None:
            count[~wanted] = 0
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
