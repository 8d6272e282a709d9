"""The layers of BiTGCF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch

from gnn.numerics.propagation import Propagator, normalized_adjacency

__all__ = ["BiTGCFNetwork"]

# Pairs scored at once: with three layers of 64 they take 8 MB a side, which stays in the cache.
CHUNK_PAIRS = 8192


class BiTGCFNetwork:
    """Embeddings, propagation and transfer of Liu et al., CIKM 2020, for two or more domains.

    A layer of one domain is E ← E + L E + E ⊙ L E with L = D^-½ A D^-½ (the paper's equation; the
    form of RecBole-CDR). A transfer then mixes the vectors of a user: half λ · own + (1 − λ) ·
    other, half the mean of the domains weighted by the user's interactions in each.

    For more than two domains, "other" is the plain mean over the other domains in which the user
    has history; with two it is the paper's. Users with history in one domain only are left as they
    are there; in a domain without history, the embedding is zero and the transfer fills it.

    Parameters
    ----------
    matrices
        Binary CSR [n_users, items of the domain], one a domain.
    embedding_dim, num_layers, transfer, connect, dropout
        Settings of `BiTGCFConfig`.
    generator
        Draws the first embeddings.

    Attributes
    ----------
    parameters
        ``users.d`` [n_users, dim] and ``items.d`` [items, dim] of each domain d.
    """

    def __init__(
        self,
        matrices: Sequence[sp.csr_matrix],
        *,
        embedding_dim: int,
        num_layers: int,
        transfer: float,
        connect: Literal["concat", "mean"],
        dropout: float,
        generator: np.random.Generator,
    ) -> None:
        self._num_layers, self._transfer = num_layers, transfer
        self._connect, self._dropout = connect, dropout
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
            x = normalized_adjacency(matrix)
            self._adjacency.append(Propagator(sp.bmat([[None, x], [x.T, None]], format="csr")))
            for kind, rows in (("users", matrix.shape[0]), ("items", matrix.shape[1])):
                # Xavier, as in the authors' code.
                bound = np.sqrt(6.0 / (rows + embedding_dim))
                drawn = generator.uniform(-bound, bound, (rows, embedding_dim)).astype(np.float32)
                value = torch.from_numpy(drawn)
                if kind == "users":
                    value *= present[number]
                self.parameters[f"{kind}.{number}"] = torch.nn.Parameter(value)

    def propagate(self, seed: int | None = None) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the final vectors of users and items, one pair a domain.

        Parameters
        ----------
        seed
            Of the dropout; None for none.
        """
        random = None if seed is None else torch.Generator().manual_seed(seed)
        domains = range(len(self._adjacency))
        layer = [
            torch.cat([self.parameters[f"users.{d}"], self.parameters[f"items.{d}"]])
            for d in domains
        ]
        layers = [layer]
        for _ in range(self._num_layers):
            layer = self._transferred([self._convolved(layer[d], d, random) for d in domains])
            layers.append([torch.nn.functional.normalize(part) for part in layer])
        final = []
        for d in domains:
            parts = [layer[d] for layer in layers]
            whole = torch.cat(parts, 1) if self._connect == "concat" else torch.stack(parts).mean(0)
            final.append((whole[: self._n_users], whole[self._n_users :]))
        return final

    def backward(
        self,
        user: np.ndarray,
        item: np.ndarray,
        domain: np.ndarray,
        label: np.ndarray,
        *,
        regularization: float,
        seed: int,
    ) -> float:
        """Add the gradients of one batch to the parameters, and return the mean cross entropy.

        The gradient of a pair is written out and summed over chunks of `CHUNK_PAIRS`, in order;
        then one backward pass goes through the layers. O(pairs · dim) besides the propagation.

        Parameters
        ----------
        user, item, domain
            int64 [p]; items count within their domain.
        label
            float32 [p], 1 where the user interacted with the item.
        regularization
            Weight of the mean over pairs of half the squared norms of their two embeddings.
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
        scaled = regularization * penalty / (2 * len(user))
        torch.autograd.backward([*outputs, scaled], [*gradients, torch.ones(())])
        return total

    def _convolved(
        self, layer: torch.Tensor, number: int, random: torch.Generator | None
    ) -> torch.Tensor:
        side = self._adjacency[number] @ layer
        new = torch.addcmul(layer + side, layer, side)
        if random is None or self._dropout == 0:
            return new
        mask = torch.empty_like(new).bernoulli_(1.0 - self._dropout, generator=random)
        return new * mask.div_(1.0 - self._dropout)

    def _transferred(self, layers: list[torch.Tensor]) -> list[torch.Tensor]:
        users = torch.stack([layer[: self._n_users] for layer in layers])
        known = users * self._present
        other = (known.sum(0) - known) / self._others.clamp(min=1.0)
        mixed = self._transfer * users + (1.0 - self._transfer) * other
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
