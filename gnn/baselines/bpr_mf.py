"""Matrix factorisation by Bayesian personalised ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import torch

from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.numerics.losses import bpr_loss
from gnn.numerics.sampling import NegativeSampler
from gnn.numerics.scoring import cold_last, inner_products
from gnn.training import EpochModel
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["BPRMF", "BPRMFConfig"]

# Standard deviation of the first factors.
INITIAL_SCALE = 0.1


class BPRMFConfig(Config):
    """Settings of `BPRMF`."""

    embedding_dim: int = pydantic.Field(64, ge=1)
    """Width of the factors."""
    learning_rate: float = pydantic.Field(0.01, gt=0)
    """Of Adam; the paper uses plain SGD."""
    regularization: float = pydantic.Field(0.1, ge=0)
    """Weight of the squared norm of the factors and biases in a batch."""
    batch_size: int = pydantic.Field(16384, ge=1)
    """Interactions a gradient step."""
    epochs: int = pydantic.Field(60, ge=1)
    """Passes over the interactions at the most."""
    validate_every: int = pydantic.Field(5, ge=1)
    """Epochs between two validations."""
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""


class BPRMF(EpochModel):
    """Factors of users and items and a bias of items, trained to rank seen items above unseen ones.

    Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009, with
    Adam in the place of SGD. All domains share one space. Negatives are uniform over the items of
    the positive's domain that have interactions. Users who arrive after training have no factors:
    they get popular items. An epoch costs O(interactions · dim).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = BPRMF(epochs=1).fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "bpr-mf"
    Config = BPRMFConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config = self.config
        generator = np.random.default_rng(seed)

        def start(rows: int, scale: float, width: int) -> torch.nn.Parameter:
            drawn = generator.standard_normal((rows, width), dtype=np.float32) * np.float32(scale)
            return torch.nn.Parameter(torch.from_numpy(drawn))

        users = start(data.n_users, INITIAL_SCALE, config.embedding_dim)
        items = start(data.n_items, INITIAL_SCALE, config.embedding_dim)
        bias = torch.nn.Parameter(torch.zeros(data.n_items))
        parameters = {"users": users, "items": items, "bias": bias}
        optimizer = torch.optim.Adam(parameters.values(), lr=config.learning_rate)
        edges = data.matrix.tocoo()
        sampler = NegativeSampler(data.item_domain, data.warm)

        def publish() -> None:
            self.user_vectors_ = users.detach().clone()
            self.item_vectors_ = items.detach().clone()
            self.item_bias_ = bias.detach().clone()

        def step(batch: np.ndarray) -> float:
            # index_select, not [rows]: its gradient is summed in a fixed order.
            user = users.index_select(0, torch.from_numpy(edges.row[batch].astype(np.int64)))
            good = torch.from_numpy(edges.col[batch].astype(np.int64))
            bad = torch.from_numpy(sampler.draw(edges.col[batch], generator))
            positive, negative = items.index_select(0, good), items.index_select(0, bad)
            up, down = bias.index_select(0, good), bias.index_select(0, bad)
            loss = bpr_loss((user * positive).sum(1) + up, (user * negative).sum(1) + down)
            used = (user, positive, negative, up, down)
            norm = torch.stack([part.square().sum() for part in used]).sum()
            optimizer.zero_grad()
            (loss + config.regularization * norm / (2 * len(batch))).backward()
            optimizer.step()
            return float(loss.detach())

        self._train(
            step,
            publish,
            parameters=parameters,
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        vectors = self.user_vectors_[torch.from_numpy(np.maximum(users.index, 0))]
        scores: np.ndarray = inner_products(vectors, self.item_vectors_[span]).numpy()
        scores += self.item_bias_[span].numpy()
        return cold_last(scores, self.data.warm[span])

    def _state(self) -> dict[str, torch.Tensor]:
        return {
            "user_vectors": self.user_vectors_,
            "item_vectors": self.item_vectors_,
            "item_bias": self.item_bias_,
        }

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.user_vectors_, self.item_vectors_ = state["user_vectors"], state["item_vectors"]
        self.item_bias_ = state["item_bias"]
