"""Losses with their gradients written out, for vectors that a graph network has just made."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["SoftmaxGradients", "bpr_loss", "sampled_softmax"]


@dataclass(frozen=True)
class SoftmaxGradients:
    """Loss and gradients of one chunk of users.

    Attributes
    ----------
    loss
        Sum over the chunk's users.
    users, positives, negatives
        Gradients with respect to the user vectors [n, d], the vectors of the positives [p, d] and
        those of the negatives [s, d].
    """

    loss: float
    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor


@torch.no_grad()
def sampled_softmax(
    users: torch.Tensor,
    positives: torch.Tensor,
    negatives: torch.Tensor,
    owner: torch.Tensor,
    *,
    temperature: float,
    log_q: torch.Tensor | None = None,
) -> SoftmaxGradients:
    """Softmax cross-entropy of held-out items against negatives that a chunk of users shares.

    The loss of a user with n positives is n^-½ Σ_pos(−s) + n^½ log Σ_neg exp(s − log q): its mean
    over positives weighted by √n, so that neither the many people with one item nor the few with
    hundreds decide alone. With every candidate among the negatives it is the full softmax; with a
    sample, `log_q` makes the denominator an unbiased estimate of the full one up to a constant
    (Bengio and Senécal, 2008; Yi et al., RecSys 2019).

    Gradients are written out because the caller propagates once and accumulates over chunks.
    O(n · s · d).

    Parameters
    ----------
    users
        float32 [n, d].
    positives
        float32 [p, d], the held-out items of the chunk, grouped by user.
    negatives
        float32 [s, d].
    owner
        int64 [p], which user each positive belongs to; every user has at least one.
    temperature
        Scores are dot products divided by it.
    log_q
        float32 [s], log of the probability with which each negative was drawn, up to a constant;
        None for a uniform draw or all candidates.
    """
    count = torch.bincount(owner, minlength=len(users)).to(users.dtype)
    logits = (users @ negatives.T).div_(temperature)
    if log_q is not None:
        logits -= log_q
    denominator = torch.logsumexp(logits, dim=1)
    owned = users[owner]
    pull = count.rsqrt()[owner] / temperature
    agreement = (owned * positives).sum(1)
    loss = (count.sqrt() * denominator).sum() - (pull * agreement).sum()
    # d loss / d logits, in place of the logits.
    logits.sub_(denominator.unsqueeze(1)).exp_().mul_((count.sqrt() / temperature).unsqueeze(1))
    user_gradient = logits @ negatives
    user_gradient.index_add_(0, owner, positives * pull.unsqueeze(1), alpha=-1)
    return SoftmaxGradients(
        loss=float(loss),
        users=user_gradient,
        positives=owned.mul_(-pull.unsqueeze(1)),
        negatives=logits.T @ users,
    )


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
