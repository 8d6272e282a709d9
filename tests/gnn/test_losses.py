import pytest
import scipy.sparse as sp
import torch

from gnn.losses import bpr_loss, softmax_pull, softmax_push
from gnn.propagation import Propagator


def direct(users, items, positives, negatives, temperature, log_q=None):
    """The loss as `gnn.losses` has it, one user at a time."""
    total = 0.0
    for user, own in enumerate(positives):
        n = len(own)
        logits = users[user] @ items[negatives].T / temperature
        if log_q is not None:
            logits = logits - log_q
        total = total - (items[own] @ users[user]).sum() / temperature / n**0.5
        total = total + n**0.5 * torch.logsumexp(logits, 0)
    return total


@pytest.mark.parametrize("with_q", [False, True])
def test_loss_and_gradients_equal_autograd(with_q):
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 6, generator=generator).requires_grad_() for n in (4, 12))
    positives = [[0, 3], [1], [0, 2, 11], [5]]
    negatives = torch.tensor([0, 4, 4, 7, 10])
    log_q = torch.randn(5, generator=generator) if with_q else None
    loss = direct(users, items, positives, negatives, 0.3, log_q)
    loss.backward()
    count = torch.tensor([float(len(own)) for own in positives])
    rows = [user for user, own in enumerate(positives) for _ in own]
    columns = [item for own in positives for item in own]
    weights = sp.csr_matrix((count.rsqrt()[rows].numpy(), (rows, columns)), shape=(4, 12))
    pull, pull_users, pull_items = softmax_pull(
        users.detach(), items.detach(), Propagator(weights), temperature=0.3
    )
    push, push_users, push_negatives = softmax_push(
        users.detach(), items.detach()[negatives], count.sqrt(), temperature=0.3, log_q=log_q
    )
    assert pull + push == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(pull_users + push_users, users.grad)
    torch.testing.assert_close(pull_items.index_add(0, negatives, push_negatives), items.grad)


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
