import pytest
import scipy.sparse as sp
import torch

from gnn.numerics.losses import bpr_loss, softmax_pull, softmax_push
from gnn.numerics.propagation import Propagator


def direct(users, items, positives, negatives, temperature):
    """The loss as `gnn.numerics.losses` has it, one user at a time."""
    total = 0.0
    for user, own in enumerate(positives):
        n = len(own)
        logits = users[user] @ items[negatives].T / temperature
        total = total - (items[own] @ users[user]).sum() / temperature / n**0.5
        total = total + n**0.5 * torch.logsumexp(logits, 0)
    return total


def test_loss_and_gradients_equal_autograd():
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 6, generator=generator).requires_grad_() for n in (4, 12))
    positives = [[0, 3], [1], [0, 2, 11], [5]]
    negatives = torch.tensor([0, 4, 4, 7, 10])
    loss = direct(users, items, positives, negatives, 0.3)
    loss.backward()
    count = torch.tensor([float(len(own)) for own in positives])
    rows = [user for user, own in enumerate(positives) for _ in own]
    columns = [item for own in positives for item in own]
    weights = sp.csr_matrix((count.rsqrt()[rows].numpy(), (rows, columns)), shape=(4, 12))
    pull, pull_users, pull_items = softmax_pull(
        users.detach(), items.detach(), Propagator(weights), temperature=0.3
    )
    push, push_users, push_negatives = softmax_push(
        users.detach(), items.detach()[negatives], count.sqrt(), temperature=0.3
    )
    assert pull + push == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(pull_users + push_users, users.grad)
    torch.testing.assert_close(pull_items.index_add(0, negatives, push_negatives), items.grad)


def test_bpr_falls_with_the_margin():
    low = bpr_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    high = bpr_loss(torch.tensor([2.0]), torch.tensor([1.0]))
    assert high < low
