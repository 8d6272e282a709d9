"""LightGCN as published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.numerics.losses import bpr_loss
from gnn.numerics.propagation import Propagator, normalized_adjacency
from gnn.numerics.sampling import NegativeSampler
from gnn.numerics.scoring import cold_last, inner_products
from gnn.training import EpochModel
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["LightGCN", "LightGCNConfig"]


class LightGCNConfig(Config):
    """Settings of `LightGCN`; embedding_dim, num_layers and regularization are the paper's."""

    embedding_dim: int = pydantic.Field(64, ge=1)
    """Width of the embeddings."""
    num_layers: int = pydantic.Field(3, ge=1)
    """Propagation layers; the final vector is the mean of all, the embedding included."""
    learning_rate: float = pydantic.Field(0.005, gt=0)
    """Of Adam. The paper's 0.001 goes with its batches of 2,048."""
    regularization: float = pydantic.Field(1e-4, ge=0)
    """Weight of the squared norm of the embeddings in a batch."""
    batch_size: int = pydantic.Field(16384, ge=1)
    """Interactions a gradient step. The paper's 2,048 propagates the whole graph eight times as
    often for the same epoch."""
    epochs: int = pydantic.Field(40, ge=1)
    """Passes over the interactions at the most."""
    validate_every: int = pydantic.Field(4, ge=1)
    """Epochs between two validations."""
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""


class LightGCN(EpochModel):
    """Linear propagation of user and item embeddings, trained with BPR.

    He et al., "LightGCN: simplifying and powering graph convolution network for recommendation",
    SIGIR 2020. All domains form one bipartite graph. Negatives are uniform over the items of the
    positive's domain that have interactions. Users who arrive after training have no embedding:
    they get popular items. A step costs O(num_layers · nnz · dim).
    """

    name: ClassVar[str] = "lightgcn"
    Config = LightGCNConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config = self.config
        generator = np.random.default_rng(seed)
        n_users, n_nodes = data.n_users, data.n_users + data.n_items
        x = normalized_adjacency(data.matrix)
        adjacency = Propagator(sp.bmat([[None, x], [x.T, None]], format="csr"))
        # Xavier uniform, as in the authors' code.
        bound = np.sqrt(6.0 / (n_nodes + config.embedding_dim))
        embedding = torch.nn.Parameter(
            torch.from_numpy(
                generator.uniform(-bound, bound, (n_nodes, config.embedding_dim)).astype(np.float32)
            )
        )
        optimizer = torch.optim.Adam([embedding], lr=config.learning_rate)
        edges = data.matrix.tocoo()
        sampler = NegativeSampler(data.item_domain, data.warm)

        def propagate() -> torch.Tensor:
            layer: torch.Tensor = embedding
            total: torch.Tensor = embedding
            for _ in range(config.num_layers):
                layer = adjacency @ layer
                total = total + layer
            return total / (config.num_layers + 1)

        def publish() -> None:
            with torch.no_grad():
                final = propagate()
            self.user_vectors_, self.item_vectors_ = final[:n_users], final[n_users:]

        def step(batch: np.ndarray) -> float:
            user = torch.from_numpy(edges.row[batch].astype(np.int64))
            positive = torch.from_numpy(edges.col[batch].astype(np.int64) + n_users)
            negative = torch.from_numpy(sampler.draw(edges.col[batch], generator) + n_users)
            # index_select, not [rows]: its gradient is summed in a fixed order.
            final = propagate()
            person, liked, other = (final.index_select(0, r) for r in (user, positive, negative))
            loss = bpr_loss((person * liked).sum(1), (person * other).sum(1))
            norm = sum(
                embedding.index_select(0, rows).square().sum()
                for rows in (user, positive, negative)
            )
            penalty = config.regularization * norm / (2 * len(batch))
            optimizer.zero_grad()
            (loss + penalty).backward()
            optimizer.step()
            return float(loss.detach())

        self._train(
            step,
            publish,
            parameters={"embedding": embedding},
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        chosen = torch.from_numpy(np.maximum(users.index, 0))
        span = self.data.span(domain)
        scores: np.ndarray = inner_products(
            self.user_vectors_[chosen], self.item_vectors_[span]
        ).numpy()
        return cold_last(scores, self.data.warm[span])

    def _state(self) -> dict[str, torch.Tensor]:
        return {"user_vectors": self.user_vectors_, "item_vectors": self.item_vectors_}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.user_vectors_, self.item_vectors_ = state["user_vectors"], state["item_vectors"]
