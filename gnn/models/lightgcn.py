"""LightGCN as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pydantic
import torch

from gnn.baselines.bpr_mf import BPRMF, BPRMFConfig, Compare
from gnn.data import TrainingData
from gnn.numerics.propagation import bipartite_propagator, xavier_uniform
from gnn.training import Epochs, ValidateEvery

__all__ = ["LightGCN", "LightGCNConfig"]


class LightGCNConfig(BPRMFConfig):
    """Settings of `LightGCN`; embedding_dim, num_layers and regularization are the paper's."""

    num_layers: int = pydantic.Field(3, ge=1)
    """Propagation layers; the final vector is the mean of all, the embedding included."""
    learning_rate: float = pydantic.Field(0.005, gt=0)
    """Of Adam. The paper's 0.001 goes with its batches of 2,048."""
    regularization: float = pydantic.Field(1e-4, ge=0)
    """Weight of the squared norm of the embeddings in a batch."""
    batch_size: int = pydantic.Field(16384, ge=1)
    """Interactions a gradient step. The paper's 2,048 propagates the whole graph eight times as
    often for the same epoch."""
    epochs: Epochs = 40
    validate_every: ValidateEvery = 4


class LightGCN(BPRMF):
    """Linear propagation of user and item embeddings, trained with BPR.

    He et al., "LightGCN: simplifying and powering graph convolution network for recommendation",
    SIGIR 2020. All domains form one bipartite graph. Negatives are uniform over the items of the
    positive's domain that have interactions. Users who arrive after training have no embedding:
    they get popular items. A step costs O(num_layers · nnz · dim).
    """

    name: ClassVar[str] = "lightgcn"
    Config = LightGCNConfig
    learned = ("user_vectors_", "item_vectors_")

    def _start(
        self, data: TrainingData, generator: np.random.Generator
    ) -> tuple[dict[str, torch.nn.Parameter], Compare, Callable[[], list[torch.Tensor]]]:
        config = self.config
        n_users, shape = data.n_users, (data.n_users + data.n_items, config.embedding_dim)
        adjacency = bipartite_propagator(data.matrix)
        embedding = xavier_uniform(shape, generator)

        def propagate() -> torch.Tensor:
            layer: torch.Tensor = embedding
            total: torch.Tensor = embedding
            for _ in range(config.num_layers):
                layer = adjacency @ layer
                total = total + layer
            return total / (config.num_layers + 1)

        def compare(
            user: torch.Tensor, good: torch.Tensor, bad: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
            # index_select, not [rows]: its gradient is summed in a fixed order.
            final, rows = propagate(), (user, good + n_users, bad + n_users)
            own, positive, negative = (final.index_select(0, row) for row in rows)
            scores = (own * positive).sum(1), (own * negative).sum(1)
            return *scores, [embedding.index_select(0, row) for row in rows]

        return (
            {"embedding": embedding},
            compare,
            lambda: list(propagate().split([n_users, data.n_items])),
        )
