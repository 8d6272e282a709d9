"""Losses that bring the vectors of several domains together."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["agreement", "coral", "info_nce", "mmd", "reverse_gradient"]


def agreement(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 − cosine between two vectors of the same users, [n, d] each.

    Examples
    --------
    >>> float(agreement(torch.ones(2, 3), torch.ones(2, 3)).round(decimals=4))
    0.0
    """
    return (1 - functional.cosine_similarity(left, right)).mean()


def info_nce(left: torch.Tensor, right: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Return the contrastive loss between two vectors of the same users, [n, d] each; O(n² · d).

    Each user's vector in one domain is to find the same user's in the other among all of the batch,
    both ways: van den Oord et al., "Representation learning with contrastive predictive coding",
    2018.

    Examples
    --------
    >>> float(info_nce(torch.eye(2), torch.eye(2)).round(decimals=4))
    0.0
    """
    logits = functional.normalize(left) @ functional.normalize(right).T / temperature
    same = torch.arange(len(left))
    both = functional.cross_entropy(logits, same), functional.cross_entropy(logits.T, same)
    return torch.stack(both).mean()


def mmd(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the squared maximum mean discrepancy of two samples, [n, d] and [m, d]; O((n + m)²).

    With a sum of Gaussian kernels of 1/4, 1/2, 1, 2 and 4 times the mean squared distance, as Long
    et al., "Learning transferable features with deep adaptation networks", ICML 2015; the biased
    estimate (Gretton et al., JMLR 2012), which is never below 0.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> float(mmd(x, x)), bool(mmd(x, x + 5) > 1)
    (0.0, True)
    """
    both = torch.cat([left, right])
    squares = torch.cdist(both, both).square()
    scale = squares.detach().mean().clamp(min=1e-12)
    kernel = torch.stack([(-squares / (scale * 2.0**power)).exp() for power in range(-2, 3)]).sum(0)
    n = len(left)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def coral(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the distance of the covariances of two samples, [n, d] and [m, d].

    ‖C_left − C_right‖² / 4d²: Sun and Saenko, "Deep CORAL", ECCV workshops 2016. Samples of fewer
    than two rows have no covariance; the loss is then 0.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> float(coral(x, x + 3))
    0.0
    """
    if min(len(left), len(right)) < 2:
        return left.new_zeros(())
    difference = left.T.cov() - right.T.cov()
    return difference.square().sum() / (4 * left.shape[1] ** 2)


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):  # type: ignore[no-untyped-def]
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return -ctx.strength * gradient, None


def reverse_gradient(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Return `x`, whose gradient comes back multiplied by −`strength`.

    Ganin et al., "Domain-adversarial training of neural networks", JMLR 2016: a classifier that
    follows learns to tell domains apart, and the layers before it to make them alike.

    Examples
    --------
    >>> x = torch.ones(1, requires_grad=True)
    >>> (reverse_gradient(x, 0.5) * 3).sum().backward()
    >>> x.grad.tolist()
    [-1.5]
    """
    reversed_: torch.Tensor = _Reverse.apply(x, strength)
    return reversed_
