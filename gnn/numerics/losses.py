"""Losses of rankings, and their negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gnn.numerics.propagation import Propagator
from graphgen.pieces import map_pieces

__all__ = ["NegativeSampler", "SoftmaxChunk", "bpr_loss", "sampled_softmax"]

# Chunks whose gradients are in memory at once.
GROUP_CHUNKS = 64


@dataclass(frozen=True)
class SoftmaxChunk:
    """Users who share their negatives in `sampled_softmax`."""

    users: torch.Tensor
    """int64 [c], distinct rows of the users."""
    weight: torch.Tensor
    """float32 [c], the square root of each user's number of positives."""
    negatives: torch.Tensor
    """int64 [s], rows of the items, with or without repetition."""


def sampled_softmax(
    users: torch.Tensor,
    items: torch.Tensor,
    positives: Propagator,
    chunks: Sequence[SoftmaxChunk],
    *,
    temperature: float,
) -> torch.Tensor:
    """Return the softmax loss of interactions against sampled negatives, a differentiable number.

    A user with n positives costs n^-½ Σ_pos(−s/τ) + n^½ log Σ_neg exp(s/τ): the mean over the
    positives weighted by √n, so that neither the many users with one item nor the few with hundreds
    dominate. With every candidate among the negatives it is the full softmax; with a uniform sample
    the denominator is an unbiased estimate of the full one up to a constant. Scores are not shifted
    before the exponential: those of unit vectors lie within ±1/τ, and up to 80 is safe.

    The first term is linear in the scores: one sparse product over all positives. The second runs
    over the chunks, several at once, each on one thread, and its gradients are made in the same
    pass and added in the order of the chunks: equal inputs give equal bits whatever the threads do.
    Working on one chunk at a time with all threads costs up to four times the CPU time of a whole
    training step, and five times its wall time, when other processes share the two cores.

    O(positives · d + Σ_chunks c · s · d); memory is that of the gradients.

    Parameters
    ----------
    users, items
        float32 [n, d] and [m, d].
    positives
        Sparse [n, m], n_u^-½ at the positives of each user.
    chunks
        Users and their negatives; a user may be in several, as in those of several domains.
    temperature
        τ.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> chunk = SoftmaxChunk(torch.tensor([0]), torch.ones(1), torch.tensor([0, 1]))
    >>> first = Propagator(sp.csr_matrix([[1.0, 0.0]]))
    >>> loss = sampled_softmax(torch.ones(1, 1), torch.eye(2)[:, :1], first, [chunk], temperature=1)
    >>> round(float(loss), 4)  # −1 + log(e + 1).
    0.3133
    """
    return _SampledSoftmax.apply(users, items, positives, chunks, temperature)


class _SampledSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: torch.Tensor,
        items: torch.Tensor,
        positives: Propagator,
        chunks: Sequence[SoftmaxChunk],
        temperature: float,
    ) -> Any:
        def work(chunk: SoftmaxChunk) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            own = users[chunk.users].requires_grad_()
            negatives = items[chunk.negatives].requires_grad_()
            with torch.enable_grad():
                masses = ((own / temperature) @ negatives.T).exp()
                loss = chunk.weight @ masses.sum(dim=1).log()
                to_own, to_negatives = torch.autograd.grad(loss, (own, negatives))
            return loss.detach(), to_own, to_negatives

        users, items = users.detach(), items.detach()
        to_users = (positives @ items).div_(-temperature)
        to_items = (positives.T @ users).div_(-temperature)
        total = (users * to_users).sum()
        # In groups, so that few gradients wait to be added.
        for low in range(0, len(chunks), GROUP_CHUNKS):
            group = chunks[low : low + GROUP_CHUNKS]
            for chunk, (loss, own, negatives) in zip(group, map_pieces(work, group), strict=True):
                total += loss
                to_users.index_add_(0, chunk.users, own)
                to_items.index_add_(0, chunk.negatives, negatives)
        ctx.save_for_backward(to_users, to_items)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        to_users, to_items = ctx.saved_tensors
        return gradient * to_users, gradient * to_items, None, None, None


def bpr_loss(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking: mean of −log σ(positive − negative).

    Rendle et al., "BPR", UAI 2009. The scores are of the observed and of the sampled items, [n].

    Examples
    --------
    >>> round(float(bpr_loss(torch.tensor([0.0]), torch.tensor([0.0]))), 4)
    0.6931
    """
    return torch.nn.functional.softplus(negative - positive).mean()


class NegativeSampler:
    """Draws, for each positive, an item with interactions from the same domain, uniformly.

    As most published code does, it does not look whether the user knows the item: in a sparse log
    that is rare, and the draw stays O(1).
    `item_domain` is int64 [items], rising, the number of the domain of each item; `warm` is bool
    [items], whether it has interactions.
    """

    def __init__(self, item_domain: np.ndarray, warm: np.ndarray) -> None:
        self._domain = item_domain
        self._warm = np.flatnonzero(warm)  # Each domain is one stretch.
        self._count = np.bincount(item_domain[self._warm])
        self._start = np.cumsum(self._count) - self._count

    def draw(self, positives: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return int64 [len(positives)], joint indices of the negatives."""
        domain = self._domain[positives]
        offset = (generator.random(len(positives)) * self._count[domain]).astype(np.int64)
        return self._warm[self._start[domain] + offset]
