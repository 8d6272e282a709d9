import pytest
import torch

from gnn.losses import bpr_loss, sampled_softmax


def direct(users, positives, negatives, owner, temperature, log_q=None):
    """The loss as its docstring has it, one user at a time."""
    total = 0.0
    for user in range(len(users)):
        own = positives[owner == user]
        n = len(own)
        logits = users[user] @ negatives.T / temperature
        if log_q is not None:
            logits = logits - log_q
        total = total - (own @ users[user]).sum() / temperature / n**0.5
        total = total + n**0.5 * torch.logsumexp(logits, 0)
    return total


@pytest.mark.parametrize("with_q", [False, True])
def test_loss_and_gradients_equal_autograd(with_q):
    generator = torch.Generator().manual_seed(0)
    users, positives, negatives = (
        torch.randn(n, 6, generator=generator, dtype=torch.float64).requires_grad_()
        for n in (4, 7, 9)
    )
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3])
    log_q = torch.randn(9, generator=generator, dtype=torch.float64) if with_q else None
    loss = direct(users, positives, negatives, owner, 0.3, log_q)
    loss.backward()
    ours = sampled_softmax(
        users.detach(), positives.detach(), negatives.detach(), owner, temperature=0.3, log_q=log_q
    )
    assert ours.loss == pytest.approx(float(loss.detach()))
    torch.testing.assert_close(ours.users, users.grad)
    torch.testing.assert_close(ours.positives, positives.grad)
    torch.testing.assert_close(ours.negatives, negatives.grad)


def test_log_q_makes_a_biased_draw_unbiased():
    """Over many draws, the corrected denominator meets the full one up to the sample size."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(50, generator=generator, dtype=torch.float64)
    q = torch.softmax(torch.randn(50, generator=generator, dtype=torch.float64), 0)
    draws = torch.multinomial(q, 200_000, replacement=True, generator=generator)
    corrected = torch.exp(scores[draws] - q.log()[draws]).mean()
    assert float(corrected / torch.exp(scores).sum()) == pytest.approx(1.0, abs=0.02)


def test_bpr_falls_with_the_margin():
    low = bpr_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    high = bpr_loss(torch.tensor([2.0]), torch.tensor([1.0]))
    assert high < low
