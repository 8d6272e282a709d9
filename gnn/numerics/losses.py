"""Losses with their gradients written out, for vectors that a graph network has just made."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphgen.pieces import map_pieces

__all__ = ["bpr_loss", "log_partition"]


def log_partition(
    users: torch.Tensor,
    items: torch.Tensor,
    chunks: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    *,
    temperature: float,
) -> torch.Tensor:
    """Return Σ_u w_u log Σ_{j sampled} exp(s_uj / τ), differentiable in users and items."""
    return _LogPartition.apply(users, items, chunks, temperature)


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx, users, items, chunks, temperature):
        to_users, to_items = torch.zeros_like(users), torch.zeros_like(items)

        def work(chunk):
            who, weight, negative = chunk
            own, drawn = users[who], items[negative]
            masses = ((own / temperature) @ drawn.T).exp_()
            total = masses.sum(1)
            scale = (weight / (temperature * total)).unsqueeze(1)
            return (
                float(weight @ total.log()),
                (masses @ drawn).mul_(scale),
                masses.T @ (own * scale),
            )

        loss = 0.0
        for (who, _, negative), (part, own, drawn) in zip(
            chunks, map_pieces(work, chunks), strict=True
        ):
            loss += part
            to_users.index_add_(0, who, own)
            to_items.index_add_(0, negative, drawn)
        ctx.save_for_backward(to_users, to_items)
        return torch.tensor(loss)

    @staticmethod
    def backward(ctx, gradient):
        to_users, to_items = ctx.saved_tensors
        return to_users.mul_(gradient), to_items.mul_(gradient), None, None


def bpr_loss(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking: mean of −log σ(positive − negative).

    Rendle et al., "BPR", UAI 2009.

    Parameters
    ----------
    positive, negative
        float32 [n], scores of the observed and of the sampled item.

    Examples
    --------
    >>> round(float(bpr_loss(torch.tensor([0.0]), torch.tensor([0.0]))), 4)
    0.6931
    """
    return torch.nn.functional.softplus(negative - positive).mean()
