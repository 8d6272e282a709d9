"""Matrix factorisation by Bayesian personalised ranking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pydantic
import torch

from gnn.data import TrainingData, UserBatch
from gnn.numerics.losses import NegativeSampler, bpr_loss
from gnn.numerics.scoring import cold_last
from gnn.training import (
    BatchSize,
    EpochConfig,
    EpochModel,
    Epochs,
    LearningRate,
    ValidateEvery,
)

__all__ = ["BPRMF", "BPRMFConfig"]

# Standard deviation of the first factors.
INITIAL_SCALE = 0.1

# From users, seen and unseen items, int64 [b] each: the scores [b] of the seen and of the unseen
# items, and the tensors whose squared norms are penalised.
Compare: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor],
    tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]],
]


class BPRMFConfig(EpochConfig):
    """Settings of `BPRMF`."""

    learning_rate: LearningRate = 0.01
    regularization: float = pydantic.Field(0.1, ge=0)
    """Weight of the squared norm of the factors and biases in a batch."""
    batch_size: BatchSize = 16384
    epochs: Epochs = 60
    validate_every: ValidateEvery = 5


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
    learned: ClassVar[tuple[str, ...]] = ("user_vectors_", "item_vectors_", "item_bias_")
    user_vectors_: np.ndarray
    item_vectors_: np.ndarray
    item_bias_: np.ndarray | None = None

    def _fit(self, data: TrainingData, **fit: Any) -> None:
        config, generator = self.config, np.random.default_rng(fit["seed"])
        parameters, compare, vectors = self._start(data, generator)
        optimizer = torch.optim.Adam(parameters.values(), lr=config.learning_rate)
        edges = data.matrix.tocoo()
        sampler = NegativeSampler(data.item_domain, data.warm)

        @torch.no_grad()
        def publish() -> None:
            for name, value in zip(self.learned, vectors(), strict=True):
                setattr(self, name, value.numpy().copy())

        def step(batch: np.ndarray) -> float:
            user, good = (
                torch.from_numpy(x[batch].astype(np.int64)) for x in (edges.row, edges.col)
            )
            bad = torch.from_numpy(sampler.draw(edges.col[batch], generator))
            positive, negative, penalised = compare(user, good, bad)
            loss = self._pair_loss(positive, negative, edges.col[batch])
            norm = torch.stack([part.square().sum() for part in penalised]).sum()
            optimizer.zero_grad()
            (loss + config.regularization * norm / (2 * len(batch))).backward()
            optimizer.step()
            return float(loss.detach())

        self._train(
            step, publish, parameters=parameters, optimizer=optimizer, generator=generator, **fit
        )

    def _pair_loss(
        self, positive: torch.Tensor, negative: torch.Tensor, items: np.ndarray
    ) -> torch.Tensor:
        """Return the loss of the scores [b] of seen items, int64 [b], and of sampled ones."""
        return bpr_loss(positive, negative)

    def _start(
        self, data: TrainingData, generator: np.random.Generator
    ) -> tuple[dict[str, torch.nn.Parameter], Compare, Callable[[], list[torch.Tensor]]]:
        """Return parameters, scores of pairs, and a function that makes the state, as `learned`."""

        def drawn(rows: int) -> torch.nn.Parameter:
            normal = generator.standard_normal((rows, self.config.embedding_dim), dtype=np.float32)
            return torch.nn.Parameter(torch.from_numpy(normal * np.float32(INITIAL_SCALE)))

        users, items = drawn(data.n_users), drawn(data.n_items)
        bias = torch.nn.Parameter(torch.zeros(data.n_items))

        def compare(
            user: torch.Tensor, good: torch.Tensor, bad: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
            # index_select, not [rows]: its gradient is summed in a fixed order.
            own = users.index_select(0, user)
            positive, negative = items.index_select(0, good), items.index_select(0, bad)
            up, down = bias.index_select(0, good), bias.index_select(0, bad)
            scores = (own * positive).sum(1) + up, (own * negative).sum(1) + down
            return *scores, [own, positive, negative, up, down]

        parameters = {"users": users, "items": items, "bias": bias}
        return parameters, compare, lambda: [users, items, bias]

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        scores = self.user_vectors_[np.maximum(users.index, 0)] @ self.item_vectors_[span].T
        if self.item_bias_ is not None:
            scores += self.item_bias_[span]
        return cold_last(scores, self.data.warm[span])
