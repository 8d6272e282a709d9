"""SASRec: a causal transformer over a user's sequence of items, with a sampled softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pydantic
import torch
from torch import nn
from torch.nn import functional

from gnn.data import ORDER, TrainingData, UserBatch, known_histories
from gnn.fitting import FitOptions
from gnn.numerics.order import sequences
from gnn.numerics.scoring import cold_last, inner_products
from gnn.training import (
    BatchSize,
    EpochConfig,
    EpochModel,
    Epochs,
    LearningRate,
    dividing_width,
)
from gnn.validation import ValidationRows

__all__ = ["SASRec", "SASRecConfig"]

Drop: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

# Standard deviation of the first embeddings.
INITIAL_SCALE = 0.02
# Batches whose sequences are sorted by length, so that little is spent on padding.
BUCKET = 32


class SASRecConfig(EpochConfig):
    """Settings of `SASRec`."""

    embedding_dim: int = pydantic.Field(64, ge=2)
    """Width of the vectors."""
    blocks: int = pydantic.Field(1, ge=1)
    """Transformer blocks."""
    heads: int = pydantic.Field(2, ge=1)
    """Attention heads of a block; they divide `embedding_dim`."""
    max_length: int = pydantic.Field(50, ge=2)
    """Latest items of a sequence that are read."""
    dropout: float = pydantic.Field(0.5, ge=0, lt=1)
    """In training, of embeddings, attention and layers."""
    learning_rate: LearningRate = 0.001
    batch_size: BatchSize = 256
    num_negatives: int = pydantic.Field(512, ge=1)
    """Negatives that a batch shares, drawn by popularity."""
    epochs: Epochs = 40

    _divide = pydantic.field_validator("heads")(dividing_width)


class SASRec(EpochModel):
    """A causal transformer over the sequence of all domains that predicts each next item.

    Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018, with pre-normalised
    blocks. In the place of binary cross-entropy with one negative stands a softmax over negatives
    drawn by popularity, whose logits lose the logarithm of how often they are drawn (logQ); that
    the loss decides is shown by Klenitskiy and Vasilev, "Turning dross into gold loss: is BERT4Rec
    really better than SASRec?", RecSys 2023. Only negatives of the next item's domain count, since
    the items of one domain are ranked. A user is a function of the history, so users who arrive
    after training are scored. An epoch costs
    O(interactions · (blocks · (dim² + length · dim) + negatives · dim)).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book",
    ...                     "position": [1, 2, 1, 2, 1]})
    >>> model = SASRec(epochs=2).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "sasrec"
    inductive: ClassVar[bool] = True
    Config = SASRecConfig
    requires = frozenset({ORDER})

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, generator = self.config, np.random.default_rng(seed)
        self._network = network = _Network(data.n_items, config, generator)
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, foreach=True)
        history = sequences(known_histories(data), config.max_length)
        history = history[(history >= 0).sum(axis=1) > 1]
        length = (history >= 0).sum(axis=1)
        share = data.popularity.astype(np.float64) / max(1.0, float(data.popularity.sum()))
        domain = torch.from_numpy(data.item_domain.astype(np.int64))
        # Of a negative that is drawn n times, n · share are expected.
        expected = torch.from_numpy(np.log(np.maximum(share, 1e-12) * config.num_negatives)).float()

        def by_length() -> list[np.ndarray]:
            order = generator.permutation(len(history))
            batches: list[np.ndarray] = []
            for low in range(0, len(order), BUCKET * config.batch_size):
                bucket = order[low : low + BUCKET * config.batch_size]
                bucket = bucket[np.argsort(length[bucket], kind="stable")]
                starts = range(config.batch_size, len(bucket), config.batch_size)
                batches += np.split(bucket, list(starts))
            return [batches[place] for place in generator.permutation(len(batches))]

        def step(users: np.ndarray) -> float:
            batch = history[users][:, : length[users].max()]
            seen, following = batch[:, :-1], batch[:, 1:]
            drawn = generator.choice(len(share), config.num_negatives, p=share)
            hidden = network(torch.from_numpy(seen), generator)
            place = torch.from_numpy(following.ravel() >= 0).nonzero().ravel()
            hidden = hidden.reshape(-1, hidden.shape[2]).index_select(0, place)
            wanted = torch.from_numpy(following.ravel()).index_select(0, place)
            loss = self._loss(hidden, wanted, torch.from_numpy(drawn), domain, expected)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return float(loss.detach())

        self._train(
            step,
            lambda: None,
            batches=by_length,
            parameters=dict(network.named_parameters()),
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _loss(
        self,
        hidden: torch.Tensor,
        wanted: torch.Tensor,
        negatives: torch.Tensor,
        domain: torch.Tensor,
        expected: torch.Tensor,
    ) -> torch.Tensor:
        """Return the mean loss of next items, int64 [n], against shared negatives, int64 [s]."""
        vectors = self._network.items
        positive = (hidden * vectors.index_select(0, wanted)).sum(1, keepdim=True)
        scores = hidden @ vectors.index_select(0, negatives).T - expected[negatives]
        other = (domain[wanted].unsqueeze(1) != domain[negatives]) | (
            wanted.unsqueeze(1) == negatives
        )
        logits = torch.cat([positive, scores.masked_fill(other, -torch.inf)], dim=1)
        return (logits.logsumexp(1) - logits[:, 0]).mean()

    @torch.no_grad()
    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        history = sequences(self.data.order_in(domain, users), self.config.max_length)
        length = (history >= 0).sum(axis=1)
        scores = np.zeros((len(users), span.stop - span.start), dtype=np.float32)
        some = np.flatnonzero(length)
        if not len(some):
            return scores
        hidden = self._network(torch.from_numpy(history[some][:, : length.max()]))
        last = hidden[torch.arange(len(some)), torch.from_numpy(length[some] - 1)]
        scores[some] = inner_products(last, self._network.items[span]).numpy()
        return cold_last(scores, self.data.warm[span])

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: value.detach() for name, value in self._network.state_dict().items()}

    def _load_state(self, state: Any) -> None:
        self._network = _Network(self.data.n_items, self.config, np.random.default_rng(0))
        self._network.load_state_dict(dict(state))


class _Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each after a normalisation."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.attention_norm, self.layer_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor, drop: Drop) -> torch.Tensor:
        """Return float32 [n, length, dim]."""
        n, length, _ = x.shape
        split = self.attention(self.attention_norm(x)).view(n, length, 3, self._heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # Padding stands behind, where no earlier place looks.
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + drop(self.out(mixed.transpose(1, 2).reshape(n, length, -1)))
        inner = functional.gelu(self.up(self.layer_norm(x)))
        return x + drop(self.down(drop(inner)))


class _Network(nn.Module):
    """Vectors of items and places, and blocks over a sequence of them."""

    def __init__(self, n_items: int, config: SASRecConfig, generator: np.random.Generator) -> None:
        super().__init__()
        dim = config.embedding_dim

        def drawn(*shape: int) -> nn.Parameter:
            normal = generator.standard_normal(shape, dtype=np.float32)
            return nn.Parameter(torch.from_numpy(normal * np.float32(INITIAL_SCALE)))

        self.items, self.places = drawn(n_items, dim), drawn(config.max_length, dim)
        self.blocks = nn.ModuleList(_Block(dim, config.heads) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(dim)
        self._dropout = config.dropout
        # By our generator, whose state a checkpoint holds.
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.weight = drawn(*module.weight.shape)
                nn.init.zeros_(module.bias)

    def forward(
        self, items: torch.Tensor, generator: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Return float32 [n, length, dim] for items int64 [n, length], -1 behind each sequence.

        The generator draws what is dropped in training.
        """

        def drop(x: torch.Tensor) -> torch.Tensor:
            if generator is None or not self._dropout:
                return x
            kept = generator.random(tuple(x.shape), dtype=np.float32) >= self._dropout
            return x * torch.from_numpy(kept) / (1 - self._dropout)

        n, length = items.shape
        vectors = self.items.index_select(0, items.clamp(min=0).reshape(-1)).view(n, length, -1)
        x = drop(vectors * vectors.shape[2] ** 0.5 + self.places[:length])
        for block in self.blocks:
            x = block(x, drop)
        normed: torch.Tensor = self.norm(x)
        return normed
