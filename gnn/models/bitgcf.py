"""BiTGCF: graph convolution in each domain, and transfer between them after every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.models.bitgcf_network import BiTGCFNetwork
from gnn.numerics.sampling import NegativeSampler
from gnn.numerics.scoring import cold_last, inner_products
from gnn.requirements import DOMAINS
from gnn.training import EpochModel
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["BiTGCF", "BiTGCFConfig"]


class BiTGCFConfig(Config):
    """Settings of `BiTGCF`; defaults are those of the paper or of its authors' code."""

    embedding_dim: int = pydantic.Field(64, ge=1)
    """Width of the embeddings."""
    num_layers: int = pydantic.Field(3, ge=1)
    """Layers of propagation, each followed by a transfer."""
    transfer: float = pydantic.Field(0.8, ge=0, le=1)
    """λ: how much of a user's own domain is kept by the first half of a transfer."""
    connect: Literal["concat", "mean"] = "concat"
    """How the layers make the final vector."""
    dropout: float = pydantic.Field(0.1, ge=0, lt=1)
    """Share of a layer's output that is dropped in training."""
    num_negatives: int = pydantic.Field(4, ge=1)
    """Sampled items for each interaction."""
    regularization: float = pydantic.Field(1e-5, ge=0)
    """Weight of the squared norm of the embeddings in a batch."""
    learning_rate: float = pydantic.Field(0.01, gt=0)
    """Of Adam. The authors' 0.001 goes with their batches of 1,024."""
    batch_size: int = pydantic.Field(65536, ge=1)
    """Interactions a gradient step; each step propagates over all domains."""
    epochs: int = pydantic.Field(30, ge=1)
    """Passes over the interactions at the most."""
    validate_every: int = pydantic.Field(3, ge=1)
    """Epochs between two validations."""
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""


class BiTGCF(EpochModel):
    """Bi-directional transfer between the user vectors of domains, layer by layer.

    Liu et al., "Cross domain recommendation via bi-directional transfer graph collaborative
    filtering networks", CIKM 2020. Each domain has its embeddings and is trained on
    interactions against sampled items with cross entropy; one shuffled pass goes over the
    interactions of all domains. `BiTGCFNetwork` holds the layers, with the transfer, which
    the paper has for two domains, extended to more. A user without history in a domain is
    scored there by the transferred vectors. Items without interactions stand last. Users who
    arrive after training get popular items. A step costs O(num_layers · nnz · dim).
    """

    name: ClassVar[str] = "bitgcf"
    Config = BiTGCFConfig
    requires: ClassVar[frozenset[str]] = frozenset({DOMAINS})

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config = self.config
        generator = np.random.default_rng(seed)
        network = BiTGCFNetwork(
            [sp.csr_matrix(data.matrix[:, data.span(domain)]) for domain in data.domains],
            embedding_dim=config.embedding_dim,
            num_layers=config.num_layers,
            transfer=config.transfer,
            connect=config.connect,
            dropout=config.dropout,
            generator=generator,
        )
        optimizer = torch.optim.Adam(network.parameters.values(), lr=config.learning_rate)
        edges = data.matrix.tocoo()
        sampler = NegativeSampler(data.item_domain, data.warm)
        starts = np.array([data.span(domain).start for domain in data.domains])

        def publish() -> None:
            with torch.no_grad():
                final = network.propagate()
            self.user_vectors_ = torch.stack([users for users, _ in final])
            self.item_vectors_ = torch.cat([items for _, items in final])

        def step(batch: np.ndarray) -> float:
            good = edges.col[batch]
            bad = sampler.draw(np.repeat(good, config.num_negatives), generator)
            user = np.concatenate(
                [edges.row[batch], np.repeat(edges.row[batch], config.num_negatives)]
            )
            item = np.concatenate([good, bad])
            label = np.zeros(len(item), dtype=np.float32)
            label[: len(batch)] = 1.0
            domain = data.item_domain[item]
            optimizer.zero_grad()
            loss = network.backward(
                user.astype(np.int64),
                item - starts[domain],
                domain,
                label,
                regularization=config.regularization,
                seed=int(generator.integers(2**62)),
            )
            optimizer.step()
            return loss

        self._train(
            step,
            publish,
            parameters=network.parameters,
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        number = self.data.domains.index(domain)
        vectors = self.user_vectors_[number, torch.from_numpy(np.maximum(users.index, 0))]
        scores: np.ndarray = inner_products(
            vectors, self.item_vectors_[self.data.span(domain)]
        ).numpy()
        return cold_last(scores, self.data.warm[self.data.span(domain)])

    def _state(self) -> dict[str, torch.Tensor]:
        return {"user_vectors": self.user_vectors_, "item_vectors": self.item_vectors_}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.user_vectors_, self.item_vectors_ = state["user_vectors"], state["item_vectors"]
