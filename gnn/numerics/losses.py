"""Losses with their gradients written out, for vectors that a graph network has just made."""

from __future__ import annotations

import torch

from gnn.numerics.propagation import Propagator

__all__ = ["bpr_loss", "softmax_pull", "softmax_push"]

# The softmax loss of a user with n positives is n^-½ Σ_pos(−s/τ) + n^½ log Σ_neg exp(s/τ − log q):
# its mean over positives weighted by √n, so that neither the many people with one item nor the few
# with hundreds decide alone. The first term is linear in the scores, so it is one sparse product
# over all positives at once (`softmax_pull`); the second runs over chunks of users who share their
# negatives (`softmax_push`). Gradients are written out because the caller propagates once and
# accumulates over chunks.


@torch.no_grad()
def softmax_pull(
    users: torch.Tensor, items: torch.Tensor, positives: Propagator, *, temperature: float
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return the first term and its gradients with respect to users and items; O(positives · d).

    Parameters
    ----------
    users, items
        float32 [n, d] and [m, d].
    positives
        Sparse [n, m], n_u^-½ at the positives of each user.
    temperature
        τ.
    """
    toward = (positives @ items).div_(-temperature)
    loss = float((users * toward).sum())
    return loss, toward, (positives.T @ users).div_(-temperature)


@torch.no_grad()
def softmax_push(
    users: torch.Tensor,
    negatives: torch.Tensor,
    weight: torch.Tensor,
    *,
    temperature: float,
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return the second term and its gradients with respect to users and negatives; O(n · s · d).

    With every candidate among the negatives it is the full softmax; with a uniform sample the
    denominator is an unbiased estimate of the full one up to a constant. Scores are not shifted
    before the exponential: those of unit vectors lie within ±1/τ.

    Parameters
    ----------
    users, negatives
        float32 [n, d] and [s, d]; inner products up to 80 τ are safe.
    weight
        float32 [n], n_u^½.
    temperature
        τ.
    """
    masses = ((users / temperature) @ negatives.T).exp_()
    total = masses.sum(dim=1)
    # What every mass of a row is multiplied by goes on the thin sides of the two products.
    scale = (weight / (temperature * total)).unsqueeze(1)
    return float(weight @ total.log()), (masses @ negatives).mul_(scale), masses.T @ (users * scale)


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
